"""The view in a notebook: which source it takes, what it keeps, and what ends it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
import realtime_tools as tools
from nbclient import NotebookClient

from fer_utils import paths
from fer_utils.realtime import LiveView, Settings, choose_source, notebook
from fer_utils.realtime.notebook import is_interactive
from fer_utils.realtime.sources import SourceError


@pytest.fixture(scope="module")
def settings(model) -> Settings:
    return Settings(model=model)


FACE = tools.scene((300, 240))


def endless():
    while True:
        time.sleep(0.005)
        yield FACE


def test_unattended_the_camera_stays_off():
    source, why = choose_source("auto")
    assert source == "clip"
    assert "camera stays off" in why


@pytest.mark.skipif(any(Path("/dev").glob("video*")), reason="this machine has a camera")
@pytest.mark.parametrize("source", ["auto", "0"])
def test_without_a_camera_the_clip_is_played_and_that_is_said(source, capfd, monkeypatch):
    monkeypatch.setattr(notebook, "is_interactive", lambda: True)
    chosen, why = choose_source(source)
    assert chosen == "clip"
    assert "Camera 0" in why and "BrowserCamera" in why
    assert capfd.readouterr().err == ""


def test_files_and_urls_are_taken_as_they_are():
    assert choose_source("talk.mp4") == ("talk.mp4", "Source: talk.mp4.")
    assert choose_source("clip")[0] == "clip"


def test_an_executed_notebook_is_not_interactive():
    assert not is_interactive()
    cell = nbformat.v4.new_code_cell("from fer_utils.realtime.notebook import is_interactive\nis_interactive()")
    executed = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(executed, timeout=60, resources={"metadata": {"path": str(paths.ROOT)}}).execute()
    assert executed.cells[0].outputs[0].data["text/plain"] == "False"


def test_a_kernel_that_somebody_talks_to_is_interactive():
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(paths.ROOT))
    try:
        said = []
        client.execute_interactive(
            "from fer_utils.realtime.notebook import is_interactive; print(is_interactive())",
            allow_stdin=True, timeout=60,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
        )
        assert "".join(said).strip() == "True"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_view_keeps_numbers_and_a_few_frames(settings):
    live = LiveView(iter([FACE] * 60), settings=settings, widget=False).start().wait()
    assert not live.running
    assert len(live.moments) == live.summary.frames == 60
    assert all([track.id for track in seen] == [1] for _, seen in live.moments)
    assert 6 <= len(live.snapshots) < 12
    times = [seconds for seconds, _ in live.snapshots]
    assert times[0] == 0 and times[-1] > 0.7 * 59 / 25
    assert live.snapshots[0][1].shape == FACE.shape
    assert any("p95 latency" in line for line in live.lines)


def test_errors_reach_the_cell(settings):
    with pytest.raises(SourceError, match="missing.mp4"):
        LiveView("missing.mp4", settings=settings, widget=False).start().wait()


def test_stop_and_limit_end_an_endless_source(settings):
    live = LiveView(endless(), settings=settings, widget=False).start().wait(0.5)
    assert live.running and live.moments
    live.stop()
    assert not live.running
    limited = LiveView(endless(), settings=settings, widget=False, limit=0.5).start()
    limited.wait(20)
    assert not limited.running


def test_only_one_view_runs_at_a_time(settings):
    first = LiveView(endless(), settings=settings, widget=False).start()
    second = LiveView(endless(), settings=settings, widget=False).start()
    assert not first.running and second.running
    second.stop()
    assert "live view" not in [thread.name for thread in threading.enumerate()]


def test_the_widget_shows_frames_and_its_button_stops(settings, capsys):
    live = LiveView(endless(), settings=settings, widget=True).start().wait(0.6)
    picture = cv2.imdecode(np.frombuffer(live.image.value, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert picture.shape == FACE.shape
    assert np.abs(picture[300:400, :100].astype(int) - FACE[300:400, :100]).mean() < 5, "colours in the right order"
    assert "1: Happy" in live.status.value
    live.button.click()
    live.wait(20)
    assert not live.running
    assert live.status.value.startswith("ended: ")


def test_a_file_is_shown_at_its_own_speed(settings):
    live = LiveView(iter([FACE] * 25), settings=settings, widget=True).start()
    start = time.perf_counter()
    live.wait()
    assert time.perf_counter() - start >= 0.9
