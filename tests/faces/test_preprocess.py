"""The one way from a face to the network's input, and that training, evaluation and real time all take it."""

import cv2
import numpy as np
import pytest

from fer_utils.faces import ImageError, preprocess

GRAY = np.random.default_rng(1).integers(0, 256, (48, 48), dtype=np.uint8)


def test_fer_images_pass_unchanged_and_channels_are_equal():
    assert np.array_equal(preprocess.to_gray48(GRAY), GRAY)
    out = preprocess.to_input(GRAY)
    assert out.shape == (96, 96, 3) and out.dtype == np.float32 and 0 <= out.min() and out.max() <= 255
    assert np.array_equal(out[..., 0], out[..., 1]) and np.array_equal(out[..., 0], out[..., 2])
    assert np.array_equal(out[..., 0], cv2.resize(GRAY, (96, 96), interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("form", ["one channel", "rgb", "rgba", "uint16", "unit float", "byte float"])
def test_every_form_of_a_picture_gives_the_same_input(form):
    image = {
        "one channel": GRAY[..., None], "rgb": np.dstack([GRAY] * 3), "rgba": np.dstack([GRAY] * 4),
        "uint16": GRAY.astype(np.uint16) * 257, "unit float": GRAY / 255.0, "byte float": GRAY.astype(np.float32),
    }[form]
    assert np.array_equal(preprocess.to_input(image), preprocess.to_input(GRAY))


def test_channels_are_read_as_rgb():
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 255
    assert preprocess.to_gray48(red)[0, 0] == 76  # 0.299 * 255; read as BGR it would be 29


def test_a_large_crop_keeps_48_pixels_of_detail_only():
    checkers = (np.indices((480, 480)).sum(0) % 2 * 255).astype(np.uint8)  # detail that FER2013 cannot show
    assert np.abs(preprocess.to_input(checkers) - 127.5).max() <= 1


@pytest.mark.parametrize("image, words", [
    (np.zeros((1, 1), np.uint8), "at least 2 × 2"), (np.zeros((0, 0), np.uint8), "at least 2 × 2"),
    (np.zeros((4, 4, 2), np.uint8), "shape must be"), (np.zeros(9, np.uint8), "shape must be"),
    (np.zeros((4, 4), np.int64), "dtype must be"), (np.full((4, 4), np.nan), "finite"),
    (np.full((4, 4), -1.0), r"\[0, 1\] or \[0, 255\]"), (np.full((4, 4), 300.0), r"\[0, 1\] or \[0, 255\]"),
])
def test_bad_pictures_get_one_clear_error(image, words):
    with pytest.raises(ImageError, match=words):
        preprocess.to_input(image)


def test_batches_equal_singles_and_may_be_empty():
    assert preprocess.to_inputs([]).shape == (0, 96, 96, 3)
    assert np.array_equal(preprocess.to_inputs([GRAY, GRAY.T])[1], preprocess.to_input(GRAY.T))


def test_crop_is_square_around_the_box_and_repeats_the_border():
    frame = np.zeros((200, 300, 3), np.uint8)
    left, top, side = preprocess.frame_of((100, 50, 80, 100))
    assert left + side / 2 == pytest.approx(140) and side == pytest.approx(preprocess.FRAME_SIDE * 90)
    frame[:, : int(left)] = 255  # everything left of the crop
    assert preprocess.crop_face(frame, (100, 50, 80, 100)).max() < 128
    assert preprocess.crop_face(np.full((200, 300, 3), 9, np.uint8), (-30, -30, 80, 80)).tolist() == [[9] * 48] * 48


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (0, 0, -3, 5), (float("nan"), 0, 5, 5), (900, 900, 20, 20)])
def test_bad_boxes(box):
    with pytest.raises(ImageError, match="box"):
        preprocess.crop_face(np.zeros((100, 100, 3), np.uint8), box)


def test_training_and_real_time_make_the_same_input(monkeypatch):
    """One face through training's batches (augmentation off) and through the camera's crop: the same array."""
    from fer_utils.training.config import Config
    from fer_utils.training.dataset import batches

    off = dict.fromkeys(["flip", "rotation", "shift", "zoom", "brightness", "contrast", "erasing"], 0.0)
    config = Config("xception", epochs=1, batch=1, mixup=0.0, augmentation=off)
    (trained, *_), = batches(config, GRAY[None], np.eye(7, dtype=np.float32)[:1], 0)

    side = 48 / preprocess.FRAME_SIDE  # the box whose crop is exactly these 48 pixels
    centre = 24 - np.array(preprocess.FRAME_OFFSET) * side
    monkeypatch.setattr(preprocess, "frame_of", lambda box: tuple(np.round(FRAME(box), 6)))
    live = preprocess.to_inputs([preprocess.crop_face(np.dstack([GRAY] * 3), (*(centre - side / 2), side, side))])
    assert np.array_equal(trained, live)


FRAME = preprocess.frame_of  # rounded in the test above: 47.999999 is 48
