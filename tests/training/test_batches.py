"""What training feeds the network."""

import numpy as np
import pytest

from fer_utils import data
from fer_utils.training.config import Config
from fer_utils.training.dataset import batches, prefetch, shown, steps, training_set


def test_an_epochs_batches_are_the_same_whenever_it_is_asked_for(drawn):
    config = Config("xception", epochs=2, batch=8)
    images, targets = drawn.images[:40], np.eye(7, dtype=np.float32)[drawn.labels[:40]]
    first, again, other = (list(batches(config, images, targets, epoch)) for epoch in (0, 0, 1))
    assert len(first) == 5 and first[0].inputs.shape == other[0].inputs.shape == (8, 96, 96, 3)
    assert (first[0].opinions == 0).all()
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])


@pytest.mark.parametrize("epoch_rows, wanted", [(None, 40), (16, 16), (100, 96)])
def test_an_epoch_can_have_a_size_of_its_own(drawn, epoch_rows, wanted):
    """A small training set is gone through as often as it takes, each row equally often up to one."""
    config = Config("xception", batch=8, mixup=0.0, epoch_rows=epoch_rows)
    images, targets = drawn.images[:40], np.eye(40, dtype=np.float32)  # a target of its own for each row
    found = list(batches(config, images, targets, 0))
    assert len(found) == steps(config, 40) == wanted // 8
    times = np.concatenate([batch.targets for batch in found]).sum(0)
    assert times.sum() == wanted and times.max() - times.min() <= 1


@pytest.mark.parametrize("until, mixed", [(0.0, [False] * 4), (0.5, [True, True, False, False]), (1.0, [True] * 4)])
def test_mixup_ends_with_its_share_of_the_epochs(drawn, until, mixed):
    config = Config("xception", epochs=4, batch=8, mixup=1.0, mixup_until=until)
    images, targets = drawn.images[:8], np.eye(8, dtype=np.float32)
    given = [next(batches(config, images, targets, epoch)).targets for epoch in range(4)]
    assert [bool((told.max(1) < 1).any()) for told in given] == mixed


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_epoch_shows_its_own_share_of_faces_the_other_way(share):
    config = Config("xception", other=share)
    images, others = np.zeros((2000, 2, 2), np.uint8), np.ones((2000, 2, 2), np.uint8)
    first, again, second = (shown(config, images, others, epoch) for epoch in (0, 0, 1))
    assert np.array_equal(first, again) and first.dtype == np.uint8
    assert (first.reshape(2000, -1) == first[:, :1, 0]).all()  # a face is shown one way or the other, as a whole
    assert first.mean() == pytest.approx(share, abs=0.04)  # four standard deviations
    assert np.array_equal(first, second) == (share in (0, 1))


def test_leaked_rows_are_not_trained_on(drawn):
    images, _ = training_set(Config("xception"), drawn)
    test = {image.tobytes() for image in drawn.images[drawn.usage > 0]}
    assert len(images) and not any(image.tobytes() in test for image in images)
    assert len(images) < int((drawn.usage == 0).sum())


def test_a_resampled_set_repeats_rows_with_their_targets(drawn):
    plain, _ = training_set(Config("xception", votes=0), drawn)
    images, targets = training_set(Config("xception", votes=0, sampling="over"), drawn)
    counts = targets.sum(0)
    assert len(images) == len(targets) > len(plain) and counts == pytest.approx(counts[0])
    known = {(image.tobytes(), label) for image, label in zip(drawn.images, drawn.labels, strict=True)}
    assert all((image.tobytes(), row.argmax()) in known for image, row in zip(images, targets, strict=True))


def test_the_dictionary_is_learned_before_rows_are_repeated(drawn):
    """A translation fitted on resampled rows would learn the resampled class proportions."""
    config = Config("xception", votes=1.0, translate=True, sampling="over")
    images, targets = training_set(config, drawn)
    rows = data.training_indices(drawn)
    right = data.calibrated_votes(drawn.labels[rows], drawn.votes[rows])
    wanted = {drawn.images[row].tobytes(): value for row, value in zip(rows, right, strict=True)}
    assert all(np.allclose(wanted[image.tobytes()], row) for image, row in zip(images[:200], targets, strict=False))


def test_prefetching_keeps_the_order_and_passes_errors_on():
    assert list(prefetch(iter(range(9)), depth=3)) == list(range(9)) and list(prefetch(iter(()))) == []

    def failing():
        yield 1
        raise OSError("disk")

    source = prefetch(failing())
    assert next(source) == 1
    with pytest.raises(OSError, match="disk"):
        next(source)
