"""Losses and class weights against NumPy's and scikit-learn's word."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.utils.class_weight import compute_class_weight

from fer_utils.training import LOSSES, class_balanced_weights, class_weights
from fer_utils.training.losses import LogitAdjustment, make_loss

COUNTS = np.array([30.0, 5.0, 65.0])
RNG = np.random.default_rng(7)
LOGITS = RNG.normal(size=(16, 3)).astype(np.float32)
TARGETS = softmax(RNG.normal(size=(16, 3)), axis=1).astype(np.float32)


def test_class_weights_are_scikit_learns():
    labels = np.repeat(np.arange(3), COUNTS.astype(int))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(class_weights(COUNTS), expected, rtol=1e-6)


def test_class_balanced_weights_go_from_none_to_inverse_frequency():
    np.testing.assert_allclose(class_balanced_weights(COUNTS, beta=0), 1)
    inverse = class_weights(COUNTS) / class_weights(COUNTS).mean()
    np.testing.assert_allclose(class_balanced_weights(COUNTS, beta=1 - 1e-9), inverse, rtol=1e-3)


@pytest.mark.parametrize("beta", [-0.1, 1.0])
def test_beta_out_of_range(beta):
    with pytest.raises(ValueError, match="beta"):
        class_balanced_weights(COUNTS, beta=beta)


@pytest.mark.parametrize("counts", [[1, 0], [], [[1, 2]]])
def test_a_class_without_images(counts):
    with pytest.raises(ValueError, match="class_counts"):
        class_weights(counts)


def test_cross_entropy():
    expected = -(TARGETS * log_softmax(LOGITS, axis=1)).sum(1).mean()
    assert float(make_loss("cross_entropy", COUNTS)[0](TARGETS, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_logit_adjustment_adds_the_log_prior():
    expected = -(TARGETS * log_softmax(LOGITS + np.log(COUNTS / 100), axis=1)).sum(1).mean()
    assert float(LogitAdjustment(COUNTS)(TARGETS, LOGITS)) == pytest.approx(expected, rel=1e-5)
    assert float(LogitAdjustment(COUNTS, tau=0.0)(TARGETS, LOGITS)) == pytest.approx(
        float(make_loss("cross_entropy", COUNTS)[0](TARGETS, LOGITS)), rel=1e-5)


def test_focal_loss():
    p = softmax(LOGITS, axis=1)
    expected = -(TARGETS * (1 - p) ** 2 * np.log(p)).sum(1).mean()
    assert float(make_loss("focal", COUNTS)[0](TARGETS, LOGITS)) == pytest.approx(expected, rel=1e-4)


def test_weights_reach_the_loss_as_sample_weights():
    loss, class_weight = make_loss("class_weights", COUNTS)
    weights = TARGETS @ class_weight
    each = -(TARGETS * log_softmax(LOGITS, axis=1)).sum(1)
    assert float(loss(TARGETS, LOGITS, sample_weight=weights)) == pytest.approx((weights * each).mean(), rel=1e-5)
    weighted = [name for name in LOSSES if make_loss(name, COUNTS)[1] is not None]
    assert weighted == ["class_weights", "class_balanced"]


def test_an_unknown_loss():
    with pytest.raises(ValueError, match="name"):
        make_loss("hinge", COUNTS)
