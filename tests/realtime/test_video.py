"""Video files as people have them: every frame, at its own time, upright, in square pixels and true colours."""

from __future__ import annotations

import os
import sys
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import realtime_tools as tools
import video_files
from av.video.reformatter import ColorRange, Colorspace

from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sources import SourceError

EVERY = [("film.mp4", "libx264"), ("film.mkv", "libx264"), ("film.webm", "libvpx-vp9"), ("film.avi", "mpeg4"),
         ("film.ts", "libx264"), ("film.mp4", "libsvtav1")]  # fmt: skip


def frames_of(source, **options):
    """The frames of a source and its notes."""
    with open_source(source, **options) as opened:
        return list(opened), opened.notes


def levels(frames) -> list[float]:
    """Which of `video_files.steps` the frames are."""
    return [(frame.image.mean() - 20) / 5 for frame in frames]


@pytest.mark.parametrize(("name", "codec"), EVERY)
def test_every_frame_at_its_own_time(tmp_path, name, codec):
    path = video_files.write(tmp_path / name, video_files.steps(), codec=codec)
    frames, notes = frames_of(path)
    assert levels(frames) == pytest.approx(range(40), abs=0.9)
    assert [frame.time for frame in frames] == pytest.approx([i / 20 for i in range(40)], abs=1e-3)
    assert notes == []


def late_start(path: Path) -> list[float]:
    video_files.write(path, video_files.steps(), start=9.6, tone=2, tone_start=9.6)
    return [i / 20 for i in range(40)]


def sound_first(path: Path) -> list[float]:
    video_files.write(path, video_files.steps(), start=0.7, tone=3)
    return [i / 20 for i in range(40)]


def short_sound(path: Path) -> list[float]:
    video_files.write(path, video_files.steps(), tone=1)
    return [i / 20 for i in range(40)]


def long_sound(path: Path) -> list[float]:
    video_files.write(path, video_files.steps(), tone=6)
    return [i / 20 for i in range(40)]


def trimmed(path: Path) -> list[float]:
    whole = video_files.write(path.with_name("whole.mp4"), video_files.steps(), tone=2, keyframes=30)
    video_files.trimmed(whole, path, 0.5)
    return [i / 20 for i in range(30)]


def browser(path: Path) -> list[float]:
    return video_files.browser_recording(path, video_files.steps())


def without_times(path: Path) -> list[float]:
    video_files.write(path, video_files.steps())
    return [i / 25 for i in range(40)]


KINDS = [
    (late_start, "f.mp4"), (late_start, "f.mkv"), (sound_first, "f.mp4"), (short_sound, "f.mp4"), (long_sound, "f.mkv"),
    (trimmed, "f.mp4"), (browser, "f.webm"), (without_times, "f.h264"),
]


@pytest.mark.parametrize(("make", "name"), KINDS, ids=[f"{make.__name__} {name}" for make, name in KINDS])
def test_times_begin_at_zero_and_nothing_breaks_off(tmp_path, make, name):
    expected = make(tmp_path / name)
    frames, notes = frames_of(tmp_path / name)
    assert [frame.time for frame in frames] == pytest.approx(expected, abs=1e-3)
    assert levels(frames) == pytest.approx(range(40 - len(expected), 40), abs=0.9)
    assert notes == []


@pytest.mark.parametrize(("name", "codec"), EVERY)
def test_damaged_bytes_cost_the_damaged_frames_only(tmp_path, name, codec, capfd):
    whole = video_files.write(tmp_path / name, video_files.noise(), codec=codec, movflags="faststart")
    frames, (note,) = frames_of(video_files.damaged(whole, tmp_path / f"damaged {name}"))
    assert 25 <= len(frames) < 40 and frames[-1].time > 1.6
    assert f" lacks {40 - len(frames)} frames," in note
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("name", "codec"), [item for item in EVERY if item[0] != "film.ts"])
def test_a_file_that_breaks_off_gives_what_it_has_and_says_so(tmp_path, name, codec, capfd):
    whole = video_files.write(tmp_path / name, video_files.noise(), codec=codec, movflags="faststart")
    frames, (note,) = frames_of(tools.cut(whole, tmp_path / f"cut {name}"))
    assert 15 <= len(frames) <= 30
    assert f"breaks off after {len(frames)} frames" in note or f"lacks {40 - len(frames)} frames" in note  # AVI
    assert capfd.readouterr().err == ""


def sound_only(path: Path, film: Path) -> None:
    with av.open(str(path), "w") as file:
        sound = file.add_stream("aac", rate=48_000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        samples.sample_rate = 48_000
        file.mux([*sound.encode(samples), *sound.encode(None)])


NO_VIDEO = {
    "text": lambda path, film: path.write_bytes(b"this is no video\n" * 99),
    "empty": lambda path, film: path.write_bytes(b""),
    "cut before its index": lambda path, film: tools.cut(film, path),
    "sound only": sound_only,
    "missing": lambda path, film: None,
}


@pytest.mark.parametrize("kind", NO_VIDEO)
def test_what_is_no_video_gets_one_clear_error(tmp_path, kind, capfd):
    path = tmp_path / "broken.mp4"
    NO_VIDEO[kind](path, video_files.write(tmp_path / "film.mp4", video_files.noise(4)))
    with pytest.raises(SourceError, match=r"^source: .*broken\.mp4.*; must be"):
        open_source(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("angle", [90, 180, -90])
def test_a_phone_that_was_turned_gives_upright_frames(tmp_path, angle):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48] = 250  # the upper left corner
    frames, _ = frames_of(video_files.write(tmp_path / "f.mp4", [image] * 3, rotation=angle))
    assert np.abs(frames[1].image.astype(int) - np.rot90(image, angle // 90)).mean() < 10


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    image = np.full((576, 720, 3), 90, np.uint8)
    cv2.circle(image, (360, 288), 100, (250, 250, 250), -1)
    path = video_files.write(tmp_path / "f.mp4", [image] * 2, shape=Fraction(64, 45))
    (frame, _), _ = frames_of(path)
    assert frame.image.shape == (576, 1024, 3)
    bright = frame.image.mean(2) > 170
    assert (bright.any(0).sum(), bright.any(1).sum()) == pytest.approx((200 * 64 / 45, 200), abs=4)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
def test_colours_are_those_that_were_recorded(tmp_path, matrix, full):
    colours = np.array([[250, 20, 20], [20, 200, 30], [30, 40, 220], [230, 230, 20]], np.uint8)
    image = np.repeat(np.repeat(colours[None], 64, 0), 32, 1)
    tag = {Colorspace.ITU601: 6, Colorspace.ITU709: 1}[matrix]
    span = ColorRange.JPEG if full else ColorRange.MPEG
    with av.open(str(tmp_path / "f.mp4"), "w") as file:
        video = file.add_stream("libx264", rate=20, width=128, height=64, pix_fmt="yuv420p")
        video.codec_context.colorspace, video.codec_context.color_range = tag, span.value
        picture = av.VideoFrame.from_ndarray(image).reformat(
            format="yuv420p", dst_colorspace=matrix, dst_color_range=span
        )
        file.mux([*video.encode(picture), *video.encode(None)])
    (frame,), _ = frames_of(tmp_path / "f.mp4")
    found = frame.image[16:48].reshape(32, 4, 32, 3)[:, :, 8:24].mean((0, 2))
    assert np.abs(found - colours).max() < 8


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems allow no such names")
def test_any_file_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"12:30 caf\xe9.mp4")
    video_files.write(Path("film.mp4"), video_files.steps(3)).rename(name)
    frames, _ = frames_of(name)
    assert len(frames) == 3


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path):
    """A web server for files in tmp_path, under /, /chunked/ (of unknown length), /broken/ and /hanging/ (60 %)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = (tmp_path / self.path.rsplit("/", 1)[-1]).read_bytes()
            self.send_response(200)
            if "/chunked/" in self.path:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content))
                return
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if "/broken/" in self.path or "/hanging/" in self.path:
                content = content[: int(0.6 * len(content))]
                self.close_connection = True
            self.wfile.write(content)
            if "/hanging/" in self.path:
                self.wfile.flush()
                over.wait(10)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server, over = ThreadingHTTPServer(("127.0.0.1", 0), Handler), threading.Event()
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("place", ["", "/chunked"])
@pytest.mark.parametrize(("name", "codec"), EVERY)
def test_a_file_on_a_web_server_ends_and_keeps_its_times(tmp_path, web, place, name, codec):
    local, _ = frames_of(video_files.write(tmp_path / name, video_files.steps(), codec=codec, movflags="faststart"))
    with open_source(f"{web}{place}/{name}") as source:
        frames = list(source)
        assert not source.live and source.notes == []
    assert levels(frames) == pytest.approx(range(40), abs=0.9)
    assert [frame.time for frame in frames] == pytest.approx([frame.time for frame in local])


@pytest.mark.parametrize("place", ["broken", "hanging"])
def test_a_connection_that_breaks_ends_the_file_and_is_said(tmp_path, web, place):
    video_files.browser_recording(tmp_path / "film.webm", video_files.noise(80))
    start = time.monotonic()
    frames, (note,) = frames_of(f"{web}/{place}/film.webm", patience=0.5)
    assert 20 < len(frames) < 80 and f"breaks off after {len(frames)} frames" in note
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("address", ["{web}/a%20b.JPG", "{folder}/a%20b.JPG", "{web}/picture", "{folder}/picture"])
def test_a_picture_behind_an_address_is_a_picture(tmp_path, web, address):
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, :, 0] = 250
    for name in ("a b.JPG", "a%20b.JPG", "picture"):
        (tmp_path / name).write_bytes(cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes())
    address = address.format(web=web, folder=tmp_path.as_uri())
    with open_source(address) as source:
        (frame,) = source
        assert source.still
    assert frame.name == ("a b.JPG" if "JPG" in address else "picture")
    assert np.abs(frame.image.astype(int) - image).mean() < 3


def test_a_video_behind_a_file_address_is_that_file(tmp_path):
    path = video_files.write(tmp_path / "a b.mp4", video_files.steps())
    with open_source(path.as_uri()) as source:
        assert levels(source) == pytest.approx(range(40), abs=0.9)
        assert source.path == path
