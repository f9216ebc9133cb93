"""Videos and tables that survive whatever ends the work, the source's sound, and a window that fails alone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import time
from itertools import islice

import av
import numpy as np
import pytest
import realtime_tools as tools
import video_files

from fer_utils.data import CLASSES
from fer_utils.realtime import Frame, Settings, captures, run, sinks
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sinks import COLUMNS, SinkError, Table, VideoSink, Window
from fer_utils.realtime.tracker import Track

RED = np.zeros((96, 128, 3), np.uint8)
RED[:, :, 0] = 250


def a_track() -> Track:
    probabilities = np.array([0.05, 0, 0.05, 0.7, 0.1, 0.1, 0], np.float32)
    points = np.arange(10, dtype=np.float32).reshape(5, 2) + 0.25
    return Track(
        (10.04, 20, 30, 40.06), 0.98765, points, time=1.5, id=3, raw=probabilities[::-1],
        probabilities=probabilities, label="Happy", uncertain=False,
    )


def a_result(*tracks: Track) -> Result:
    return Result(Frame(RED, 1.23456, 31, "face, 1.png"), list(tracks), [], True)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_columns_hold_what_was_promised():
    assert COLUMNS[:9] == ("time", "frame", "name", "track", "x", "y", "width", "height", "score")
    assert COLUMNS[-2:] == ("label", "status")
    assert len(COLUMNS) == 9 + 10 + 1 + 1
    row = sinks.record(a_result().frame, a_track())
    assert (row["time"], row["frame"], row["track"], row["x"], row["height"]) == (1.235, 31, 3, 10.0, 40.1)
    assert (row["left_eye_x"], row["left_eye_y"], row["mouth_right_y"]) == (0.2, 1.2, 9.2)
    assert (row["label"], row["Happy"], row["raw"][3]) == ("Happy", 0.7, 0.7)
    assert sum(row[name] for name in CLASSES) == pytest.approx(1, abs=1e-3)


def test_csv_is_complete_after_every_row(tmp_path):
    path = tmp_path / "new folder" / "out.csv"
    with Table(path) as table:
        for count in range(1, 4):
            table.write(a_result(a_track()))
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            assert len(rows) == table.count == count, "rows must be on disk at once: Ctrl-C may come next"
    assert tuple(rows[0]) == (*COLUMNS[:-1], *CLASSES, "status")
    assert rows[0]["name"] == "face, 1.png"
    assert float(rows[2]["Happy"]) == 0.7


def test_two_runs_do_not_write_one_table(tmp_path):
    path = tmp_path / "out.csv"
    with Table(path) as table:
        table.write(a_result(a_track()))
        with pytest.raises(SinkError, match=r"out\.csv: another run is writing it"):
            Table(path)
    assert path.read_text().count("\n") == 2
    with Table(path):
        pass
    assert path.read_text().count("\n") == 1, "a later run begins a new table"


def test_json_lines(tmp_path):
    with Table(tmp_path / "out.jsonl") as table:
        table.write(a_result(a_track(), a_track()))
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["track"] for line in lines] == [3, 3]
    assert len(json.loads(lines[0])["raw"]) == 7


@pytest.mark.parametrize("sink", [Table, VideoSink])
def test_unknown_endings(tmp_path, sink):
    with pytest.raises(SinkError, match=r"out\.txt"):
        sink(tmp_path / "out.txt")
    assert not list(tmp_path.glob("*.txt"))


@pytest.mark.parametrize(("sink", "name"), [(Table, "out.csv"), (VideoSink, "out.mp4")])
def test_places_that_cannot_be_written(tmp_path, sink, name):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SinkError, match="cannot write .*file"):
        sink(tmp_path / "file" / name)
    (tmp_path / name).mkdir()
    with pytest.raises(SinkError, match=name):
        sink(tmp_path / name)


# --- videos ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.mp4", "out.MOV", "out.mkv", "out.webm"])
def test_a_video_is_playable_and_red_stays_red(tmp_path, name):
    with VideoSink(tmp_path / name, fps=20) as sink:
        for _ in range(5):
            sink.write(RED)
    frames = tools.read_video(tmp_path / name)
    assert len(frames) == sink.count == 5
    red, green, blue = frames[2].reshape(-1, 3).mean(0)
    assert red > 200 and green < 60 and blue < 60


def test_nothing_under_the_final_name_until_it_is_closed(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("an older film")
    sink = VideoSink(path)
    sink.write(RED)
    assert path.read_text() == "an older film"
    sink.close()
    sink.close()
    assert os.listdir(tmp_path) == ["out.mp4"]
    assert len(tools.read_video(path)) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_costs_no_frame(tmp_path, error):
    with pytest.raises(error), VideoSink(tmp_path / "out.mp4") as sink:
        for i in range(9):
            sink.write(RED)
            if i == 6:
                raise error
    assert len(tools.read_video(tmp_path / "out.mp4")) == 7


def test_no_frame_no_file(tmp_path):
    with VideoSink(tmp_path / "out.mp4"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_full_disk_ends_the_video_but_keeps_it(tmp_path, monkeypatch):
    with pytest.raises(SinkError, match="^output: .*25 frames"), VideoSink(tmp_path / "out.mp4") as sink:
        for i in range(60):
            monkeypatch.setattr(sinks, "RESERVE", 0 if i < 20 else 1 << 60)
            sink.write(RED)
    assert len(tools.read_video(tmp_path / "out.mp4")) == 25


def test_frames_of_changing_size_are_fitted(tmp_path):
    shapes = ((96, 128), (48, 128), (192, 128), (1, 1))
    bright = [np.full((*shape, 3), 200, np.uint8) for shape in shapes]
    with VideoSink(tmp_path / "out.mp4") as sink:
        for image in bright:
            sink.write(image)
    frames = tools.read_video(tmp_path / "out.mp4")
    assert {frame.shape for frame in frames} == {(96, 128, 3)}
    assert frames[1][48, 64].mean() > 150 > 60 > frames[1][5, 64].mean(), "black above and below a wider picture"
    assert frames[2][48, 64].mean() > 150 > 60 > frames[2][48, 5].mean(), "black beside a higher one"


@pytest.mark.parametrize("shape", [(1, 1), (97, 129)])
def test_odd_and_tiny_frames(tmp_path, shape):
    with VideoSink(tmp_path / "out.mp4") as sink:
        sink.write(np.full((*shape, 3), 90, np.uint8))
    (frame,) = tools.read_video(tmp_path / "out.mp4")
    assert frame.shape[0] >= max(16, shape[0]) and frame.shape[1] >= max(16, shape[1])


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm"])
@pytest.mark.parametrize("begin", [0.0, 7.0])
def test_every_frame_is_shown_at_its_own_time(tmp_path, name, begin):
    times = [0, 0.017, 0.05, 0.051, 0.3, 2.3, 2.35]
    with VideoSink(tmp_path / name, fps=20) as sink:
        for seconds in times:
            sink.write(RED, seconds=begin + seconds)
    found = video_files.read(tmp_path / name)
    assert found.times == pytest.approx(times, abs=6e-4)
    with av.open(str(tmp_path / name)) as file:
        assert file.duration / 1e6 == pytest.approx(2.4, abs=0.01), "the last frame is shown as long as a usual one"


@pytest.mark.parametrize(("name", "codec"), [("out.mp4", "h264"), ("out.webm", "vp9")])
def test_browsers_and_phones_play_it(tmp_path, name, codec):
    with VideoSink(tmp_path / name) as sink:
        sink.write(RED)
    with av.open(str(tmp_path / name)) as file:
        video = file.streams.video[0]
        assert (video.codec_context.codec.canonical_name, video.pix_fmt) == (codec, "yuv420p")
    content = (tmp_path / name).read_bytes()
    assert codec != "h264" or content.index(b"moov") < content.index(b"mdat"), "a browser needs the index first"


def test_colours_survive_writing_and_reading(tmp_path):
    colours = np.array([[250, 20, 20], [20, 200, 30], [30, 40, 220], [230, 230, 20], [128, 128, 128]], np.uint8)
    with VideoSink(tmp_path / "out.mp4") as sink:
        sink.write(np.repeat(np.repeat(colours[None], 64, 0), 32, 1))
    found = video_files.read(tmp_path / "out.mp4").image[16:48].reshape(32, 5, 32, 3)[:, :, 8:24].mean((0, 2))
    assert np.abs(found - colours).max() < 8


# --- sound -----------------------------------------------------------------------------------------------------------

FRAMES = video_files.steps()


def usual(path) -> None:
    video_files.write(path, FRAMES, tone=2)


def pcm(path) -> None:
    video_files.write(path, FRAMES, tone=2, tone_codec="pcm_s16le")


def short(path) -> None:
    video_files.write(path, FRAMES, tone=1)


def long(path) -> None:
    video_files.write(path, FRAMES, tone=5)


def late_start(path) -> None:
    video_files.write(path, FRAMES, start=9.6, tone=2, tone_start=9.6)


def late_sound(path) -> None:
    video_files.write(path, FRAMES, tone=1.5, tone_start=0.8)


def sound_first(path) -> None:
    video_files.write(path, FRAMES, start=0.3, tone=3)


def trimmed(path) -> None:
    whole = path.with_name("whole.mp4")
    video_files.write(whole, FRAMES, tone=2, keyframes=30)
    video_files.trimmed(whole, path, 0.3)


def browser(path) -> None:
    video_files.browser_recording(path, FRAMES, tone=1)


def silent(path) -> None:
    video_files.write(path, FRAMES)


# How the source is made, its name, the output's, the sound's codec there, and begin and end of its tone in the video.
SOUNDS = [
    (usual, "f.mp4", "o.mp4", "aac", (0.5, 2.0)), (usual, "f.mp4", "o.mkv", "aac", (0.5, 2.0)),
    (usual, "f.mp4", "o.mov", "aac", (0.5, 2.0)), (usual, "f.mp4", "o.webm", "opus", (0.5, 2.0)),
    (usual, "f.ts", "o.mp4", "aac", (0.5, 2.0)), (pcm, "f.mkv", "o.mp4", "aac", (0.5, 2.0)),
    (pcm, "f.mkv", "o.mkv", "pcm_s16le", (0.5, 2.0)), (short, "f.mp4", "o.mp4", "aac", (0.5, 1.0)),
    (short, "f.mp4", "o.webm", "opus", (0.5, 1.0)), (long, "f.mkv", "o.mp4", "aac", (0.5, 2.0)),
    (late_start, "f.mp4", "o.mp4", "aac", (0.5, 2.0)), (late_start, "f.mkv", "o.webm", "opus", (0.5, 2.0)),
    (late_sound, "f.mp4", "o.mp4", "aac", (1.3, 2.0)), (late_sound, "f.mkv", "o.webm", "opus", (1.3, 2.0)),
    (sound_first, "f.mp4", "o.mp4", "aac", (0.2, 2.0)), (trimmed, "f.mp4", "o.mp4", "aac", (0.2, 1.7)),
    (browser, "f.webm", "o.mp4", "aac", (0.5, 1.0)), (browser, "f.webm", "o.webm", "opus", (0.5, 1.0)),
    (silent, "f.mp4", "o.mp4", None, None),
]  # fmt: skip


def copied(source, output, *, count=None) -> tuple[list[float], list[str]]:
    """Write a source's frames as they are; their times, and the source's notes."""
    with open_source(source) as frames, VideoSink(output, fps=frames.fps, sound_of=frames) as sink:
        times = []
        for frame in islice(frames, count):
            sink.write(frame.image, seconds=frame.time)
            times.append(frame.time)
    return times, frames.notes


@pytest.mark.parametrize(
    ("make", "name", "output", "codec", "tone"), SOUNDS, ids=[f"{s[0].__name__} {s[1]} {s[2]}" for s in SOUNDS]
)
def test_picture_and_sound_stay_together(tmp_path, make, name, output, codec, tone):
    make(tmp_path / name)
    times, notes = copied(tmp_path / name, tmp_path / output)
    found = video_files.read(tmp_path / output)
    assert found.times == pytest.approx(times, abs=6e-4) and len(times) >= 34
    assert (found.sound, found.tone) == (codec, tone and pytest.approx(tone, abs=0.1))
    assert notes == []


def test_a_video_that_ends_early_cuts_the_sound(tmp_path):
    usual(tmp_path / "f.mp4")
    copied(tmp_path / "f.mp4", tmp_path / "o.mp4", count=20)
    found = video_files.read(tmp_path / "o.mp4")
    assert len(found.times) == 20 and found.tone == pytest.approx((0.5, 1.0), abs=0.1)


def test_a_gap_in_the_sound_stays_where_it_is(tmp_path):
    video_files.write(tmp_path / "f.mkv", FRAMES, tone=2, tone_codec="pcm_s16le", gap=(0.2, 1.0))
    copied(tmp_path / "f.mkv", tmp_path / "o.mp4")
    assert video_files.read(tmp_path / "o.mp4").tone == pytest.approx((1.0, 2.0), abs=0.1)


@pytest.mark.parametrize("fault", ["the file is gone", "no such codec"])
def test_sound_that_fails_costs_the_sound_only(tmp_path, monkeypatch, fault):
    source = tmp_path / "f.mkv"
    pcm(source)
    if fault == "no such codec":
        monkeypatch.setattr(captures, "COPIED", {".webm": ("pcm_s16le",)})
    with open_source(source) as frames, VideoSink(tmp_path / "o.webm", fps=20, sound_of=frames) as sink:
        for frame in frames:
            if fault == "the file is gone":
                source.unlink(missing_ok=True)
            sink.write(frame.image, seconds=frame.time)
    found = video_files.read(tmp_path / "o.webm")
    assert len(found.times) == 40 and found.sound is None
    assert [note.split(":")[0] for note in frames.notes] == ["the video has no sound"]


def test_a_run_keeps_the_sound(tmp_path, model):
    usual(tmp_path / "f.mp4")
    said = []
    run(tmp_path / "f.mp4", output=tmp_path / "o.mp4", settings=Settings(model=model), log=said.append)
    found = video_files.read(tmp_path / "o.mp4")
    assert (len(found.times), found.sound) == (40, "aac"), said
    assert f"wrote: {tmp_path / 'o.mp4'} (40 frames)" in said


# --- the window ------------------------------------------------------------------------------------------------------

IMAGE = np.full((120, 160, 3), 90, np.uint8)


def until(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def show_until(window: Window, condition) -> bool:
    return until(lambda: (window.show(IMAGE), condition())[1])


def test_without_a_display_only_the_window_fails(no_display, capfd):
    with Window("test") as window:
        assert show_until(window, lambda: window.failed)
        assert window.show(IMAGE) is False
    assert capfd.readouterr() == ("", "")


def test_a_window_that_dies_does_not_take_us_along():
    with Window("test") as window:
        window._process.kill()
        assert show_until(window, lambda: window.failed)


def test_closing_is_no_failure_and_may_be_repeated(no_display):
    window = Window("test")
    window.close()
    assert not window.failed
    assert window._process.poll() is not None
    window.close()


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb (apt install xvfb), a display without a screen")
def test_a_window_shows_frames_from_any_folder_until_the_display_goes_away(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "csv.py").write_text("raise SystemExit('a module of the user')")
    display = subprocess.Popen(["Xvfb", ":97"], stderr=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("DISPLAY", ":97")
        assert until(lambda: os.path.exists("/tmp/.X11-unix/X97"))
        with Window("the user's \"film\"") as window:
            for _ in range(60):
                assert window.show(IMAGE)
                time.sleep(0.05)
            display.kill()
            assert show_until(window, lambda: window.failed)
    finally:
        display.kill()
        display.wait()
