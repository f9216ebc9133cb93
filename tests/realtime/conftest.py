"""What the real-time tests share: a small real classifier and a film of a face."""

from __future__ import annotations

from pathlib import Path

import pytest
import realtime_tools as tools


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> str:
    """A real ONNX classifier of a few kilobytes: bright faces are Happy, dark ones Sad."""
    return str(tools.tiny_classifier(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Path:
    """40 frames of a face that moves, 10 frames without one."""
    frames = [tools.scene((200 + 4 * i, 240)) for i in range(40)] + [tools.scene()] * 10
    return tools.write_video(tmp_path_factory.mktemp("film") / "film.mp4", frames)


@pytest.fixture
def no_display(monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
