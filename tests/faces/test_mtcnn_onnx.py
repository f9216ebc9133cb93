"""The steps of the cascade against plain loops and the package's own formula."""

from __future__ import annotations

import numpy as np
import pytest
from face_images import crowd, portrait

from fer_utils.faces import mtcnn as mtcnn_onnx
from fer_utils.faces.mtcnn import Cascade, crop, pyramid


def package_levels(height: int, width: int) -> int:
    """The number of levels by mtcnn 1.0's build_scale_pyramid at its default settings."""
    return round(-((np.log(min(height, width) / 12) / np.log(0.709)) + 1))


def test_default_pyramid_is_the_package_s():
    for side in range(21, 2200):
        scales = pyramid(side, 3000, min_face_size=20, scale_factor=0.709)
        assert len(scales) == max(package_levels(side, 3000), 0), side
        np.testing.assert_allclose(scales, 0.6 * 0.709 ** np.arange(len(scales)))


@pytest.mark.parametrize("min_face_size", [12, 24, 40, 80, 200, 1000])
def test_no_level_is_smaller_than_the_window(min_face_size):
    for scale in pyramid(480, 640, min_face_size=min_face_size, scale_factor=0.709):
        assert int(480 * scale) >= 12


def crop_one(image: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """tf.image.crop_and_resize as its documentation defines it, pixel by pixel."""
    height, width, _ = image.shape
    patch = np.zeros((side, side, 3))
    for i in range(side):
        for j in range(side):
            y = (box[1] + (box[3] - box[1]) * i / (side - 1)) * (height - 1) / height
            x = (box[0] + (box[2] - box[0]) * j / (side - 1)) * (width - 1) / width
            if 0 <= y <= height - 1 and 0 <= x <= width - 1:
                y0, x0 = min(int(y), height - 2), min(int(x), width - 2)
                fy, fx = y - y0, x - x0
                top = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
                patch[i, j] = top * (1 - fy) + (image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx) * fy
    return patch


@pytest.mark.parametrize("box", [(10.3, 20.7, 60.1, 80.9), (-15, -20, 30, 25), (50, 40, 120, 90), (0, 0, 80, 60)])
def test_crop_is_bilinear_and_zero_outside(box):
    images = np.random.default_rng(1).normal(size=(3, 60, 80, 3)).astype(np.float32)
    rows = np.array([[2, *box, 0.9], [0, *box, 0.9]])
    patches = crop(images, rows, 24)
    for patch, number in zip(patches, (2, 0), strict=True):
        np.testing.assert_allclose(patch, crop_one(images[number], np.array(box), 24), atol=0.02)


def test_crop_of_nothing():
    assert crop(np.zeros((1, 30, 30, 3), np.float32), np.empty((0, 6)), 24).shape == (0, 24, 24, 3)


@pytest.mark.parametrize("smaller", [False, True], ids=["union", "smaller"])
@pytest.mark.parametrize("count", [0, 1, 40, 1300])
def test_suppression_against_a_loop(count, smaller):
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 90, (count, 2))
    opposite = corner + rng.uniform(10, 40, (count, 2))
    rows = np.column_stack([rng.integers(0, 3, count), corner, opposite, rng.random(count)])
    kept = mtcnn_onnx._suppress(rows, 0.5, smaller=smaller)
    expected = []
    for image in range(3):
        mine = sorted((row for row in rows if row[0] == image), key=lambda row: -row[5])
        for place, row in enumerate(mine):
            if not any(shared(row, better, smaller) > 0.5 for better in mine[:place]):
                expected.append(row)
    np.testing.assert_array_equal(kept, np.array(expected).reshape(-1, 6))


def shared(a: np.ndarray, b: np.ndarray, smaller: bool) -> float:
    width, height = min(a[3], b[3]) - max(a[1], b[1]), min(a[4], b[4]) - max(a[2], b[2])
    common = max(width, 0) * max(height, 0)
    areas = [(row[3] - row[1]) * (row[4] - row[2]) for row in (a, b)]
    return common / (min(areas) if smaller else sum(areas) - common)


def test_more_images_than_one_stack_holds(monkeypatch):
    cascade, image = Cascade(threads=1), portrait()[:200, 140:340]
    alone = cascade.detect(image[None])
    monkeypatch.setattr(mtcnn_onnx, "MAX_STACK_ROWS", 400)
    monkeypatch.setattr(mtcnn_onnx, "MAX_LEVEL_PIXELS", 20_000)
    monkeypatch.setattr(mtcnn_onnx, "MAX_CROPS", 7)
    many = cascade.detect(np.stack([image] * 5))
    assert many[:, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(many[:, 1:], np.repeat(alone[:, 1:], 5, axis=0), atol=1e-3)


def test_no_image_at_all():
    assert Cascade(threads=1).detect(crowd(1)[:0].reshape(0, 480, 640, 3)).shape == (0, 16)
