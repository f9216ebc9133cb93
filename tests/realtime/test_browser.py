"""The browser's camera: the kernel's half alone, then both halves in JupyterLab in headless Chromium.

The second part needs Chromium and its driver (`apt-get install chromium chromium-driver`) and is skipped without them.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import queue
import re
from urllib.parse import urlsplit

import browser_tools as tools
import cv2
import numpy as np
import pytest

from fer_utils.models import ModelError
from fer_utils.realtime import BrowserCamera, Settings
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sources import Buffered, CaptureLost


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    with open_source("clip") as source:
        return [frame.image for frame in itertools.islice(source, 30)]


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


class Page:
    """The other end of the wire: sends what browser.js sends, keeps what the kernel answers."""

    def __init__(self, camera: BrowserCamera) -> None:
        self.comm, self._answers = camera.start().page.comm, queue.Queue()
        self.comm.publish_msg = self._take

    def _take(self, kind: str, data: dict | None = None, metadata=None, buffers=None, **_: object) -> None:
        if kind == "comm_msg" and data["method"] == "custom":
            self._answers.put((data["content"], list(buffers or ())))

    def send(self, kind: str, *buffers: bytes, session: str = "one", **more: object) -> None:
        content = {"kind": kind, "session": session} | more
        message = {"content": {"data": {"method": "custom", "content": content}}}
        self.comm.handle_msg(message | {"buffers": [memoryview(data) for data in buffers]})

    def answer(self, seconds: float = 30) -> tuple[dict, list[bytes]]:
        return self._answers.get(timeout=seconds)

    def ask(self, image: np.ndarray, number: int, **more: object) -> tuple[dict, list[bytes]]:
        self.send("frame", jpeg(image), number=number, **more)
        return self.answer()


@pytest.fixture
def start(model):
    """Makes a camera whose page has pressed Start; all are stopped in the end."""
    cameras = []

    def make(**options: object) -> tuple[BrowserCamera, Page]:
        settings = options.pop("settings", Settings(model=model, detect_every=5))
        cameras.append(BrowserCamera(settings=settings, widget=True, **options))
        page = Page(cameras[-1])
        page.send("start")
        return cameras[-1], page

    yield make
    for camera in cameras:
        camera.stop()


def test_frames_of_the_page_come_back_annotated_and_their_numbers_stay(start, clip):
    camera, page = start()
    for number, frame in enumerate(clip, 1):
        content, (picture,) = page.ask(frame, number)
        assert content["kind"] == "frame" and content["session"] == "one" and content["number"] == number
        drawn = decoded(picture)
        assert drawn.shape == frame.shape
        if number == 1:
            assert np.median(drawn[-20:, :420]) < 40 < np.median(frame[-20:, :420]), "the notice, below"
        assert np.abs(drawn[300:400, 400:].astype(int) - frame[300:400, 400:]).mean() < 6, "colours in the right order"
    assert re.fullmatch(r"[\d.]+ s – \d+: Happy \d+ %", content["text"])
    page.send("stop")
    end, _ = page.answer()
    assert end["kind"] == "end" and end["text"].startswith("ended: faces: in ")
    assert not camera.wait(20).running
    assert len(camera.moments) == camera.summary.frames == len(clip)
    times = [seconds for seconds, _ in camera.moments]
    assert times[0] == 0 and times == sorted(times)
    assert camera.moments[-1][1][0].label == "Happy" and camera.summary.labels["Happy"] > 20
    assert 6 <= len(camera.snapshots) < 12


@pytest.mark.parametrize("broken", [(), (b"\xff\xd8\xff\xe0",)])
def test_a_broken_picture_is_one_message_and_the_next_one_works(start, clip, capfd, broken):
    camera, page = start()
    page.send("frame", *broken, number=1)
    content, pictures = page.answer()
    assert content["text"] == "The page sent a frame that cannot be read as JPEG; it was left out."
    assert content["kind"] == "frame" and content["number"] == 1 and not pictures
    content, pictures = page.ask(clip[0], 2)
    assert content["number"] == 2 and pictures
    camera.stop()
    assert "note: a frame from the page could not be read as JPEG and was left out" in camera.lines
    assert camera.error is None and camera.summary.frames == 1
    assert "Traceback" not in capfd.readouterr().err


def test_a_page_that_does_not_wait_gets_the_newest_frame_only(start, clip):
    camera, page = start()
    page.ask(clip[0], 1)
    data = jpeg(clip[1])
    for number in range(2, 32):
        page.send("frame", data, number=number)
    answered = []
    while not answered or answered[-1] < 31:
        answered.append(page.answer()[0]["number"])
    assert len(answered) < 30 and answered == sorted(answered)
    assert camera.summary.frames <= 1 + len(answered)


def test_every_start_begins_anew(start, clip):
    camera, page = start()
    for number in (1, 2, 3):
        page.ask(clip[number], number)
    page.send("stop")
    assert page.answer()[0]["kind"] == "end"
    page.send("start", session="two")
    assert page.ask(clip[0], 1, session="two")[0]["session"] == "two"
    assert len(camera.moments) == 1 and camera.moments[0][0] == 0


def test_a_second_view_takes_over_and_the_first_is_told(start, clip):
    camera, page = start()
    page.ask(clip[0], 1)
    page.send("start", session="two")
    content, _ = page.answer()
    assert content["kind"] == "end" and content["session"] == "one"
    content, _ = page.ask(clip[0], 2)
    assert content["kind"] == "end" and content["session"] == "one" and "Start begins a new one" in content["text"]
    page.send("stop")
    assert camera.running, "a late Stop of the first view does not end the second"


def test_the_kernel_can_stop_too(start, clip):
    camera, page = start()
    page.ask(clip[0], 1)
    camera.stop()
    assert page.answer()[0]["kind"] == "end" and not camera.running


def test_errors_are_shown_in_the_page_and_raised_in_the_cell(start):
    camera, page = start(settings=Settings(model="missing"))
    content, _ = page.answer()
    assert content["kind"] == "end" and content["text"].startswith("ended: ") and "missing" in content["text"]
    with pytest.raises((ModelError, FileNotFoundError), match="missing"):
        camera.wait(20)
    with pytest.raises((ModelError, FileNotFoundError), match="missing"):
        asyncio.run(camera.ended(20))


def test_a_page_that_went_away_ends_the_run(start, clip):
    camera, page = start(patience=0.4)
    page.ask(clip[0], 1)
    with pytest.raises(CaptureLost, match=r"^source: .* sent no frame .* \(after 1 frames\)"):
        camera.wait(20)


def test_the_time_limit_ends_the_run(start, clip):
    camera, page = start(limit=0.0)
    page.ask(clip[0], 1)
    assert page.answer()[0]["kind"] == "end"
    assert not camera.wait(20).running


def test_faces_can_be_blurred(start, clip):
    def steps(image):
        return np.median(np.abs(np.diff(image[200:260, 170:230].astype(int), axis=1)))

    _, page = start(blur=True)
    _, (picture,) = page.ask(clip[0], 1)
    assert steps(decoded(picture)) < 2 < steps(clip[0]), "blocks of one colour, where the face was"


def test_waiting_without_a_page_ends():
    assert not BrowserCamera(widget=False).start().wait().running
    assert not asyncio.run(BrowserCamera(widget=False).start().ended()).running
    assert not BrowserCamera(widget=True).start().wait(0.1).running
    assert not asyncio.run(BrowserCamera(widget=True).start().ended(0.1)).running


def test_frames_put_by_hand_take_any_picture():
    with Buffered("by hand", live=True, patience=5) as frames:
        frames.put(np.zeros((4, 5), np.uint8), 3.5, 7)
        frame = next(iter(frames))
        assert frame.image.shape == (4, 5, 3) and frame.time == frame.index == 0 and frames.number == 7
        frames.stop()
        assert list(frames) == []


# --- both halves -----------------------------------------------------------------------------------------------------

needs_chromium = pytest.mark.skipif(not (tools.CHROMIUM and tools.DRIVER), reason=tools.MISSING)


SHOW = """
from fer_utils import realtime
camera = realtime.BrowserCamera(settings=realtime.Settings(model={model!r})).start()
"""
# Runs while the frames come, as a reader's Run All Cells makes it.
WAIT = """
await camera.ended(50)
tracks = [track for _, seen in camera.moments for track in seen]
print("seen:", len(camera.moments), "frames,", len(tracks), "faces,", {track.label for track in tracks})
"""


@pytest.fixture(scope="module")
def open_view(tmp_path_factory, model):
    """Opens a notebook of its own in JupyterLab, runs its cells and returns its widget."""
    folder, opened = tmp_path_factory.mktemp("lab"), itertools.count()

    with tools.lab(folder) as url:

        def make(driver, *cells: str, host: str = "localhost") -> tools.View:
            path = tools.write_notebook(folder / f"camera{next(opened)}.ipynb", SHOW.format(model=model), *cells)
            driver.get(tools.address(url, host, path))
            tools.run_all_cells(driver)
            return tools.View(driver)

        yield make


@pytest.mark.slow
@needs_chromium
def test_a_camera_in_the_browser_is_seen_annotated_and_given_back(open_view, tmp_path):
    clip = tools.capture_file(tmp_path / "clip.mjpeg")
    camera = (*tools.FAKE_CAMERA, f"--use-file-for-fake-video-capture={clip}")
    with tools.chromium(tmp_path / "profile", *camera) as driver:
        view = open_view(driver, WAIT)
        assert "Apparent expression" in view.said() and not view.tracks()
        assert not view.button("Stop").is_enabled()
        view.button("Start").click()
        tools.until(lambda: re.fullmatch(r"[\d.]+ s – \d+: Happy \d+ %", view.said()), what="no label in the page")
        before = view.picture()
        tools.until(lambda: view.picture() != before, what="no second picture")
        picture = decoded(base64.b64decode(before.partition(",")[2]))
        assert picture.shape == (480, 640, 3) and picture.std() > 20
        assert view.tracks() == ["live"]
        view.button("Stop").click()
        assert view.tracks() == ["ended"]
        said = tools.until(lambda: view.said().startswith("ended: ") and view.said(), what="no end in the page")
        assert re.search(r"faces: in \d+ of \d+ frames", said)
        assert view.button("Start").is_enabled() and not view.button("Stop").is_enabled()
        # The cell that waited goes on, with what the kernel kept.
        printed = tools.until(lambda: tools.printed(driver, "seen: "), what="the waiting cell printed nothing")
        assert re.fullmatch(r"seen: [1-9]\d* frames, [1-9]\d* faces, \{'Happy'.*\}", printed)
        # Whoever clears the output gets the camera back as well.
        view.button("Start").click()
        tools.until(lambda: view.tracks() == ["ended", "live"], what="no second start")
        driver.execute_script("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        tools.until(lambda: view.tracks() == ["ended", "ended"], what="the camera stays on")


@pytest.mark.slow
@needs_chromium
def test_a_refused_camera_is_explained(open_view, tmp_path):
    refusing = ("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    with tools.chromium(tmp_path / "profile", *refusing) as driver:
        view = open_view(driver)
        view.button("Start").click()
        tools.until(lambda: "refused the camera" in view.said(), what="no explanation")
        assert "Allow it for this page" in view.said() and "press Start again" in view.said()
        assert view.button("Start").is_enabled() and not view.tracks()


@pytest.mark.slow
@needs_chromium
def test_a_computer_without_a_camera_is_told_so(open_view, tmp_path):
    with tools.chromium(tmp_path / "profile", "--use-fake-ui-for-media-stream") as driver:
        view = open_view(driver)
        view.button("Start").click()
        tools.until(lambda: "No camera was found" in view.said(), what="no explanation")
        # Two programs cannot fight for a camera here, so the browser's answer is put in its place.
        driver.execute_script("""
            navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("busy", "NotReadableError"); };
        """)
        view.button("Start").click()
        tools.until(lambda: "in use by another program" in view.said(), what="no explanation")


@pytest.mark.slow
@needs_chromium
def test_a_page_that_may_have_no_camera_says_how_to_open_it(open_view, tmp_path):
    with tools.chromium(tmp_path / "profile", *tools.FAKE_CAMERA) as driver:
        view = open_view(driver, host=tools.NOT_LOCAL)
        port = urlsplit(driver.current_url).port
        assert "HTTPS or localhost" in view.said() and f"http://localhost:{port}" in view.said()
        assert f"ssh -L {port}:localhost:{port} {tools.NOT_LOCAL}" in view.said()
        assert not view.button("Start").is_enabled()
