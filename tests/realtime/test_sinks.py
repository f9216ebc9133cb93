"""Videos and tables that survive whatever ends the work, the source's sound, and a window that fails alone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import time

import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.data import CLASSES
from fer_utils.realtime import Frame, Settings, run, sinks
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.sinks import COLUMNS, SinkError, Table, VideoSink, Window, copy_sound
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
    assert COLUMNS[-8:] == (*CLASSES, "status")
    assert len(COLUMNS) == 9 + 10 + 1 + 7 + 1
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
            assert len(rows) == table.rows == count, "rows must be on disk at once: Ctrl-C may come next"
    assert tuple(rows[0]) == COLUMNS
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


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi", "out.webm"])
def test_a_video_is_playable_and_red_stays_red(tmp_path, name):
    with VideoSink(tmp_path / name, fps=20) as sink:
        for _ in range(5):
            sink.write(RED)
    frames = tools.read_video(tmp_path / name)
    assert len(frames) == sink.frames == 5
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


def test_a_live_video_lasts_as_long_as_what_it_shows(tmp_path):
    with VideoSink(tmp_path / "out.mp4", fps=25, live=True) as sink:
        for seconds in (7.0, 7.01, 7.5, 8.0, 9.0):
            sink.write(RED, seconds=seconds)
    assert len(tools.read_video(tmp_path / "out.mp4")) == pytest.approx(2.0 * 25, abs=1)


# --- sound -----------------------------------------------------------------------------------------------------------

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg: apt-get install ffmpeg")
FRAMES = [np.full((120, 160, 3), 60 + i, np.uint8) for i in range(50)]


def streams(path) -> str:
    """What ffmpeg says of a file's streams."""
    return subprocess.run(["ffmpeg", "-hide_banner", "-i", path], capture_output=True, text=True).stderr


def with_tone(path, *, codec="aac", seconds=2):
    silent = tools.write_video(path.with_name("silent.mp4"), FRAMES)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", silent, "-f", "lavfi", "-i", f"sine=440:duration={seconds}",
         "-c:v", "copy", "-c:a", codec, path], check=True,
    )
    return path


@needs_ffmpeg
@pytest.mark.parametrize("name, codec", [("talk.mp4", "aac"), ("talk.mkv", "pcm_s16le")])
def test_a_run_keeps_the_sound(tmp_path, model, name, codec):
    source, said = with_tone(tmp_path / name, codec=codec), []
    run(source, output=tmp_path / "out.mp4", settings=Settings(model=model), log=said.append)
    assert "Audio:" in streams(tmp_path / "out.mp4"), said
    assert len(tools.read_video(tmp_path / "out.mp4")) == len(FRAMES)
    assert not [line for line in said if "no sound" in line]


@needs_ffmpeg
def test_a_run_that_ends_early_cuts_the_sound(tmp_path, model):
    source = with_tone(tmp_path / "talk.mp4")
    run(source, output=tmp_path / "out.mp4", settings=Settings(model=model), max_frames=20, log=lambda _: None)
    told = streams(tmp_path / "out.mp4")
    assert "Audio:" in told and "Duration: 00:00:00.8" in told
    assert len(tools.read_video(tmp_path / "out.mp4")) == 20


@needs_ffmpeg
def test_a_source_without_sound_changes_no_picture(tmp_path):
    video = tools.write_video(tmp_path / "a.mp4", FRAMES)
    before = tools.read_video(video)
    assert copy_sound(tools.write_video(tmp_path / "b.mp4", FRAMES), video) is None
    assert np.array_equal(before, tools.read_video(video)) and "Audio:" not in streams(video)


@needs_ffmpeg
def test_a_broken_source_leaves_the_silent_video(tmp_path):
    video = tools.write_video(tmp_path / "a.mp4", FRAMES)
    before = video.read_bytes()
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert copy_sound(tmp_path / "b.mp4", video).startswith("a.mp4 has no sound")
    assert video.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_without_ffmpeg_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks.shutil, "which", lambda _: None)
    assert "is not installed" in copy_sound(tmp_path / "b.mp4", tmp_path / "a.mp4")


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
