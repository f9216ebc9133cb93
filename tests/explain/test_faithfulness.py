"""Stability, deletion and insertion, and the parts of a face, on maps that are known to be right or wrong."""

from dataclasses import replace

import numpy as np
import pytest

from fer_utils.explain import REGIONS, faithfulness, is_frontal, region_weights, stability
from fer_utils.explain._faithfulness import face_regions
from fer_utils.explain._lime import Explanation

LANDMARKS = np.array([[16, 19], [32, 19], [24, 27], [17.5, 36], [30.5, 36]], np.float32)
SEGMENTS = np.arange(36).reshape(6, 6).repeat(16, 0).repeat(16, 1)
IMAGE = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
TRUTH = np.zeros(36)
TRUTH[[14, 15, 26, 27]] = 0.2  # superpixels that the model below looks at


def watcher(inputs):
    """Probability of class 2: how many of the four superpixels still show their noise, in quarters."""
    visible = [np.ptp(inputs[:, SEGMENTS == segment, 0], axis=1) > 0 for segment in np.flatnonzero(TRUTH)]
    out = np.zeros((len(inputs), 7), np.float32)
    out[:, 2] = np.mean(visible, axis=0)
    return out


def explanation(weights):
    return Explanation(IMAGE, SEGMENTS, weights, 2, np.zeros(7, np.float32), 1.0)


def test_stability_of_equal_opposite_and_similar_maps():
    weights = np.random.default_rng(1).normal(size=36)
    same = stability([explanation(weights), explanation(weights), explanation(weights * 2)])
    assert same == (pytest.approx(1), 1)
    opposite = stability([explanation(weights), explanation(-weights)])
    assert opposite.spearman == pytest.approx(-1) and opposite.top_iou == 0
    swapped, order = weights.copy(), np.argsort(-weights)
    swapped[order[[4, 5]]] = weights[order[[5, 4]]]
    assert stability([explanation(weights), explanation(swapped)], top=5).top_iou == pytest.approx(4 / 6)


@pytest.mark.parametrize("others", [[], [{"label": 3}], [{"segments": SEGMENTS.T.copy()}]])
def test_stability_refuses_what_cannot_be_compared(others):
    first = explanation(TRUTH)
    with pytest.raises(ValueError, match="^explanations:"):
        stability([first, *(replace(first, **changes) for changes in others)])


def test_a_faithful_map_beats_random_order_and_its_own_reverse():
    good, bad = faithfulness(watcher, explanation(TRUTH)), faithfulness(watcher, explanation(-TRUTH))
    area, bad_area = (curves.drop(columns="share").apply(np.trapezoid, x=curves.share) for curves in (good, bad))
    assert good.deletion.iloc[[0, -1]].tolist() == [1, 0] and good.insertion.iloc[[0, -1]].tolist() == [0, 1]
    assert area.deletion < 0.1 < 0.3 < area.random_deletion and area.insertion > 0.9 > 0.7 > area.random_insertion
    assert bad_area.deletion > 0.9 and bad_area.insertion < 0.1
    assert len(good) == 21 and good.share.iloc[[0, -1]].tolist() == [0, 1]
    assert good.equals(faithfulness(watcher, explanation(TRUTH)))


@pytest.mark.parametrize("options", [{"steps": 0}, {"orders": 0}])
def test_no_steps_or_orders(options):
    with pytest.raises(ValueError, match="steps, orders"):
        faithfulness(watcher, explanation(TRUTH), **options)


def mirrored(landmarks):
    points = landmarks[[1, 0, 2, 4, 3]].copy()
    points[:, 0] = 47 - points[:, 0]
    return points


def test_regions_lie_where_the_face_has_them():
    regions = face_regions(LANDMARKS)
    assert set(np.unique(regions)) == set(range(len(REGIONS)))
    for (x, y), name in zip(LANDMARKS * 2 + 0.5, ("eyes", "eyes", "nose", "mouth", "mouth"), strict=True):
        assert REGIONS[regions[round(y), round(x)]] == name
    assert REGIONS[regions[25, 33]] == "brows" and REGIONS[regions[2, 2]] == "hair, background"
    assert REGIONS[regions[56, 22]] == "rest of the face"
    np.testing.assert_array_equal(regions[:, ::-1], face_regions(mirrored(LANDMARKS)))


def test_regions_rotate_with_the_face():
    quarter = LANDMARKS[:, ::-1].copy()
    quarter[:, 0] = 47 - quarter[:, 0]
    np.testing.assert_array_equal(face_regions(quarter), np.rot90(face_regions(LANDMARKS), -1))


@pytest.mark.parametrize("bad", [np.full((5, 2), np.nan), np.zeros((5, 2)), LANDMARKS[:4]])
def test_missing_landmarks(bad):
    with pytest.raises(ValueError, match="landmarks"):
        face_regions(bad)


def test_weights_of_regions_follow_superpixels_and_pixels():
    weights = np.zeros(36)
    weights[[26, 27]] = 0.3, -0.9  # rows 64–79, columns 32–63: the mouth; a negative weight counts nothing
    weight, area = region_weights(explanation(weights), LANDMARKS)
    assert weight[REGIONS.index("mouth")] > 0.9 and weight.sum() == pytest.approx(1) and area.sum() == pytest.approx(1)
    even, area = region_weights(explanation(np.ones(36)), LANDMARKS)
    np.testing.assert_allclose(even, area)
    assert np.isnan(region_weights(explanation(-np.ones(36)), LANDMARKS)[0]).all()


def test_frontal_is_about_the_pose_not_about_size_or_roll():
    assert is_frontal(LANDMARKS) and is_frontal(LANDMARKS / 3) and is_frontal(LANDMARKS[:, ::-1])
    turned = LANDMARKS + np.eye(5)[2][:, None] * (4, 0)  # the nose a quarter of the eyes' distance to one side
    for points in (LANDMARKS * (0.5, 1), turned, turned[:, ::-1], np.full((5, 2), np.nan), np.zeros((5, 2))):
        assert not is_frontal(points)
