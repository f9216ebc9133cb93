from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.realtime.capture import AHEAD, Lost, Reader, Stalled, cameras, open_capture

GRAYS = [np.full((64, 96, 3), 2 * i, np.uint8) for i in range(100)]


@pytest.fixture
def film(tmp_path):
    return tools.write_video(tmp_path / "film.avi", GRAYS, codec="MJPG")


def capture_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "capture"]


def test_every_frame_of_a_file_in_order_however_slow_the_reader(film):
    reader, seen = Reader(open_capture(str(film)), newest=False), []
    for image, seconds in reader:
        seen.append((round(float(image.mean()) / 2), seconds))
        if len(seen) < 5:
            time.sleep(0.05)
    reader.close()
    assert [gray for gray, _ in seen] == pytest.approx(list(range(100)), abs=1)
    assert [seconds for _, seconds in seen] == pytest.approx([i / 25 for i in range(100)], abs=1e-3)
    assert not capture_threads()


def test_a_file_is_read_ahead_but_not_into_memory(film):
    reader = Reader(open_capture(str(film)), newest=False)
    next(iter(reader))
    time.sleep(0.3)
    assert 1 <= len(reader._frames) <= AHEAD
    reader.close()


def test_live_only_the_newest_frame_counts():
    with tools.Stream() as stream:
        reader = Reader(open_capture(stream.url), newest=True)
        for count, (image, _) in enumerate(reader):
            behind = stream.sent - 1 - float(image.mean())
            assert behind <= 5, "a slow reader must not fall behind"
            time.sleep(0.2)
            if count == 8:
                break
        assert reader.dropped >= 20
        reader.close()
    assert not capture_threads()


def test_a_stalled_stream_is_noticed():
    with tools.Stream() as stream:
        reader = Reader(open_capture(stream.url, patience=0.5), newest=True, patience=0.5)
        frames = iter(reader)
        next(frames)
        stream.mode = "stall"
        with pytest.raises((Stalled, Lost)):
            for _ in frames:
                pass
        reader.close()


def test_a_device_that_comes_back_is_read_on():
    with tools.Stream() as stream:
        url = stream.url
        reader = Reader(
            open_capture(url), newest=True, reopen=lambda: open_capture(url, patience=0.5), patience=5
        )
        frames = iter(reader)
        next(frames)
        stream.mode = "end"
        threading.Timer(0.7, lambda: setattr(stream, "mode", "go")).start()
        sent = stream.sent
        while next(frames)[0].mean() < sent + 3:
            pass
        reader.close()


def test_a_device_that_stays_away_is_lost():
    with tools.Stream() as stream:
        reader = Reader(open_capture(stream.url), newest=True, reopen=lambda: None, patience=0.5)
        frames = iter(reader)
        next(frames)
        stream.mode = "end"
        with pytest.raises(Lost):
            for _ in frames:
                pass
        reader.close()


def test_close_before_during_and_twice(film):
    reader = Reader(open_capture(str(film)), newest=False)
    reader.close()
    assert list(reader) == []
    reader = Reader(open_capture(str(film)), newest=False)
    next(iter(reader))
    reader.close()
    reader.close()
    assert not capture_threads()


def test_stop_from_another_thread_ends_the_iteration():
    with tools.Stream() as stream:
        reader = Reader(open_capture(stream.url), newest=True)
        threading.Timer(0.3, reader.stop).start()
        start = time.monotonic()
        for _ in reader:
            pass
        assert time.monotonic() - start < 3
        reader.close()


@pytest.mark.parametrize("target", [97, "no such file.mp4", "http://127.0.0.1:9/nothing.mjpg"])
def test_what_cannot_be_opened_is_none_and_says_nothing(target, capfd):
    assert open_capture(target, patience=1) is None
    assert capfd.readouterr() == ("", "")


def test_cameras_are_numbers():
    assert all(isinstance(number, int) for number in cameras())
    assert 97 not in cameras()
