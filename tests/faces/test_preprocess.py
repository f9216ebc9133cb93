"""The one way from a face to the network's input, and that training and real time both take it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_utils.faces import ImageError, crop_face, preprocess, to_input, to_inputs

GRAY = np.random.default_rng(1).integers(0, 256, (48, 48), dtype=np.uint8)


def test_fer_images_pass_unchanged_and_channels_are_equal():
    assert np.array_equal(preprocess.to_gray48(GRAY), GRAY)
    out = to_input(GRAY)
    assert out.shape == (96, 96, 3) and out.dtype == np.float32 and 0 <= out.min() and out.max() <= 255
    assert np.array_equal(out[..., 0], out[..., 1]) and np.array_equal(out[..., 0], out[..., 2])
    assert np.array_equal(out[..., 0], cv2.resize(GRAY, (96, 96), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("image", [
    GRAY[..., None], np.dstack([GRAY] * 4), GRAY.astype(np.uint16) * 257, GRAY / 255.0, GRAY.astype(np.float32),
], ids=["one channel", "RGBA", "uint16", "float 0–1", "float 0–255"])
def test_every_form_of_an_image_gives_the_same_input(image):
    assert np.array_equal(to_input(image), to_input(GRAY))


def test_channels_are_read_as_rgb():
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 255
    assert preprocess.to_gray48(red)[0, 0] == 76  # 0.299 * 255; read as BGR it would be 29


def test_a_large_crop_keeps_48_pixels_of_detail_only():
    checkers = (np.indices((480, 480)).sum(0) % 2 * 255).astype(np.uint8)  # detail that FER2013 cannot show
    assert np.abs(to_input(checkers) - 127.5).max() <= 1


@pytest.mark.parametrize("image", [
    np.zeros((1, 1), np.uint8), np.zeros((0, 0), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros(9, np.uint8),
    np.zeros((4, 4), np.int64), np.full((4, 4), np.nan), np.full((4, 4), -1.0), np.full((4, 4), 300.0),
], ids=["1 × 1", "empty", "2 channels", "1-D", "int64", "NaN", "below 0", "above 255"])
def test_bad_images_get_one_clear_error(image):
    with pytest.raises(ImageError, match="image: "):
        to_input(image)


def test_batches_equal_singles_and_may_be_empty():
    assert to_inputs([]).shape == (0, 96, 96, 3)
    assert np.array_equal(to_inputs([GRAY, GRAY.T])[1], to_input(GRAY.T))


def test_crop_is_square_around_the_box_and_repeats_the_border():
    image = np.zeros((200, 300, 3), np.uint8)
    side = preprocess.FRAME_SIDE * 90
    image[:, : int(140 - side / 2)] = 255  # everything left of the crop
    assert crop_face(image, (100, 50, 80, 100)).max() < 128
    image[:, : int(140 - side / 2) + 4] = 255  # and four of its own columns
    assert crop_face(image, (100, 50, 80, 100)).max() == 255
    assert crop_face(np.full((200, 300, 3), 9, np.uint8), (-30, -30, 80, 80)).tolist() == [[9] * 48] * 48


def test_bad_boxes():
    for box in ((0, 0, 0, 5), (0, 0, -3, 5), (float("nan"), 0, 5, 5), (900, 900, 20, 20)):
        with pytest.raises(ImageError, match="box: "):
            crop_face(np.zeros((100, 100, 3), np.uint8), box)


def test_camera_and_training_make_the_same_input(monkeypatch):
    """A face that fills FER2013's frame exactly, cut out of a colour image: the same array as its gray pixels give."""
    monkeypatch.setattr(preprocess, "FRAME_SIDE", 1.0)
    around = cv2.copyMakeBorder(np.dstack([GRAY] * 3), 7, 20, 11, 9, cv2.BORDER_CONSTANT)
    assert np.array_equal(to_inputs([crop_face(around, (11, 7, 48, 48))]), to_inputs(GRAY[None]))
