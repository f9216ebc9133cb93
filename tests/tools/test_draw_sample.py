"""Drawing the embedded sample again gives what the package carries; action units do to the faces what they mean."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer_utils import data
from fer_utils.data import CLASSES
from tools.sample import clip, make_sample
from tools.sample.action_units import ACTION_UNITS, PROTOTYPES, random_units
from tools.sample.faces import draw, random_look

LOOK = replace(
    random_look(np.random.default_rng(0)), skin=200.0, hair=30.0, back=200.0, yaw=0.0, roll=0.0, scale=1.0,
    shift=(0.0, 0.0), gaze=(0.0, 0.0), light=(0.0, 0.0), contrast=1.0, blur=0.2, noise=0.0, glasses=0, beard=0,
    hairstyle=1, volume=0.06, brow=1.2, width=0.7, eye_gap=0.3, eye_size=1.0, nose=1.0, mouth_width=0.26, lips=1.0,
    jaw=0.7, chin=0.92,
)  # fmt: skip
EYES, BROWS, NOSE, MOUTH = np.s_[16:24, 12:36], np.s_[8:17, 12:36], np.s_[18:31, 18:30], np.s_[30:46, 12:36]
REGION = {1: BROWS, 2: BROWS, 4: BROWS, 5: EYES, 6: EYES, 7: EYES, 9: NOSE, 43: EYES}


def face(**units: float) -> np.ndarray:
    return draw({int(unit[2:]): value for unit, value in units.items()}, LOOK, np.random.default_rng(1)).astype(float)


def darkest_row(image: np.ndarray, area: tuple[slice, slice]) -> float:
    """The dark pixels' mean row inside an area, in pixels of the image."""
    part = np.maximum(110 - image[area], 0)
    return area[0].start + float((part.sum(1) * np.arange(len(part))).sum() / part.sum())


@pytest.mark.slow
def test_drawing_again_gives_the_embedded_sample(drawn):
    images, labels, usage, votes = make_sample.draw_sample()
    np.testing.assert_array_equal(labels, drawn.labels)
    np.testing.assert_array_equal(usage, drawn.usage)
    np.testing.assert_array_equal(votes, drawn.votes)
    # OpenCV rounds differently on other processors.
    assert np.abs(images.astype(int) - drawn.images).max() <= 2


@pytest.mark.slow
def test_drawing_again_gives_the_embedded_clip(tmp_path):
    video, table = clip.write(tmp_path)
    assert table.read_bytes() == data.clip_path().with_name("clip_truth.csv").read_bytes()
    assert not list(tmp_path.glob(".*")), "a temporary file was left"
    captures = [cv2.VideoCapture(str(path)) for path in (video, data.clip_path())]
    for (drawn, truth), stored in zip(clip.clip_frames(), data.clip_truth(), strict=True):
        assert (truth.label, truth.expected) == (stored.label, stored.expected)
        assert truth.box is None or stored.box == pytest.approx(truth.box, abs=0.01)
        for _, shown in (capture.read() for capture in captures):
            assert np.abs(shown[..., ::-1].astype(float) - drawn).mean() < 6, "colour order or timing"
    assert not any(capture.read()[0] for capture in captures)
    for capture in captures:
        capture.release()


def test_what_is_written_loads_as_it_was_drawn(tmp_path, monkeypatch):
    small = make_sample.draw_sample(seed=7, n=100)
    monkeypatch.setattr(make_sample, "draw_sample", lambda: small)
    table, votes = make_sample.write(tmp_path)
    fer = data.load(table, votes=votes)
    for got, want in zip((fer.images, fer.labels, fer.usage, fer.votes), small, strict=True):
        np.testing.assert_array_equal(got, want)
    assert fer.counts().min() >= 1 and not fer.is_sample


def test_the_seed_decides():
    first, again, other = (make_sample.draw_sample(seed=seed, n=100) for seed in (7, 7, 8))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).any() and (first[1] != other[1]).any()


def test_without_an_encoder_nothing_is_left_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.VideoWriter, "fourcc", staticmethod(lambda *_: -2))
    with pytest.raises(OSError, match="cannot write mp4"):
        clip.write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_each_unit_changes_its_own_part_most():
    for unit, name in ACTION_UNITS.items():
        rest = {"au25": 1.0} if unit == 16 else {}  # the lower lip is drawn down when the lips part
        change = np.abs(face(**rest, **{f"au{unit}": 1.0}) - face(**rest))
        area = REGION.get(unit, MOUTH)
        assert change[area].max() > 25, name
        assert change[area].mean() > 3 * change.mean() or change[area].sum() > 0.6 * change.sum(), name


def test_brows_lids_and_mouth_move_as_the_units_say():
    assert (darkest_row(face(au1=1.0, au2=1.0), BROWS) < darkest_row(face(), BROWS) - 1
            < darkest_row(face(au4=1.0), BROWS) - 1.5)  # fmt: skip
    corners = np.s_[30:42, 16:20]
    smile, rest, sorrow = (darkest_row(face(**units), corners) for units in ({"au12": 1.0}, {}, {"au15": 1.0}))
    assert smile < rest - 1 < rest + 1 < sorrow
    wide, rest, closed = ((face(**units)[EYES] < 70).sum() for units in ({"au5": 1.0}, {}, {"au43": 1.0}))
    assert wide > rest > closed
    dark = [(face(au25=value, au26=value)[MOUTH] < 60).sum() for value in (0.0, 0.5, 1.0)]
    assert dark[0] < dark[1] < dark[2]


def test_looks_differ():
    parts = [{"hairstyle": k} for k in (0, 2, 3, 4, 5)] + [{"beard": k} for k in (1, 2, 3)] + [{"glasses": 1}]
    for part in parts:
        other = draw({}, replace(LOOK, **part), np.random.default_rng(1)).astype(float)
        assert np.abs(other - face()).max() > 40, part


@pytest.mark.parametrize("expression", ["Angry", "Fear", "Neutral"])
def test_units_stay_in_range_and_follow_the_prototype(expression):
    assert tuple(PROTOTYPES) == CLASSES
    chosen = [random_units(expression, np.random.default_rng(seed))[0] for seed in range(300)]
    table = np.array([[units[unit] for unit in ACTION_UNITS] for units in chosen])
    assert table.min() >= 0 and table.max() <= 1
    meant = {unit for way in PROTOTYPES[expression] for unit in way}
    for unit, mean in zip(ACTION_UNITS, table.mean(0), strict=True):
        assert (mean > 0.05) == (unit in meant), f"AU{unit} {ACTION_UNITS[unit]}: {mean:.3f}"


def test_bad_units_and_expressions():
    with pytest.raises(ValueError, match="units"):
        draw({12: 1.01}, LOOK, np.random.default_rng(0))
    with pytest.raises(ValueError, match="expression"):
        random_units("happy", np.random.default_rng(0))
