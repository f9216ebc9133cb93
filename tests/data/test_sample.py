import numpy as np
import pytest

from fer_utils.data import make_sample as sample
from fer_utils.data import CLASSES, VOTE_NAMES, cross_split_duplicates


@pytest.fixture(scope="module")
def drawn():
    return sample.faces(n=1400)


def test_form(drawn) -> None:
    assert drawn.images.shape == (1400, 48, 48) and drawn.images.dtype == np.uint8
    assert drawn.labels.dtype == drawn.usage.dtype == np.int8 and drawn.rows.dtype == np.int32
    assert drawn.votes.shape == (1400, 10) and drawn.votes.dtype == np.uint8
    assert drawn.is_sample and drawn.official_splits and "drawn sample" in drawn.title_note
    assert (np.diff(drawn.usage) >= 0).all() and (drawn.rows == np.arange(1400)).all()


@pytest.mark.parametrize("n", [100, 351, 1400])
def test_proportions_are_those_of_fer2013(n: int) -> None:
    counts = sample.faces(n=n).counts()
    assert counts.sum() == n and counts.min() >= 1
    exact = sample.FER2013_COUNTS * n / sample.FER2013_COUNTS.sum()
    assert np.abs(counts - exact).max() < (2 if n >= 700 else 8)


def test_fer2013_s_published_counts() -> None:
    assert sample.FER2013_COUNTS.sum(1).tolist() == [28709, 3589, 3589]
    assert sample.FER2013_COUNTS.sum(0)[CLASSES.index("Happy")] == 8989


def test_the_seed_decides() -> None:
    first = sample.faces(n=100, seed=7)
    first.images[:] = 0  # a caller who writes into the arrays must not change what the next one gets
    again, third = sample.faces(n=100, seed=7), sample.faces(n=100, seed=8)
    sample._drawn.cache_clear()
    fresh = sample.faces(n=100, seed=7)
    for name in ("images", "labels", "split", "votes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fresh, name))
    assert (fresh.images != third.images).any() and (fresh.labels != third.labels).any()


def test_it_has_fer2013_s_faults(drawn) -> None:
    twins = cross_split_duplicates(drawn)
    assert 5 <= twins.sum() <= 14 and (drawn.usage[twins] == 0).all()
    conflicts = 0
    for row in np.flatnonzero(twins):
        same = (drawn.images == drawn.images[row]).all((1, 2))
        conflicts += len(set(drawn.labels[same])) > 1
    assert conflicts >= 1
    blank = drawn.images.std((1, 2)) == 0
    assert blank.sum() == 1 and drawn.usage[blank] == 0
    assert drawn.votes[blank][0].tolist() == [0] * 9 + [10]


def test_votes_follow_the_labels_but_not_always(drawn) -> None:
    assert (drawn.votes.sum(1) == 10).all()
    assert [name[:3].lower() for name in sample.FER_PLUS] == [name[:3].lower() for name in VOTE_NAMES]
    majority = np.array([sample.FER_PLUS[k] for k in drawn.votes.argmax(1)])
    agree = (majority == np.array(CLASSES)[drawn.labels]).mean()
    assert 0.6 < agree < 0.9


def test_a_quick_classifier_learns_it_but_not_perfectly(drawn) -> None:
    from skimage.feature import hog
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    options = {"orientations": 8, "pixels_per_cell": (8, 8), "cells_per_block": (2, 2)}
    features = np.array([hog(image, **options) for image in drawn.images])
    train = drawn.usage == 0
    model = make_pipeline(PCA(60, whiten=True, random_state=0), LogisticRegression(C=0.1, max_iter=300))
    model.fit(features[train], drawn.labels[train])
    accuracy = model.score(features[~train], drawn.labels[~train])
    majority = np.bincount(drawn.labels[~train]).max() / (~train).sum()
    assert majority + 0.2 < accuracy < 0.95


def test_mtcnn_takes_the_drawings_for_faces(drawn) -> None:
    from fer_utils.faces import fer_landmarks

    images = drawn.images[drawn.images.std((1, 2)) > 0][:60]
    found = np.isfinite(fer_landmarks(images).points[:, 0, 0])
    assert found.mean() > 0.8


@pytest.mark.parametrize("seed", [-1, 1.5, "2013", None, True, 2**32])
def test_bad_seed(seed) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number from 0"):
        sample.faces(seed=seed)


@pytest.mark.parametrize("n", [0, 99, 35_888, 100.0, "100", None, True])
def test_bad_n(n) -> None:
    with pytest.raises(ValueError, match="n must be a whole number from 100 to 35887"):
        sample.faces(n=n)
