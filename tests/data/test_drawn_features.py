"""What each action unit does to the drawn face, measured on the pixels."""

from dataclasses import replace

import numpy as np
import pytest

from fer_utils.data.drawn_faces import draw, random_look
from fer_utils.data.facial_actions import ACTION_UNITS

LOOK = replace(
    random_look(np.random.default_rng(0)), skin=200.0, hair=30.0, back=200.0, yaw=0.0, roll=0.0, scale=1.0,
    shift=(0.0, 0.0), gaze=(0.0, 0.0), light=(0.0, 0.0), contrast=1.0, blur=0.2, noise=0.0, glasses=0, beard=0,
    hairstyle=1, volume=0.06,
    brow=1.2, width=0.7, eye_gap=0.3, eye_size=1.0,
    nose=1.0, mouth_width=0.26, lips=1.0, jaw=0.7, chin=0.92,
)  # fmt: skip

EYES, BROWS, NOSE, MOUTH = np.s_[16:24, 12:36], np.s_[8:17, 12:36], np.s_[18:31, 18:30], np.s_[30:46, 12:36]
REGION = {1: BROWS, 2: BROWS, 4: BROWS, 5: EYES, 6: EYES, 7: EYES, 9: NOSE, 43: EYES}


def face(**units: float) -> np.ndarray:
    return draw({int(unit[2:]): value for unit, value in units.items()}, LOOK, np.random.default_rng(1)).astype(float)


def darkest_row(image: np.ndarray, area: tuple[slice, slice]) -> float:
    """The dark pixels' mean row inside an area, in pixels of the picture."""
    part = np.maximum(110 - image[area], 0)
    return area[0].start + float((part.sum(1) * np.arange(len(part))).sum() / part.sum())


@pytest.mark.parametrize("unit", [unit for unit in ACTION_UNITS if unit != 16])
def test_each_unit_changes_its_own_part_most(unit: int) -> None:
    change = np.abs(face(**{f"au{unit}": 1.0}) - face())
    area = REGION.get(unit, MOUTH)
    assert change[area].max() > 25, ACTION_UNITS[unit]
    assert change[area].mean() > 3 * change.mean() or change[area].sum() > 0.6 * change.sum(), ACTION_UNITS[unit]


def test_the_lower_lip_is_drawn_down_when_the_lips_part() -> None:
    change = np.abs(face(au25=1.0, au16=1.0) - face(au25=1.0))
    assert change[MOUTH].max() > 25


def test_brows_rise_and_fall() -> None:
    rest = darkest_row(face(), BROWS)
    assert darkest_row(face(au1=1.0, au2=1.0), BROWS) < rest - 1 < rest + 0.5 < darkest_row(face(au4=1.0), BROWS)


def test_mouth_corners_rise_in_a_smile_and_fall_in_sorrow() -> None:
    corners = np.s_[30:42, 16:20]
    rest = darkest_row(face(), corners)
    assert darkest_row(face(au12=1.0), corners) < rest - 1 < rest + 1 < darkest_row(face(au15=1.0), corners)


def test_lids_open_and_close() -> None:
    wide, rest, closed = ((face(**units)[EYES] < 70).sum() for units in ({"au5": 1.0}, {}, {"au43": 1.0}))
    assert wide > rest > closed


def test_a_dropped_jaw_opens_a_dark_mouth() -> None:
    dark = [(face(au25=value, au26=value)[MOUTH] < 60).sum() for value in (0.0, 0.5, 1.0)]
    assert dark[0] < dark[1] < dark[2]


@pytest.mark.parametrize("part", [{"hairstyle": k} for k in range(6)] + [{"beard": k} for k in range(1, 4)]
                         + [{"glasses": 1}, {"glasses": 2}])  # fmt: skip
def test_each_look_differs(part: dict) -> None:
    other = draw({}, replace(LOOK, **part), np.random.default_rng(1)).astype(float)
    assert np.abs(other - face()).max() > 40 or part == {"hairstyle": LOOK.hairstyle}
