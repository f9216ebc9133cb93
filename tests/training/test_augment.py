import numpy as np
import pytest

from fer_utils.training.augmentation import Augmentation, augment, mixup

FACES = np.random.default_rng(3).integers(0, 256, (5, 48, 48), dtype=np.uint8)
OFF = dict.fromkeys(Augmentation.DEFAULT, 0.0)


def views(seed=0, **strengths):
    return augment(FACES, Augmentation(**strengths), np.random.default_rng(seed))


def test_all_zero_changes_nothing_and_the_seed_decides():
    assert np.array_equal(views(**OFF), FACES)
    assert np.array_equal(views(4), views(4)) and not np.array_equal(views(4), views(5))
    assert views().dtype == np.uint8 and views().shape == FACES.shape


@pytest.mark.parametrize("name", list(Augmentation.DEFAULT))
def test_each_strength_alone_changes_faces_and_leaves_the_originals(name):
    before = FACES.copy()
    strength = 1.0 if name in ("flip", "erasing") else Augmentation.DEFAULT[name]
    out = views(**{**OFF, name: strength})
    assert (out != FACES).any(axis=(1, 2)).all() and np.array_equal(FACES, before)
    if name == "flip":
        assert np.array_equal(out, FACES[:, :, ::-1])


def test_unknown_strength():
    with pytest.raises(ValueError, match="among flip"):
        Augmentation(blur=1)


def test_mixup_blends_pixels_and_labels_alike():
    inputs = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 3), np.float32)
    targets = np.eye(4, dtype=np.float32)
    mixed, soft = mixup(inputs, targets, 0.4, np.random.default_rng(1))
    assert soft.sum(1) == pytest.approx(1) and not np.array_equal(mixed, inputs)
    assert mixed[:, 0, 0, 0] == pytest.approx(soft @ np.arange(4), abs=1e-5)
    assert (soft.argmax(1) == np.arange(4)).all()  # a row keeps the larger share of itself
    assert mixup(inputs, targets, 0.0, np.random.default_rng(1))[0] is inputs
