from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.data import CLASSES
from fer_utils.realtime.frame import Frame
from fer_utils.realtime.sinks import COLUMNS, SinkError, Table, VideoSink, record
from fer_utils.realtime.tracker import Track

RED = np.zeros((96, 128, 3), np.uint8)
RED[:, :, 0] = 250


def a_track() -> Track:
    probabilities = np.array([0.05, 0, 0.05, 0.7, 0.1, 0.1, 0], np.float32)
    points = np.arange(10, dtype=np.float32).reshape(5, 2) + 0.25
    return Track(
        (10.04, 20, 30, 40.06), 0.98765, points, time=1.5, born=1.0, id=3, raw=probabilities[::-1],
        probabilities=probabilities, label="Happy", uncertain=False,
    )


FRAME = Frame(RED, 1.23456, 31, "face, 1.png")


def test_columns_hold_what_was_promised():
    assert COLUMNS[:9] == ("time", "frame", "name", "track", "x", "y", "width", "height", "score")
    assert COLUMNS[-7:] == CLASSES
    assert len(COLUMNS) == 9 + 10 + 1 + 7
    row = record(FRAME, a_track())
    assert (row["time"], row["frame"], row["track"], row["x"], row["height"]) == (1.235, 31, 3, 10.0, 40.1)
    assert (row["left_eye_x"], row["left_eye_y"], row["mouth_right_y"]) == (0.2, 1.2, 9.2)
    assert (row["label"], row["Happy"], row["raw"][3]) == ("Happy", 0.7, 0.7)
    assert sum(row[name] for name in CLASSES) == pytest.approx(1, abs=1e-3)


def test_csv_is_complete_after_every_row(tmp_path):
    path = tmp_path / "new folder" / "out.csv"
    with Table(path) as table:
        for count in range(1, 4):
            table.write(record(FRAME, a_track()))
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            assert len(rows) == table.rows == count, "rows must be on disk at once: Ctrl-C may come next"
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["name"] == "face, 1.png"
    assert float(rows[2]["Happy"]) == 0.7


def test_csv_leaves_unknown_landmarks_empty(tmp_path):
    track = a_track()
    track.landmarks = None
    with Table(tmp_path / "out.csv") as table:
        table.write(record(FRAME, track))
    row = list(csv.DictReader((tmp_path / "out.csv").open()))[0]
    assert row["nose_x"] == ""


def test_json_lines(tmp_path):
    with Table(tmp_path / "out.jsonl") as table:
        table.write(record(FRAME, a_track()))
        table.write(record(FRAME, a_track()))
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["track"] for line in lines] == [3, 3]
    assert len(json.loads(lines[0])["raw"]) == 7


@pytest.mark.parametrize("sink", [Table, VideoSink])
def test_unknown_endings(tmp_path, sink):
    with pytest.raises(SinkError, match=r"must end in .*; got out\.txt"):
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


def test_a_full_disk_ends_the_video_but_keeps_it(tmp_path):
    sink = VideoSink(tmp_path / "out.mp4")
    with pytest.raises(SinkError, match="the disk of .*out.mp4 is full; the video ends after 25 frames"), sink:
        for i in range(60):
            sink.reserve = 0 if i < 20 else 1 << 60
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


@pytest.mark.parametrize("shape", [(1, 1), (15, 15), (97, 129), (480, 641)])
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
