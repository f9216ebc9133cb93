from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_utils.explain.faithfulness import REGIONS, face_regions, faithfulness, frontal, region_shares, stability, where
from fer_utils.explain.lime import Explanation

LANDMARKS = np.array([[16, 19], [32, 19], [24, 27], [17.5, 36], [30.5, 36]], np.float32)
SEGMENTS = np.arange(36).reshape(6, 6).repeat(16, 0).repeat(16, 1)
IMAGE = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
TRUTH = np.zeros(36)
TRUTH[[14, 15, 26, 27]] = 0.2  # superpixels that the model below looks at


def watcher(inputs: np.ndarray) -> np.ndarray:
    """Probability of class 2: how many of the four superpixels still show their noise, in quarters."""
    visible = [np.ptp(inputs[:, SEGMENTS == segment, 0], axis=1) > 0 for segment in np.flatnonzero(TRUTH)]
    out = np.zeros((len(inputs), 7), np.float32)
    out[:, 2] = np.mean(visible, axis=0)
    return out


def explanation(weights: np.ndarray, seed: int = 0) -> Explanation:
    return Explanation(IMAGE, SEGMENTS, weights, 2, np.zeros(7, np.float32), 1.0, seed)


def test_stability_of_equal_opposite_and_similar_maps() -> None:
    weights = np.random.default_rng(1).normal(size=36)
    same = stability([explanation(weights), explanation(weights, 1), explanation(weights * 2, 2)])
    assert (same.spearman, same.top_iou, same.pairs) == (pytest.approx(1), 1, 3)
    opposite = stability([explanation(weights), explanation(-weights)])
    assert opposite.spearman == pytest.approx(-1) and opposite.top_iou == 0
    swapped = weights.copy()
    order = np.argsort(-weights)
    swapped[order[[4, 5]]] = weights[order[[5, 4]]]
    assert stability([explanation(weights), explanation(swapped)], top=5).top_iou == pytest.approx(4 / 6)


def test_stability_refuses_what_cannot_be_compared() -> None:
    first = explanation(TRUTH)
    with pytest.raises(ValueError, match="two or more"):
        stability([first])
    with pytest.raises(ValueError, match="same superpixels"):
        stability([first, replace(first, label=3)])
    with pytest.raises(ValueError, match="same superpixels"):
        stability([first, replace(first, segments=SEGMENTS.T)])


def test_faithful_map_beats_random_order_and_its_own_reverse() -> None:
    good, bad = faithfulness(watcher, explanation(TRUTH)), faithfulness(watcher, explanation(-TRUTH))
    assert good.deletion[0] == good.insertion[-1] == 1 and good.deletion[-1] == good.insertion[0] == 0
    assert good.area("deletion") < 0.1 < 0.3 < good.area("random_deletion")
    assert good.area("insertion") > 0.9 > 0.7 > good.area("random_insertion")
    assert bad.area("deletion") > 0.9 and bad.area("insertion") < 0.1
    assert len(good.share) == 21 and (good.share[0], good.share[-1]) == (0, 1)


def test_faithfulness_repeats_and_checks() -> None:
    first, again = (faithfulness(watcher, explanation(TRUTH), steps=5, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.random_deletion, again.random_deletion)
    for options in ({"steps": 0}, {"orders": 0}):
        with pytest.raises(ValueError, match="steps, orders"):
            faithfulness(watcher, explanation(TRUTH), **options)


def test_regions_lie_where_the_face_has_them() -> None:
    regions = face_regions(LANDMARKS)
    assert set(np.unique(regions)) == set(range(len(REGIONS)))
    for (x, y), name in zip(LANDMARKS * 2 + 0.5, ("eyes", "eyes", "nose", "mouth", "mouth"), strict=True):
        assert REGIONS[regions[round(y), round(x)]] == name
    assert REGIONS[regions[25, 33]] == "brows" and REGIONS[regions[2, 2]] == "hair, background"
    assert REGIONS[regions[56, 22]] == "rest of the face"
    np.testing.assert_array_equal(regions[:, ::-1], face_regions(mirrored(LANDMARKS)))


def mirrored(landmarks: np.ndarray) -> np.ndarray:
    points = landmarks[[1, 0, 2, 4, 3]].copy()
    points[:, 0] = 47 - points[:, 0]
    return points


def test_regions_turn_with_the_face() -> None:
    quarter = LANDMARKS[:, ::-1].copy()
    quarter[:, 0] = 47 - quarter[:, 0]
    np.testing.assert_array_equal(face_regions(quarter), np.rot90(face_regions(LANDMARKS), -1))


@pytest.mark.parametrize("bad", [np.full((5, 2), np.nan), np.zeros((5, 2)), LANDMARKS[:4]])
def test_missing_landmarks(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        face_regions(bad)


def test_shares_follow_weights_and_pixels() -> None:
    weights = np.zeros(36)
    weights[[26, 27]] = 0.3, -0.9  # rows 64–79, columns 32–63: the mouth; what speaks against counts nothing
    weight, area = region_shares(explanation(weights), LANDMARKS)
    assert weight[REGIONS.index("mouth")] > 0.9 and weight.sum() == pytest.approx(1) and area.sum() == pytest.approx(1)
    even, area = region_shares(explanation(np.ones(36)), LANDMARKS)
    np.testing.assert_allclose(even, area)
    assert np.isnan(region_shares(explanation(-np.ones(36)), LANDMARKS)[0]).all()


def test_where_in_words() -> None:
    weights = np.zeros(36)
    weights[26] = 0.3
    assert where(explanation(weights), LANDMARKS, n=1).startswith("mouth ")
    assert where(explanation(-np.ones(36)), LANDMARKS) == "nothing speaks for the class"
    assert where(explanation(weights), np.full((5, 2), np.nan)) == "no landmarks found"
    assert where(explanation(weights), LANDMARKS * (0.5, 1)).startswith("a profile")


def test_frontal_is_about_the_pose_not_about_size_or_roll() -> None:
    turned = LANDMARKS[:, ::-1].copy()
    assert frontal(LANDMARKS) and frontal(LANDMARKS / 3) and frontal(turned)
    assert not frontal(LANDMARKS * (0.5, 1)) and not frontal(np.full((5, 2), np.nan)) and not frontal(np.zeros((5, 2)))
