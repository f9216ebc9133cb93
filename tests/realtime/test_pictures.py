"""Separate pictures: which files count as one, how they are read, and what is said of the rest."""

import cv2
import numpy as np
import pytest

from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sources import SourceError

RED = np.zeros((96, 128, 3), np.uint8)
RED[:, :, 0] = 250


def is_red(image: np.ndarray) -> bool:
    red, green, blue = image.reshape(-1, 3).mean(0)
    return red > 200 and green < 60 and blue < 60


def test_pictures_are_rgb_and_named(tmp_path):
    for name in ("b.png", "a ä.png"):
        cv2.imencode(".png", RED[:, :, ::-1])[1].tofile(tmp_path / name)
    with open_source(tmp_path) as source:
        frames = list(source)
    assert source.still
    assert [(frame.name, frame.index) for frame in frames] == [("a ä.png", 0), ("b.png", 1)]
    assert all(is_red(frame.image) for frame in frames)
    with open_source(str(tmp_path / "b.png")) as single:
        assert [frame.name for frame in single] == ["b.png"]


def test_an_unreadable_picture_is_left_out_and_named(tmp_path):
    cv2.imwrite(str(tmp_path / "good.png"), RED[:, :, ::-1])
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not meant")
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == ["good.png"]
    assert list(source.left_out) == ["bad.jpg", "empty.jpg", "notes.txt"]


def test_folders_without_a_picture(tmp_path):
    with pytest.raises(SourceError, match="folder"):
        open_source(tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="no picture"):
        list(open_source(tmp_path))
