"""What the network is fed: which images, which targets, and that an epoch can be made again."""

import dataclasses

import numpy as np
import pytest

from fer_utils import data, faces
from fer_utils.training import TrainConfig, augment
from fer_utils.training.dataset import Batches, mixup, training_set

CONFIG = TrainConfig("resnet18", batch_size=16, label_smoothing=0.07)
NOTHING = dict.fromkeys(("flip", "rotation", "shift", "zoom", "brightness", "contrast", "erasing"), 0.0)
IMAGES = np.random.default_rng(5).integers(0, 256, (40, 48, 48)).astype(np.uint8)
TARGETS = np.eye(7, dtype=np.float32)[np.arange(40) % 7]


def test_no_strength_no_change():
    np.testing.assert_array_equal(augment(IMAGES, NOTHING, np.random.default_rng(0)), IMAGES)


@pytest.mark.parametrize("name", [name for name in NOTHING if name != "flip"])
def test_each_augmentation_changes_pixels_and_keeps_the_originals(name):
    before = IMAGES.copy()
    changed = augment(IMAGES, {**NOTHING, name: 0.5 if name != "rotation" else 20.0}, np.random.default_rng(0))
    assert changed.dtype == np.uint8 and (changed != IMAGES).any((1, 2)).mean() > 0.3
    np.testing.assert_array_equal(IMAGES, before)


def test_flip_is_a_mirror():
    flipped = augment(IMAGES, {**NOTHING, "flip": 1.0}, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, IMAGES[:, :, ::-1])


def test_mixup_blends_pixels_and_targets_by_the_same_share():
    inputs = TARGETS[:, :3].reshape(40, 1, 1, 3)  # the pixel is the target, so the shares can be compared
    mixed, targets = mixup(inputs, TARGETS, 0.4, np.random.default_rng(0))
    np.testing.assert_allclose(mixed.reshape(40, 3), targets[:, :3], atol=1e-6)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    assert (targets.max(1) < 0.999).any() and (targets.max(1) >= 0.5).all()
    assert mixup(inputs, TARGETS, 0, np.random.default_rng(0))[0] is inputs


def test_a_batch_depends_on_seed_epoch_and_index_alone():
    first, again = Batches(IMAGES, TARGETS, CONFIG), Batches(IMAGES, TARGETS, CONFIG)
    again.make(0, 0)
    for one, other in zip(first.make(3, 1), again.make(3, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    seeded = Batches(IMAGES, TARGETS, dataclasses.replace(CONFIG, seed=1))
    for other in (first.make(3, 0), first.make(4, 1), seeded.make(3, 1)):
        assert not np.array_equal(first.make(3, 1)[0], other[0])


def test_an_epoch_shows_each_image_once_and_a_long_one_as_often_as_any_other():
    plain = dataclasses.replace(CONFIG, augmentation=NOTHING, mixup_alpha=0.0)
    once = Batches(IMAGES, TARGETS, plain)
    assert len(once) == 2
    seen = np.concatenate([once._indices(0, index) for index in range(2)])
    assert len(set(seen)) == 32
    twice = Batches(IMAGES, TARGETS, dataclasses.replace(plain, steps_per_epoch=5))
    counts = np.bincount(np.concatenate([twice._indices(0, index) for index in range(5)]), minlength=40)
    assert len(twice) == 5 and set(counts) == {2}


def test_without_augmentation_training_sees_what_every_other_use_sees():
    plain = Batches(IMAGES, TARGETS, dataclasses.replace(CONFIG, augmentation=NOTHING, mixup_alpha=0.0))
    inputs, targets = plain.make(2, 1)
    chosen = plain._indices(2, 1)
    np.testing.assert_array_equal(inputs, faces.to_inputs(IMAGES[chosen]))
    np.testing.assert_array_equal(targets, TARGETS[chosen])


def test_the_batch_is_what_the_network_takes():
    inputs, targets = Batches(IMAGES, TARGETS, CONFIG)[0]
    assert inputs.shape == (16, 96, 96, 3) and inputs.dtype == targets.dtype == np.float32
    assert 0 <= inputs.min() and inputs.max() <= 255
    weights = Batches(IMAGES, TARGETS, CONFIG, class_weights=np.arange(7, dtype=np.float32))[0][2]
    np.testing.assert_allclose(weights, targets @ np.arange(7), atol=1e-5)


def test_training_images_stand_in_no_test_split(drawn):
    images, targets = training_set(CONFIG, drawn)
    test = set(data.image_hashes(drawn.images[drawn.usage > 0]).tolist())
    assert not test & set(data.image_hashes(images).tolist()) and len(images) == len(data.training_indices(drawn))
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    assert targets.max() == pytest.approx(0.93 + 0.01)


def test_sampling_is_of_training_images(drawn):
    _, targets = training_set(dataclasses.replace(CONFIG, sampling="hybrid:50"), drawn)
    assert np.bincount(targets.argmax(1)).tolist() == [50] * 7


def test_votes_soften_the_labels(drawn):
    hard, soft = (training_set(dataclasses.replace(CONFIG, vote_weight=weight), drawn)[1] for weight in (0.0, 0.5))
    assert (soft.max(1) < hard.max(1) - 0.01).any() and np.allclose(soft.sum(1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="vote_weight"):
        training_set(dataclasses.replace(CONFIG, vote_weight=0.5), dataclasses.replace(drawn, votes=None))
