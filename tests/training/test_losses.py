import numpy as np
import pytest
from scipy.special import log_softmax

from fer_utils.training import losses

COUNTS = np.array([3995, 436, 4097, 7215, 4830, 3171, 4965])
TARGETS = np.eye(7, dtype=np.float32)[[0, 1, 3]]
LOGITS = np.random.default_rng(2).normal(size=(3, 7)).astype(np.float32)
CE = -(TARGETS * log_softmax(LOGITS, axis=1)).sum(1)


def value(name, **options):
    return np.asarray(losses.make(name, COUNTS, **options)(TARGETS, LOGITS))


def test_each_loss_is_its_formula():
    right = (TARGETS * np.exp(log_softmax(LOGITS, axis=1))).sum(1)
    assert value("cross_entropy") == pytest.approx(CE, rel=1e-5)
    assert value("class_weights") == pytest.approx(CE * losses.class_weights(COUNTS)[[0, 1, 3]], rel=1e-5)
    assert value("class_balanced") == pytest.approx(CE * losses.class_balanced_weights(COUNTS)[[0, 1, 3]], rel=1e-5)
    assert value("focal", gamma=2.0) == pytest.approx(CE * (1 - right) ** 2, rel=1e-4)
    assert value("focal", gamma=0.0) == pytest.approx(CE, rel=1e-5)
    shifted = log_softmax(LOGITS + np.log(COUNTS / COUNTS.sum()), axis=1)
    assert value("logit_adjustment") == pytest.approx(-(TARGETS * shifted).sum(1), rel=1e-4)


def test_class_weights_average_one_over_rows():
    assert (losses.class_weights(COUNTS) * COUNTS).sum() / COUNTS.sum() == pytest.approx(1, rel=1e-5)
    assert losses.class_balanced_weights(COUNTS).mean() == pytest.approx(1, rel=1e-5)
    assert losses.class_weights(COUNTS).argmax() == 1


def test_distillation():
    hard_only = np.asarray(losses.distillation(TARGETS, LOGITS, LOGITS * 0, weight=0.0))
    assert hard_only == pytest.approx(CE, rel=1e-5)
    assert np.asarray(losses.distillation(TARGETS, LOGITS, LOGITS, weight=1.0)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("call, words", [
    (lambda: losses.make("hinge", COUNTS), "name"), (lambda: losses.make("focal", [0, 1]), "class_counts"),
    (lambda: losses.class_balanced_weights(COUNTS, beta=1.0), "beta"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
