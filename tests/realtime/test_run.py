"""From a command, or a call, to what it leaves: labels, video, table, exit code; whatever ends it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections import Counter

import cv2
import numpy as np
import pytest
import realtime_tools as tools

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import Detector, ImageError, to_inputs
from fer_utils.models import Classifier
from fer_utils.realtime import Settings, overlay, pipeline, run
from fer_utils.realtime.__main__ import main
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sources import CaptureLost

NOISE = np.random.default_rng(0).integers(0, 256, (60, 120, 160, 3), np.uint8)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fer_utils.realtime", *map(str, arguments)]


def shell(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), cwd=paths.ROOT, capture_output=True, text=True, timeout=120, check=False, **options
    )


def rows_of(path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


HEAVY = "tensorflow keras scipy pandas matplotlib sklearn skimage ipywidgets anywidget asyncio".split()


def python(code: str) -> str:
    """What a fresh interpreter prints, and on the last line the heavy modules that it has loaded."""
    command = [sys.executable, "-c", f"{code}; import sys; print([name for name in {HEAVY} if name in sys.modules])"]
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout


def test_the_import_is_quick_and_light():
    code = "import time; start = time.perf_counter(); import fer_utils.realtime; print(time.perf_counter() - start)"
    seconds, heavy = min(python(code).splitlines() for _ in range(3))
    assert heavy == "[]"
    assert float(seconds) <= 1


def test_a_run_loads_nothing_heavy(model, film):
    options = ["--source", str(film), "--headless", "--model", model, "--max-frames", "5"]
    said = python(f"from fer_utils.realtime.__main__ import main; assert main({options!r}) == 0")
    assert said.splitlines()[-1] == "[]"


def test_the_clip_from_the_shell(model, tmp_path):
    video, table, lines = tmp_path / "out.mp4", tmp_path / "out.csv", tmp_path / "out.jsonl"
    done = shell(
        "--source", "clip", "--headless", "--model", model, "--output", video, "--csv", table, "--jsonl", lines
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"[\d.]+ FPS over 200 frames", done.stdout)
    assert re.search(r"p95 latency [\d.]+ ms", done.stdout)
    found, whole, false = re.search(r"found in (\d+) of (\d+) .* false detections in (\d+) of", done.stdout).groups()
    assert int(found) >= 0.95 * int(whole) > 0
    assert false == "0"
    assert len(tools.read_video(video)) == 200
    rows = rows_of(table)
    assert len(rows) >= int(found)
    for row in rows:
        assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=2e-3)
        assert float(row["time"]) == pytest.approx(int(row["frame"]) / 25, abs=2e-3)
        assert float(row["width"]) > 20 and int(row["track"]) >= 1
    assert [json.loads(line)["frame"] for line in lines.open()] == [int(row["frame"]) for row in rows]
    assert "base64" not in table.read_text() and table.stat().st_size < 300 * 300, "numbers, no pixels"


def test_tracks_and_their_timeline(model, film, tmp_path, capsys):
    table, plot = tmp_path / "tracks.CSV", tmp_path / "plot.png"
    outputs = ["--tracks", str(table), "--plot", str(plot)]
    options = ["--source", str(film), "--headless", "--model", model, "--csv", str(tmp_path / "o.csv"), *outputs]
    assert main(options) == 0
    assert f"wrote: {table} (1 tracks)" in (said := capsys.readouterr().out) and f"wrote: {plot} (50 frames)" in said
    (row,) = rows_of(table)
    rows = rows_of(tmp_path / "o.csv")
    assert (row["track"], row["first"], row["last"]) == ("1", "0.0", rows[-1]["time"].rstrip("0"))
    assert int(row["frames"]) == len(rows) and row["label"] == "Happy" and float(row["share_Happy"]) == 1
    for name in CLASSES:
        assert float(row[name]) == pytest.approx(np.mean([float(row[name]) for row in rows]), abs=1e-3)
    assert cv2.imread(str(plot)).shape[1] > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.csv", "plot.png", "tracks.CSV"]


@pytest.mark.parametrize(("options", "classes"), [
    (["--plot", "p.png", "--merge", "Angry+Fear=Negative,Sad+Neutral=Calm"],
     ("Negative", "Disgust", "Happy", "Calm", "Surprise")),
    (["--classes", "a,b,c,Glad,Low,d,e"], ("a", "b", "c", "Glad", "Low", "d", "e")),
])
def test_other_classes_reach_tables_video_and_summary(model, film, tmp_path, monkeypatch, capsys, options, classes):
    monkeypatch.chdir(tmp_path)
    outputs = ["--csv", "out.csv", "--tracks", "tracks.csv", "--output", "out.mp4"]
    assert main(["--source", str(film), "--headless", "--model", model, "--max-frames", "5", *outputs, *options]) == 0
    assert set(classes) <= set(rows_of(tmp_path / "tracks.csv")[0])
    rows = rows_of(tmp_path / "out.csv")
    assert len(rows) == 5 and tuple(rows[0])[-len(classes) - 1 : -1] == classes
    bright = "Glad" if "Glad" in classes else "Happy"
    for row in rows:
        assert row["label"] == bright == max(classes, key=lambda name: float(row[name]))
        assert sum(float(row[name]) for name in classes) == pytest.approx(1, abs=2e-3)
    assert f"track 1: {bright} 5" in capsys.readouterr().out
    plate = overlay.colors(classes)[bright]
    assert (np.abs(tools.read_video(tmp_path / "out.mp4")[0].astype(int) - plate).max(axis=2) < 40).sum() > 200


def test_the_models_from_the_shell(tmp_path, model):
    shutil.copy(model, tmp_path / "xception.onnx")
    done = shell("--model", "list", env=os.environ | {"FER_MODELS": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["model", "xception"]


def test_nothing_is_stored_unless_it_is_named(model, film, tmp_path):
    own_cache = os.environ | {"FER_CACHE": str(tmp_path / "cache")}
    done = shell("--source", film, "--headless", "--model", model, env=own_cache)
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())


def bad_sources(tmp_path) -> dict[str, tuple[object, str]]:
    (tmp_path / "empty folder").mkdir()
    whole = tools.write_video(tmp_path / "whole.mp4", list(NOISE))
    return {
        "cut": (tools.cut(whole, tmp_path / "cut.mp4"), "is not a video that can be read, or cut off"),
        "folder": (tmp_path / "empty folder", "holds no picture"),
        "camera": (97, "camera 97 cannot be opened"),
    }


@pytest.mark.parametrize("kind", ["cut", "folder", "camera"])
def test_a_bad_source_is_one_line_and_exit_code_2(tmp_path, model, kind):
    source, message = bad_sources(tmp_path)[kind]
    done = shell("--source", source, "--headless", "--model", model, "--csv", tmp_path / "out.csv")
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.startswith("error: source: ")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nothing"], "nothing.onnx"), (["--detect-every", "0"], "detect_every: must be"),
        (["--output", "out.txt"], "must end in .mp4"), (["--csv", "out.xls"], "must end in .csv"),
        (["--tracks", "out.txt"], "tracks: the name must"), (["--plot", "out.gif"], "plot: the name must"),
        (["--plot", "/proc/no/out.png"], "plot: cannot write"),
        (["--output", "/proc/no/out.mp4"], "cannot write"),
        (["--max-frames", "0"], "max_frames: must be 1 or more"),
        (["--output", "out", "--output-width", "0"], "output_width: must be 1 or more"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(film, model, capsys, options, message):
    assert main(["--source", str(film), "--headless", "--model", model, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


def test_the_source_is_never_overwritten(film, model, capsys):
    before = film.read_bytes()
    assert main(["--source", str(film), "--headless", "--model", model, "--output", str(film)]) == 2
    assert "is the source itself" in capsys.readouterr().err
    assert film.read_bytes() == before


def test_a_file_that_breaks_off_is_processed_as_far_as_it_goes(model, tmp_path, capsys):
    whole = tools.write_video(tmp_path / "whole.avi", list(NOISE), codec="MJPG")
    cut = tools.cut(whole, tmp_path / "cut.avi")
    options = ["--source", str(cut), "--headless", "--model", model, "--output", str(tmp_path / "o.mp4")]
    assert main(options) == 0
    said = capsys.readouterr().out
    count = int(re.search(r"note: .* lacks (\d+) frames", said).group(1))
    assert 20 < len(tools.read_video(tmp_path / "o.mp4")) == 60 - count


def test_no_face_is_said_and_leaves_an_empty_table(model, tmp_path, capsys):
    path = tools.write_video(tmp_path / "empty.mp4", [tools.scene()] * 20)
    assert main(["--source", str(path), "--headless", "--model", model, "--csv", str(tmp_path / "o.csv")]) == 0
    assert "no face was found in 20 frames" in capsys.readouterr().out
    assert rows_of(tmp_path / "o.csv") == []


def test_a_camera_that_goes_away_ends_regularly_with_an_error(model, tmp_path):
    said = []
    with tools.Stream() as stream:
        source = open_source(stream.url, patience=0.5)

        def unplug(result, _) -> None:
            stream.mode = "end" if result.frame.index >= 5 else "go"

        with pytest.raises(CaptureLost, match="stopped delivering frames"):
            run(source, output=tmp_path / "o.mp4", settings=Settings(model=model), on_result=unplug, log=said.append)
    assert any("wrote: " in line for line in said)
    assert tools.read_video(tmp_path / "o.mp4")
    assert "capture" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.slow
def test_a_stream_that_ends_from_the_shell(model, tmp_path):
    with tools.Stream() as stream:
        threading.Timer(4.0, lambda: setattr(stream, "mode", "end")).start()
        done = shell("--source", stream.url, "--headless", "--model", model, "--output", tmp_path / "o.mp4")
    assert done.returncode == 2
    assert re.fullmatch(r"error: source: http\S+ stopped delivering frames \(after \d+ frames\)\n", done.stderr)
    assert tools.read_video(tmp_path / "o.mp4")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_leaves_a_playable_video_and_a_complete_table(model, tmp_path, number):
    source = tools.write_video(tmp_path / "long.mp4", [tools.scene((250 + i % 90, 240)) for i in range(90)] * 12)
    video, table = tmp_path / "out.mp4", tmp_path / "out.csv"
    process = subprocess.Popen(
        command("--source", source, "--headless", "--model", model, "--output", video, "--csv", table),
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup it would be ignored, and stay so
    )
    while not table.exists() or table.read_text().count("\n") < 31:  # 30 rows and the header
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    frames, rows = tools.read_video(video), rows_of(table)
    assert 30 <= len(frames) < 1080
    assert int(rows[-1]["frame"]) == len(frames) - 1
    assert all(None not in row.values() for row in rows)
    assert f"({len(frames)} frames)" in out
    assert not list(tmp_path.glob(".*"))


def test_without_a_display_the_work_goes_on(model, film, tmp_path, no_display, capsys):
    assert main(["--source", str(film), "--model", model, "--csv", str(tmp_path / "o.csv")]) == 0
    said = capsys.readouterr()
    assert "no window: there is no display (any more)" in said.out
    assert said.err == ""
    assert len(rows_of(tmp_path / "o.csv")) >= 38


def test_a_live_view_that_nobody_can_see_ends(model, no_display):
    said = []
    with tools.Stream() as stream:
        run(stream.url, headless=False, settings=Settings(model=model), log=said.append)
    assert any("no display" in line for line in said)


def test_the_iterator(model, film):
    results = list(pipeline(film, model=model, detect_every=5, max_frames=12))
    assert [result.frame.index for result in results] == list(range(12))
    assert [result.is_detection_frame for result in results] == [i % 5 == 0 for i in range(12)]
    assert all(track.text in (*CLASSES, "uncertain") for result in results for track in result.tracks)
    assert all(result.milliseconds["read"] >= 0 for result in results)


def test_the_iterator_gives_the_source_back_however_it_ends(model, film):
    with pytest.raises(RuntimeError, match="mine"):
        for _ in pipeline(film, model=model):
            raise RuntimeError("mine")
    results = pipeline(film, model=model)
    next(results)
    results.close()
    assert "capture" not in [thread.name for thread in threading.enumerate()]


def test_arrays_of_all_kinds(model):
    face = tools.scene((300, 240))
    kinds = [face, face[:, :, 1], np.dstack([face, face[:, :, :1]]), face.astype(np.uint16) * 257, face / 255.0]
    for image in kinds:
        (result,) = pipeline([image], model=model)
        assert len(result.tracks) == 1, (image.shape, image.dtype)
    assert list(pipeline([face[:1, :1]], model=model))[0].tracks == []
    assert list(pipeline([], model=model)) == []
    with pytest.raises(ImageError, match="not empty; got"):
        list(pipeline([face, np.zeros((0, 3), np.uint8)], model=model))


def test_colours_reach_the_video_unchanged(model, tmp_path):
    red = np.zeros((120, 160, 3), np.uint8)
    red[:, :, 0] = 250
    run(iter([red] * 5), output=tmp_path / "o.mp4", settings=Settings(model=model), log=lambda _: None)
    red, green, blue = tools.read_video(tmp_path / "o.mp4")[2][40:80].reshape(-1, 3).mean(0)
    assert red > 200 and green < 60 and blue < 60


def test_bright_faces_are_happy_and_dark_ones_sad(model):
    # The tiny classifier's rule: it shows that pixels and not only shapes arrive.
    bright = tools.scene((300, 240))
    labels = [list(pipeline([image], model=model))[0].tracks[0].label for image in (bright, bright // 3)]
    assert labels == ["Happy", "Sad"]


def test_blurred_faces_are_not_in_the_video(model, film, tmp_path):
    run(film, output=tmp_path / "o.mp4", blur=True, settings=Settings(model=model), log=lambda _: None, max_frames=20)
    again = list(pipeline(tmp_path / "o.mp4", model=model, detect_every=1))
    assert len(again) == 20
    assert sum(bool(result.tracks) for result in again) == 0


def test_a_face_that_waits_to_be_confirmed_is_blurred_from_its_first_frame(model, tmp_path, capsys):
    image = cv2.copyMakeBorder(tools.portrait(), 0, 0, 0, 128, cv2.BORDER_REPLICATE)
    turn = cv2.getRotationMatrix2D((230, 128), 35, 1)  # a tilted head in dim light
    image = (cv2.warpAffine(image, turn, (640, 512), borderMode=cv2.BORDER_REPLICATE) * 0.4).astype(np.uint8)
    assert [len(result.tracks) for result in pipeline(iter([image] * 2), model=model)] == [0, 1]
    source = tools.write_video(tmp_path / "tilted.mp4", [image] * 3)
    options = ["--headless", "--blur-faces", "--blur-min-face", "60", "--output", str(tmp_path / "o.mp4")]
    assert main(["--source", str(source), "--model", model, *options]) == 0
    assert "every frame is searched for faces to blur, from 60 pixels" in capsys.readouterr().out
    with Detector() as detector:
        counts = [len(detector.detect(frame)) for frame in (image, *tools.read_video(tmp_path / "o.mp4"))]
    assert counts == [1, 0, 0, 0]


def test_a_folder_of_pictures(model, tmp_path, capsys):
    names = ("a.png", b"caf\xe9.png", "line\nbreak.png", "z.png")
    for name, places in zip(names, [[(300, 240)], [(300, 240)], [], [(200, 200), (450, 260)]], strict=True):
        with open(os.path.join(os.fsencode(tmp_path), os.fsencode(name)), "wb") as file:
            file.write(cv2.imencode(".png", tools.scene(*places)[:, :, ::-1])[1])
    (tmp_path / "notes.txt").write_text("no picture")
    tables = tmp_path / "o.CSV", tmp_path / "o.jsonl"
    assert main([
        "--source", str(tmp_path), "--headless", "--model", model, "--csv", str(tables[0]), "--jsonl", str(tables[1]),
        "--output", str(tmp_path / "out"),
    ]) == 0  # fmt: skip
    rows, status = rows_of(tables[0]), ["face", "face", "no face", "face", "face", "left out: not a picture (10 bytes)"]
    assert [row["name"] for row in rows] == [
        "a.png", "caf\\udce9.png", "line\nbreak.png", "z.png", "z.png", "notes.txt",
    ]  # fmt: skip
    assert [row["track"] for row in rows] == ["1", "2", "", "3", "4", ""]
    assert [row["status"] for row in rows] == status
    lines = [json.loads(line) for line in tables[1].open()]
    assert [line["status"] for line in lines] == status
    assert os.fsencode(lines[1]["name"]) == names[1], "JSON gives the very name back"
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted(os.fsencode(name) for name in names)
    said = capsys.readouterr().out
    assert "note: notes.txt was left out: not a picture" in said
    assert re.search(r"speed: [\d.]+ pictures a second over 4 pictures", said)
    assert "faces: 4 (by apparent expression: Happy 4)" in said
    assert "pictures: 3 with a face, 1 without, 1 left out" in said


def test_names_that_no_terminal_shows_are_escaped(model, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9\x1b[2J.png")
    cv2.imencode(".png", tools.scene()[:, :, ::-1])[1].tofile(os.path.join(tmp_path, name))
    assert main(["--source", os.path.join(tmp_path, name), "--headless", "--model", model]) == 0
    assert "caf\\udce9\\x1b[2J.png\n" in capsys.readouterr().out
    assert main(["--source", name, "--headless", "--model", model]) == 2
    assert capsys.readouterr().err.startswith("error: source: there is no file caf\\udce9\\x1b[2J.png; must be ")


def test_pictures_and_videos_in_one_call(model, film, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), tools.scene((300, 240))[:, :, ::-1])
    shutil.copy(film, tmp_path / "b.mp4")
    options = ["--headless", "--model", model, "--source", *map(str, (tmp_path / "b.mp4", tmp_path / "a.png", film))]
    assert main([*options, "--csv", str(tmp_path / "o.csv")]) == 0
    rows = rows_of(tmp_path / "o.csv")
    names = ["a.png", str(film.relative_to(film.parent.parent)), f"{tmp_path.name}/b.mp4"]
    counts = Counter(row["name"].rpartition("/")[2] for row in rows)
    assert counts["a.png"] == 1 and counts["b.mp4"] == counts["film.mp4"] >= 38, names
    for name in ("b.mp4", "film.mp4"):
        own = [row for row in rows if row["name"].endswith(name)]
        assert own[0]["frame"] == "0" and len({row["track"] for row in own}) == 1
    assert len({row["track"] for row in rows}) == 3, "a track belongs to one source"
    for output in ("o.mp4", "out"):
        assert main([*options, "--output", str(tmp_path / output)]) == 2
        assert "one video, or for pictures alone; the source is 1 pictures and 2 videos" in capsys.readouterr().err


def test_cropped_faces(model, tmp_path):
    faces = [tools.portrait()[66:190, 174:272], tools.portrait()[66:190, 174:272] // 3, np.zeros((1, 1), np.uint8)]
    results = list(pipeline(faces, model=model, crops=True))
    assert [[track.label for track in result.tracks] for result in results] == [["Happy"], ["Sad"], []]
    assert results[0].tracks[0].box == (0, 0, 98, 124)
    with Classifier(model) as classifier:
        expected = classifier.predict(to_inputs(faces[:2]))
    assert np.allclose([result.tracks[0].raw for result in results[:2]], expected, atol=1e-6)
    cv2.imwrite(str(tmp_path / "a.png"), faces[0])
    table = tmp_path / "o.jsonl"
    assert main(["--source", str(tmp_path), "--headless", "--model", model, "--crops", "--jsonl", str(table)]) == 0
    (row,) = [json.loads(line) for line in table.open()]
    assert (row["label"], row["width"], row["height"]) == ("Happy", 98, 124)


def test_progress_is_shown_on_a_terminal_only(model, tmp_path):
    for name in "abc":
        cv2.imwrite(str(tmp_path / f"{name}.png"), tools.scene())
    terminal, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    arguments = command("--source", tmp_path, "--headless", "--model", model)
    done = subprocess.run(arguments, cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=theirs, check=True)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(theirs)
    os.close(terminal)
    assert re.search(r"100%.*3/3 \[\d\d:\d\d<00:00", shown) and b"%|" not in done.stdout
    assert shell(*arguments[3:]).stderr == ""


def test_a_reader_that_leaves_ends_the_program_quietly(model, film):
    process = subprocess.Popen(
        command("--source", film, "--headless", "--model", model, "--max-frames", "2"), cwd=paths.ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(60) == 141


def test_a_run_can_be_ended_from_outside(model, film):
    seen = []

    def seven(_, drawn) -> bool:
        seen.append(drawn)
        return len(seen) < 7

    summary = run(film, settings=Settings(model=model), log=lambda _: None, on_result=seven)
    assert summary.frames == len(seen) == 7
    assert seen[0].shape == (480, 640, 3)
