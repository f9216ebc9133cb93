from dataclasses import replace

import numpy as np
import pytest

from fer_utils.data.drawn_canvas import SCALE, SIZE, Canvas, bow, curve, ellipse
from fer_utils.data.drawn_faces import random_look

SIDE = SIZE * SCALE
STRAIGHT = replace(random_look(np.random.default_rng(0)), yaw=0.0, roll=0.0, scale=1.0, shift=(0.0, 0.0))


def paper() -> np.ndarray:
    return np.full((SIDE, SIDE), 128, np.uint8)


def disc(x: float = 0.0, y: float = 0.0, radius: float = 0.2) -> np.ndarray:
    return ellipse(x, y, radius, radius)


def centre_of_ink(image: np.ndarray) -> np.ndarray:
    return np.argwhere(image != 128).mean(0)[::-1]


def test_a_curve_goes_through_its_points() -> None:
    points = np.array([(0, 0), (1, 2), (3, 1), (4, 4)], float)
    for closed in (False, True):
        distance = np.abs(curve(points, closed=closed)[:, None] - points).sum(2).min(0)
        assert distance.max() < 1e-12
    assert len(curve(points, closed=True)) > len(curve(points))


def test_a_bow_is_its_own_mirror_image() -> None:
    line = bow([(0, 1), (0.5, 0.8), (1, 0)])
    np.testing.assert_allclose(line, line[::-1] * (-1, 1), atol=1e-12)
    assert (np.diff(line[:, 0]) > 0).all()


def test_fill_and_line_draw_where_the_face_is() -> None:
    canvas = Canvas(STRAIGHT)
    canvas.fill(disc(), 40)
    image = canvas.render(paper())
    assert image[SIDE // 2, SIDE // 2] == 40 and image[2, 2] == 128
    assert (image == 40).sum() == pytest.approx(np.pi * (0.2 * SIDE / 2) ** 2, rel=0.08)
    canvas.line(np.array([(-0.9, 0.5), (0.9, 0.5)]), 250, 1.0)
    assert canvas.render(paper())[int(SIDE * 0.75), SIDE // 4] == 250


@pytest.mark.parametrize(
    ("change", "x", "y"),
    [({"shift": (0.25, -0.1)}, 24, -9.6), ({"scale": 0.5}, 24, 24), ({"roll": np.pi / 2}, -48, 48)],
)
def test_pose_moves_what_is_drawn(change: dict, x: float, y: float) -> None:
    place = (0.0, 0.0) if "shift" in change else (0.5, 0.5)
    canvas = Canvas(replace(STRAIGHT, **change))
    canvas.fill(disc(*place, 0.1), 0)
    found = centre_of_ink(canvas.render(paper())) - SIDE / 2
    assert np.abs(found).tolist() == pytest.approx([abs(x), abs(y)], abs=1.5)


def test_yaw_moves_the_nose_more_than_the_cheek() -> None:
    moved = {}
    for raised in (0.0, 0.2):
        canvas = Canvas(replace(STRAIGHT, yaw=0.3))
        canvas.fill(disc(0, 0.1, 0.05), 0, raised=raised)
        moved[raised] = centre_of_ink(canvas.render(paper()))[0]
    assert moved[0.2] > moved[0.0] + 3


def test_shade_darkens_softly_and_only_once() -> None:
    canvas = Canvas(STRAIGHT)
    canvas.shadow(disc(radius=0.4), 0.5)
    canvas.apply_shade(1.0)
    canvas.apply_shade(1.0)
    image = canvas.render(paper())
    assert image[SIDE // 2, SIDE // 2] == 64 and image[2, 2] == 128
    assert len(np.unique(image[SIDE // 2])) > 8, "the edge must be soft"


def test_clip_keeps_ink_inside_even_at_the_border() -> None:
    for x in (0.0, 0.95, 1.5):
        canvas = Canvas(STRAIGHT)
        canvas.clip(disc(x, 0, 0.2))
        canvas.fill(disc(x, 0, 0.2), 10)
        canvas.fill(disc(x, 0, 0.6), 20)
        canvas.unclip()
        image = canvas.render(paper())
        ys, xs = np.mgrid[:SIDE, :SIDE]
        inside = np.hypot(xs - SIDE / 2 * (1 + x), ys - SIDE / 2) < 0.23 * SIDE / 2
        assert (image[~inside] == 128).all()
        assert (image < 128).any() == (x < 1.2)
