from __future__ import annotations

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import realtime_tools as tools

from fer_utils.faces import ImageError
from fer_utils.realtime import sources as video
from fer_utils.realtime.sources import Camera, Frames, Pictures, Source, SourceError, SourceLost, VideoFile, open_source

RED = np.zeros((96, 128, 3), np.uint8)
RED[:, :, 0] = 250
GRAYS = [np.full((96, 128, 3), 2 * i, np.uint8) for i in range(60)]


def is_red(image: np.ndarray) -> bool:
    red, green, blue = image.reshape(-1, 3).mean(0)
    return red > 200 and green < 60 and blue < 60


def test_a_video_file_frame_by_frame(tmp_path):
    path = tools.write_video(tmp_path / "film.mp4", GRAYS, fps=20)
    with open_source(str(path)) as source:
        frames = list(source)
    assert type(source) is VideoFile
    assert (source.fps, source.total, source.live, source.still, source.notes) == (20, 60, False, False, [])
    assert [frame.index for frame in frames] == list(range(60))
    assert [frame.time for frame in frames] == pytest.approx([i / 20 for i in range(60)], abs=2e-3)
    assert [round(frame.image.mean() / 2) for frame in frames] == pytest.approx(list(range(60)), abs=2)


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.mkv"])
def test_colours_are_rgb(tmp_path, name):
    codec = "MJPG" if name.endswith("avi") else "mp4v"
    with open_source(tools.write_video(tmp_path / name, [RED] * 3, codec=codec)) as source:
        assert all(is_red(frame.image) and frame.image.dtype == np.uint8 for frame in source)


def test_pictures_are_rgb_and_named(tmp_path):
    for name in ("b.png", "a ä.png"):
        cv2.imencode(".png", RED[:, :, ::-1])[1].tofile(tmp_path / name)
    with open_source(tmp_path) as source:
        frames = list(source)
    assert type(source) is Pictures and source.still
    assert [(frame.name, frame.index) for frame in frames] == [("a ä.png", 0), ("b.png", 1)]
    assert all(is_red(frame.image) for frame in frames)
    with open_source(str(tmp_path / "b.png")) as single:
        assert [frame.name for frame in single] == ["b.png"]


@pytest.mark.parametrize(("name", "codec"), [("film.avi", "MJPG"), ("film.mkv", "mp4v")])
def test_a_file_that_breaks_off_gives_what_it_has_and_says_so(tmp_path, name, codec, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (60, 96, 128, 3), np.uint8)
    whole = tools.write_video(tmp_path / name, list(noise), codec=codec)
    with open_source(tools.cut(whole, tmp_path / f"cut {name}")) as source:
        frames = list(source)
    assert 20 <= len(frames) <= 45
    assert len(source.notes) == 1
    assert f"breaks off: {len(frames)} of 60 frames could be read" in source.notes[0]
    assert capfd.readouterr().err == ""


def broken(tmp_path, kind: str):
    path = tmp_path / "broken.mp4"
    if kind == "cut before its index":
        tools.cut(tools.write_video(tmp_path / "whole.mp4", GRAYS), path)
    else:
        path.write_bytes({"empty": b"", "text": b"this is no video\n" * 99}[kind])
    return path


@pytest.mark.parametrize("kind", ["cut before its index", "empty", "text"])
def test_what_is_no_video_gets_one_clear_error(tmp_path, kind, capfd):
    with pytest.raises(SourceError, match=r"^source: .*broken\.mp4 \([\d,]+ bytes\) is not a video that OpenCV reads"):
        open_source(broken(tmp_path, kind))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["missing.mp4", "missing/folder", "clipp"])
def test_what_does_not_exist(tmp_path, name):
    with pytest.raises(SourceError, match=f"there is no file .*{name}; must be a camera's number .* or 'clip'"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("source", [97, "97"])
def test_a_camera_that_is_not_there(source, capfd):
    with pytest.raises(SourceError, match=r"camera 97 cannot be opened \(cameras found: .*\)"):
        open_source(source)
    assert capfd.readouterr().err == ""


def test_an_unreadable_picture_is_left_out_and_named(tmp_path):
    cv2.imwrite(str(tmp_path / "good.png"), RED[:, :, ::-1])
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not meant")
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == ["good.png"]
    assert [note.split(" cannot")[0].rsplit("/", 1)[-1] for note in source.notes] == ["bad.jpg", "empty.jpg"]


def test_folders_without_a_picture(tmp_path):
    with pytest.raises(SourceError, match="holds no picture"):
        open_source(tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="no picture in .* can be read"):
        list(open_source(tmp_path))


def test_arrays_of_all_kinds_are_frames():
    kinds = [RED, RED[:, :, 0], np.dstack([RED, RED[:, :, :1]]), RED.astype(np.uint16) * 257, RED / 255.0, RED[:1, :1]]
    with open_source(kinds) as source:
        frames = list(source)
    assert type(source) is Frames
    assert [frame.image.shape[2] for frame in frames] == [3] * len(kinds)
    assert [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(len(kinds))])
    with pytest.raises(ImageError, match=r"not empty; got \[0, 0, 3\]"):
        list(open_source([np.zeros((0, 0, 3), np.uint8)]))


def test_an_open_source_is_passed_through():
    source = Frames([RED])
    assert open_source(source) is source


def test_the_embedded_clip():
    with open_source("clip") as source:
        assert source.title == "the embedded clip"
        frames = list(source)
    assert len(frames) == source.total == 200
    assert frames[0].image.shape == (480, 640, 3)


def test_a_stream_is_live_and_its_end_is_an_error():
    with tools.Stream() as stream, open_source(stream.url, patience=0.6) as source:
        assert type(source) is Camera and source.live
        with pytest.raises(SourceLost, match=r"^source: http://.* stopped delivering frames \(after \d+ frames\)"):
            for frame in source:
                stream.mode = "end" if frame.index >= 12 else "go"
    assert frame.time > 0.1  # nominally 0.48 s; on a busy machine frames come late and then several at once
    assert not [thread for thread in threading.enumerate() if thread.name == "capture"]


def test_a_stalled_stream_is_an_error():
    with tools.Stream() as stream, open_source(stream.url, patience=0.6) as source:
        with pytest.raises(SourceLost, match="sent no frame for 0.6 s|stopped delivering"):
            for frame in source:
                stream.mode = "stall" if frame.index >= 3 else "go"


def test_a_file_on_a_web_server_is_a_file(tmp_path):
    tools.write_video(tmp_path / "film.avi", GRAYS, codec="MJPG")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with open_source(f"http://127.0.0.1:{server.server_port}/film.avi") as source:
            assert type(source) is VideoFile
            assert len(list(source)) == 60
    finally:
        server.shutdown()
        server.server_close()


def test_an_url_that_does_not_answer(capfd):
    with pytest.raises(SourceError, match="nothing can be read from http://127.0.0.1:9/x"):
        open_source("http://127.0.0.1:9/x", patience=1)
    assert capfd.readouterr().err == ""


def test_leaving_early_gives_the_file_back(tmp_path):
    path = tools.write_video(tmp_path / "film.mp4", GRAYS)
    with pytest.raises(RuntimeError, match="mine"), open_source(path) as source:
        for _ in source:
            raise RuntimeError("mine")
    assert source.notes == []
    assert not [thread for thread in threading.enumerate() if thread.name == "capture"]
    source.close()


def test_stop_ends_a_file_without_complaint(tmp_path):
    with open_source(tools.write_video(tmp_path / "film.mp4", GRAYS)) as source:
        frames = []
        for frame in source:
            frames.append(frame)
            source.stop()
    assert len(frames) < 60
    assert source.stopped and source.notes == []


def test_sources_share_one_face():
    here = {kind for kind in Source.__subclasses__() if kind.__module__ == video.__name__}
    assert {Camera, Frames, Pictures, VideoFile} == here
    assert all(name in dir(video) for name in video.__all__)
