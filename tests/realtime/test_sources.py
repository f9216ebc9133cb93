"""Cameras, streams, files, pictures and arrays become RGB frames; what cannot be read is said in one line."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time

import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.faces import ImageError
from fer_utils.realtime import sources
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sources import CaptureLost, SourceError, as_frame

RED = np.zeros((96, 128, 3), np.uint8)
RED[:, :, 0] = 250
GRAYS = [np.full((64, 96, 3), 4 * i, np.uint8) for i in range(60)]
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1)


def reading() -> bool:
    """Whether a capture's thread is still alive."""
    return "capture" in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def film(tmp_path):
    return tools.write_video(tmp_path / "film.mp4", GRAYS, fps=20)


# --- pictures of any form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (RAMP, np.repeat(RAMP[:, :, None], 3, 2)),
        (np.dstack([COLOURS, RAMP]), COLOURS),
        (COLOURS.astype(np.uint16) * 257, COLOURS),
        (COLOURS.astype(np.float32), COLOURS),
        (COLOURS / 255.0, COLOURS),
        (RAMP > 127, np.repeat(((RAMP > 127) * 255)[:, :, None], 3, 2)),
        (COLOURS[:1, ::-1], COLOURS[:1, ::-1]),
    ],
    ids=["gray", "rgba", "uint16", "float255", "float1", "bool", "a view of one row"],
)
def test_any_picture_becomes_rgb(given, expected):
    frame = as_frame(given)
    assert frame.dtype == np.uint8 and frame.flags.c_contiguous
    assert np.array_equal(frame, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.full((4, 4, 3), np.nan), np.array(None),
    ],
)
def test_what_is_no_picture_gets_a_clear_error(wrong):
    with pytest.raises(ImageError, match="^image: .*got "):
        as_frame(wrong)


def test_an_iterator_of_arrays_is_a_video_of_25_frames_a_second():
    with open_source(iter([RED, RED[:, :, 0], RED[:1, :1]])) as source:
        frames = list(source)
        assert open_source(source) is source
    assert [frame.image.shape[2] for frame in frames] == [3] * 3
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08])
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert not source.still and not source.live
    with pytest.raises(ImageError, match="image"):
        list(open_source(iter([np.zeros((0, 0, 3), np.uint8)])))


# --- files -----------------------------------------------------------------------------------------------------------


def test_every_frame_of_a_file_in_order_however_slow_the_reader(film):
    with open_source(str(film)) as source:
        frames = []
        for frame in source:
            frames.append(frame)
            if len(frames) < 4:
                time.sleep(0.1)
                assert len(source._waiting) <= sources.AHEAD, "read ahead, but not into memory"
    assert (source.fps, source.live, source.still, source.notes) == (20, False, False, [])
    assert [frame.index for frame in frames] == list(range(60))
    assert [frame.time for frame in frames] == pytest.approx([i / 20 for i in range(60)], abs=2e-3)
    assert [round(frame.image.mean() / 4) for frame in frames] == pytest.approx(list(range(60)), abs=2)
    assert not reading()


@pytest.mark.parametrize("name", ["missing.mp4", "clipp"])
def test_what_does_not_exist(tmp_path, name):
    with pytest.raises(SourceError, match=f"^source: .*{name}; must be"):
        open_source(tmp_path / name)


def test_leaving_early_gives_the_file_back(film):
    with pytest.raises(RuntimeError, match="mine"), open_source(film) as source:
        for _ in source:
            raise RuntimeError("mine")
    assert source.notes == [] and not reading()
    source.close()
    with open_source(film) as unread:
        pass
    assert list(unread) == [] and not reading()


def test_stop_ends_a_file_without_complaint(film):
    with open_source(film) as source:
        frames = []
        for frame in source:
            frames.append(frame)
            source.stop()
    assert len(frames) < 60
    assert source.stopped and source.notes == []


def test_the_embedded_clip():
    with open_source("clip") as source:
        frames = list(source)
    assert len(frames) == 200
    assert frames[0].image.shape == (480, 640, 3)


# --- live ------------------------------------------------------------------------------------------------------------


def test_live_only_the_newest_frame_counts():
    with tools.Stream() as stream, open_source(stream.url) as source:
        assert source.live
        for frame in source:
            assert stream.sent - 1 - frame.image.mean() <= 5, "a slow reader must not fall behind"
            time.sleep(0.2)
            if frame.index == 8:
                break
        assert stream.sent >= 25 and frame.time > 1
    assert not reading()


def test_a_stream_that_ends_is_lost():
    with tools.Stream() as stream, open_source(stream.url, patience=0.6) as source:
        with pytest.raises(CaptureLost, match=r"^source: http://.* \(after \d+ frames\)"):
            for frame in source:
                stream.mode = "end" if frame.index >= 12 else "go"
    assert frame.time > 0.1  # nominally 0.48 s; on a busy machine frames come late and then several at once
    assert not reading()


def test_a_stream_that_hangs_is_noticed():
    with tools.Stream() as stream, open_source(stream.url, patience=0.6) as source:
        with pytest.raises(CaptureLost, match="^source: http"):
            for frame in source:
                stream.mode = "stall" if frame.index >= 3 else "go"
    assert issubclass(CaptureLost, SourceError)


def test_a_device_that_comes_back_is_read_on():
    with tools.Stream() as stream, open_source(stream.url) as source:
        frames = iter(source)
        next(frames)
        stream.mode = "end"
        threading.Timer(0.7, lambda: setattr(stream, "mode", "go")).start()
        sent = stream.sent
        while next(frames).image.mean() < sent + 3:
            pass


def test_stop_from_another_thread_ends_the_iteration():
    with tools.Stream() as stream, open_source(stream.url) as source:
        threading.Timer(0.3, source.stop).start()
        start = time.monotonic()
        for _ in source:
            pass
        assert time.monotonic() - start < 3


@pytest.mark.parametrize("source", [-1, "-1", " -2 "])
def test_a_negative_number_never_reaches_the_driver(source):
    with pytest.raises(SourceError, match=r"^source: a camera's number must be 0 or more; got -\d"):
        open_source(source)  # the driver would end this process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="devices are files on Linux")
def test_a_device_node_is_the_camera_of_its_number(tmp_path):
    with pytest.raises(SourceError, match="^source: /dev/null"):
        open_source("/dev/null")
    try:
        os.mknod(tmp_path / "video97", stat.S_IFCHR | 0o600, os.makedev(81, 97))
    except OSError:
        pytest.skip("this user may not make device nodes")
    (tmp_path / "by-id").symlink_to(tmp_path / "video97")
    with pytest.raises(SourceError, match="^source: camera 97 cannot be opened"):
        open_source(tmp_path / "by-id")


@pytest.mark.parametrize("source", [97, "97", "http://127.0.0.1:9/x", "rtsp://127.0.0.1:9/x"])
def test_what_is_not_there_is_one_line_and_nothing_on_stderr(source, capfd):
    with pytest.raises(SourceError, match="^source: .*(97|//127.0.0.1:9/x)"):
        open_source(source, patience=1)
    assert capfd.readouterr() == ("", "")
