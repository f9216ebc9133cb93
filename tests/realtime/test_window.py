from __future__ import annotations

import os
import shutil
import subprocess
import time

import numpy as np
import pytest

from fer_utils.realtime.window import Window

IMAGE = np.full((120, 160, 3), 90, np.uint8)


def until(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def show_until(window: Window, condition) -> bool:
    return until(lambda: (window.show(IMAGE), condition())[1])


@pytest.fixture
def no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")


def test_without_a_display_only_the_window_fails(no_display, capfd):
    with Window("test") as window:
        assert show_until(window, lambda: window.failed)
        assert not window.stopped
        assert window.show(IMAGE) is False
    assert capfd.readouterr() == ("", "")


def test_a_window_that_dies_does_not_take_us_along(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    with Window("test") as window:
        window._process.kill()
        assert show_until(window, lambda: window.failed)


def test_closing_is_no_failure_and_may_be_repeated(no_display):
    window = Window("test")
    window.close()
    assert not (window.stopped or window.failed)
    assert window._process.poll() is not None
    window.close()


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb (apt install xvfb), a display without a screen")
def test_with_a_display_that_goes_away(monkeypatch):
    display = subprocess.Popen(["Xvfb", ":97"], stderr=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("DISPLAY", ":97")
        assert until(lambda: os.path.exists("/tmp/.X11-unix/X97"))
        with Window("test") as window:
            for _ in range(20):
                assert window.show(IMAGE)
                time.sleep(0.05)
            display.kill()
            assert show_until(window, lambda: window.failed)
    finally:
        display.kill()
        display.wait()
