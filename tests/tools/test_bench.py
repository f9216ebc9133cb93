"""The benchmark's own machinery, with our contenders only: no other package is needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_utils import paths
from fer_utils.faces import Detector
from tools.bench import environment, frames, goals, results
from tools.bench.contenders import CONTENDERS, FACE, HEAVY, Contender, find_contender, missing_model
from tools.bench.figure import overview
from tools.bench.frames import PERIOD, SCENES
from tools.bench.process import Process, WorkerError
from tools.bench.run import Plan, main, refresh, run, table

SMALL = SCENES[0]
PLAN = Plan({480: 2}, {480: 3}, starts=1, warm_up=1)
HAS_HEAVY = (paths.MODELS / f"{HEAVY}.onnx").is_file()
OURS = [find_contender("ours-detect"), *([find_contender("ours-heavy")] if HAS_HEAVY else [])]


def numbers(fps: float, found: float = 1.0) -> dict:
    return {
        "n": 6, "median_ms": 1000 / fps, "p95_ms": 1500 / fps, "fps": fps, "found": found,
        "rounds_ms": [1000 / fps] * 2, "rounds_fps": [fps, 2 * fps],
    }


def an_entry(name: str, fps: float, *, status: str = "", accuracy: float | None = None, found: float = 1.0) -> dict:
    """A contender's stored entry; its second scene is three times as slow."""
    contender = find_contender(name)
    scenes = {} if status else {"640x480-1": numbers(fps, found), "640x480-4": numbers(fps / 3)}
    return {
        "name": name, "title": contender.title, "labels": contender.labels, "own": contender.own, "status": status,
        "python": "3.11.7", "versions": {} if status else {contender.packages[0]: "1.0"}, "starts": [1.25],
        "accuracy": accuracy, "start_s": None if status else 1.25, "peak_mb": None if status else 450, "scenes": scenes,
    }


def stored(*entries: dict) -> dict:
    machine = {"cpu": "A CPU", "cores": 2, "cores_there": 8, "memory_gb": 16, "system": "Debian 12", "python": "3.11.7"}
    return {
        "date": "2026-01-31", "machine": machine, "private_test": 3589, "contenders": list(entries),
        "plan": {"rounds": {"480": 2}, "frames": {"480": 3}, "starts": 1},
        "scenes": [{"name": scene.name, "title": scene.title, "faces": scene.faces} for scene in SCENES[:2]],
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory, drawn):
    """A run of our own contenders and of one whose environment is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        said: list[str] = []
        peers = tmp_path_factory.mktemp("peers") / ".venv-none"
        contenders = [*OURS, find_contender("mtcnn")]
        part = drawn.images[:6], drawn.labels[:6]
        yield run(contenders, [SMALL], plan=PLAN, private_test=part, peers=peers, say=said.append), said


@pytest.mark.parametrize("scene", SCENES[:2], ids=lambda scene: scene.name)
def test_frames_are_a_loop_in_which_every_face_can_be_found(scene):
    image = frames.frame(scene, 13)
    assert image.shape == (scene.height, scene.width, 3) and image.dtype == np.uint8
    assert np.array_equal(image, frames.frame(scene, 13 + PERIOD))
    assert not np.array_equal(image, frames.frame(scene, 14))
    with Detector(min_face_size=40) as detector:
        assert [len(detector.detect(frames.frame(scene, index))) for index in (0, 13, 26)] == [scene.faces] * 3


def test_written_frames_are_read_back(done):
    path = frames.write(SMALL, paths.cache_dir())
    assert path.stat().st_size == PERIOD * 640 * 480 * 3
    assert np.array_equal(frames.read(path, 640, 480, PERIOD + 7), frames.frame(SMALL, 7))


def test_a_run_times_every_frame_of_every_round(done):
    found, said = done
    for contender in OURS:
        entry = results.find(found, contender.name)
        scene = entry["scenes"][SMALL.name]
        assert scene["n"] == 6 and scene["found"] == 1.0
        assert len(scene["rounds_ms"]) == len(scene["rounds_fps"]) == 2
        assert 0 < min(scene["rounds_ms"]) <= scene["median_ms"] <= scene["p95_ms"]
        assert entry["start_s"] > 0 and entry["peak_mb"] > 20 and entry["versions"]["onnxruntime"]
    assert found["machine"]["cores"] >= 1 and not found["machine"]["busy"] > 1 and found["plan"]["frames"] == {480: 3}
    assert "  640×480, one face: 2 rounds of 3 frames" in said


def test_who_does_not_start_is_told_with_the_reason_and_ends_nothing(done):
    found, said = done
    entry = next(entry for entry in found["contenders"] if entry["name"] == "mtcnn")
    assert entry["status"] == "did not start: .venv-none/peers is not there; `make bench` builds it"
    assert any(entry["status"] in line for line in said) and entry["status"] in table(found)


@pytest.mark.skipif(not HAS_HEAVY, reason="needs models/xception.onnx")
def test_a_classifier_is_measured_without_a_detector(done):
    accuracy = {entry["name"]: entry["accuracy"] for entry in done[0]["contenders"]}
    assert 0 <= accuracy["ours-heavy"] <= 1 and accuracy["ours-detect"] is None


@pytest.mark.skipif(not HAS_HEAVY, reason="needs models/xception.onnx")
def test_accuracy_is_measured_anew_and_speeds_stay(done, drawn):
    before = stored(an_entry("ours-heavy", 25, accuracy=0.123), an_entry("fer", 4, accuracy=0.5))
    after = refresh(before, (drawn.images[:6], drawn.labels[:6]), contenders=OURS, say=lambda _: None)
    ours, theirs = after["contenders"]
    measured = {entry["name"]: entry["accuracy"] for entry in done[0]["contenders"]}
    assert ours == before["contenders"][0] | {"accuracy": measured["ours-heavy"]} and theirs == before["contenders"][1]


def test_accuracy_needs_the_data(monkeypatch, capsys):
    monkeypatch.setenv("FER_DATA", "sample")
    with pytest.raises(SystemExit):
        main(["--accuracy"])
    assert "--accuracy: needs FER2013" in capsys.readouterr().err


def test_a_missing_model_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    assert missing_model(find_contender("ours-heavy")) == "models/xception.onnx is not there"
    assert missing_model(find_contender("mtcnn")) == ""
    found = run([find_contender("ours-heavy")], [SMALL], plan=PLAN, say=lambda _: None)
    assert found["contenders"][0]["status"] == "left out: models/xception.onnx is not there"
    assert found["contenders"][0]["scenes"] == {}


def test_a_worker_that_fails_says_why(done):
    path, nobody = frames.write(SMALL, paths.cache_dir()), Contender("nobody", "", list, False, "", ())
    with pytest.raises(WorkerError, match=r"ValueError: name: must be one of ours-light, .*; got 'nobody'"):
        Process(nobody, Path(sys.executable), path, SMALL)
    with Process(OURS[0], Path(sys.executable), path, SMALL) as process:
        assert process.ready["labels"] == [FACE]
        with pytest.raises(WorkerError, match="FileNotFoundError.*nothing.rgb"):
            process.ask(do="run", file="nothing.rgb", width=9, height=9, start=0, stop=1, lead=0, time=0)


def test_the_table_shows_speed_faults_and_absence():
    text = table(stored(
        an_entry("ours-heavy", 50, accuracy=0.701), an_entry("fer", 5, accuracy=0.6545, found=0.5),
        an_entry("facex", 1, status="did not start: it crashed (SIGSEGV)"), an_entry("ours-detect", 40),
        an_entry("mtcnn", 4),
    ))
    lines = text.splitlines()
    assert lines[0] == (
        "| From frame to label | 640×480, one face | 640×480, four faces | start-up | peak memory | PrivateTest |"
    )
    speed = "**50.0 FPS**<br>20.0 / 30.0 ms | **16.7 FPS**<br>60.0 / 90.0 ms"
    assert lines[2] == f"| **ours, Xception** | {speed} | 1.2 s | 450 MB | 70.1 % |"
    assert lines[3].startswith("| `fer`, MTCNN | **5.0 FPS**<br>200 / 300 ms<br>found 50 % | ")
    assert lines[4] == "| `facex`, Haar cascade | did not start: it crashed (SIGSEGV) |  |  |  |  |"
    assert "- MTCNN alone, same settings: **10.0 times** as fast as `mtcnn` (10.0 to 10.0 over the rounds)" in lines
    assert "A CPU, 2 of 8 cores, 16 GB of memory, no accelerator; Debian 12, Python 3.11.7" in lines[-1]
    assert "2 × 3 at 480 lines" in lines[-1]
    columns = {line.count("|") for line in lines[:5]}
    assert columns == {7}


def test_goals_are_reached_missed_or_not_measured():
    lines = goals.lines(stored(an_entry("ours-heavy", 25), an_entry("ours-detect", 40), an_entry("mtcnn", 4)))
    assert lines[0] == "goal reached: MTCNN alone against mtcnn, same settings, 640×480: 10.0 × (aim ≥ 8 ×)"
    assert "goal missed: Xception, 640×480, one face: 25.0 FPS (aim ≥ 30 FPS)" in lines
    assert "goal not measured: MobileNetV3-Large, 640×480, one face (aim ≥ 60 FPS)" in lines
    assert "goal reached: peak memory, Xception: 450.0 MB (aim ≤ 700 MB)" in lines
    assert len(lines) == len(goals.GOALS)


@pytest.mark.parametrize("light, line", [
    (0.66, "goal reached: the fastest that is more accurate than fer, against fer, 640×480, one face: 20.0 ×"),
    (0.64, "goal missed: the fastest that is more accurate than fer, against fer, 640×480, one face: 5.0 ×"),
])
def test_speed_beside_fer_counts_with_more_accuracy_only(light, line):
    entries = an_entry("ours-light", 100, accuracy=light), an_entry("ours-heavy", 25, accuracy=0.70)
    lines = goals.lines(stored(*entries, an_entry("fer", 5, accuracy=0.6545)))
    assert f"{line} (aim ≥ 10 ×)" in lines


def test_a_part_of_the_benchmark_is_not_stored(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("FER_FIGURE", str(tmp_path))
    monkeypatch.setattr("tools.bench.run.run", lambda *_, **__: stored(an_entry("ours-detect", 40)))
    assert main(["--only", "ours-detect", "--cores", "0"]) == 0
    assert "nothing is stored" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_ratio_is_taken_within_rounds():
    found = stored(an_entry("ours-detect", 40), an_entry("mtcnn", 4))
    found["contenders"][1]["scenes"]["640x480-1"]["rounds_fps"] = [4, 4]
    assert results.ratio(found, "ours-detect", "mtcnn", "640x480-1") == (15, 10, 20)
    assert results.ratio(found, "ours-detect", "facenet", "640x480-1") is None


def test_the_command_line_knows_the_contenders(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "nobody"])
    assert all(contender.name in capsys.readouterr().err for contender in CONTENDERS[:1])


@pytest.mark.parametrize(("name", "packages"), [
    ("peers", {"fer", "mtcnn", "facenet-pytorch", "facex"}), ("mediapipe", {"mediapipe", "numpy"}),
])
def test_every_package_is_pinned(name, packages):
    wanted = environment.wanted(environment.REQUIREMENTS[name].read_text(encoding="utf-8"))
    assert all(re.fullmatch(r'[a-z0-9-]+==[0-9][\w.]*(; platform_system == "Linux")?', line) for line in wanted)
    names = {line.split("==")[0] for line in wanted}
    assert packages <= names and len(names) == len(wanted)


def test_every_contender_has_an_environment():
    assert {contender.environment for contender in CONTENDERS} == {"", *environment.REQUIREMENTS}


FIGURE = stored(
    an_entry("ours-detect", 60), an_entry("ours-heavy", 50), an_entry("fer", 4),
    an_entry("facex", 1, status="did not start: no such module"),
)


def test_the_figure_has_a_panel_a_scene_then_start_up_and_memory():
    axes = overview(FIGURE).axes
    titles = [axis.get_title(loc="left") or axis.get_title() for axis in axes]
    assert titles == [*(scene.title for scene in SCENES[:2]), "start to first label, seconds", "peak memory, MB"]
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names[2:4] == ["facex, Haar cascade (did not start)", "ours, MTCNN alone"], "detectors stand below"
    numbers = {text.get_text() for text in axes[0].texts}
    assert numbers == {" 50", " 4.0", " 60", "detection only "}, "who did not come through has no number"
    assert axes[0].get_xscale() == "log" and axes[0].get_xlim() == axes[1].get_xlim()


def test_the_figure_takes_a_single_scene_and_needs_somebody():
    one = FIGURE | {"scenes": FIGURE["scenes"][:1]}
    del one["contenders"][2]["scenes"]["640x480-4"]
    assert [axis.axison for axis in overview(one).axes] == [True, False, True, True]
    with pytest.raises(ValueError, match="results"):
        overview(stored(an_entry("facex", 1, status="did not start")))
