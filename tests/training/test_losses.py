import numpy as np
import pytest
from scipy.special import log_softmax

from fer_utils import data
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


def test_votes_land_in_fer2013s_class_order():
    from fer_utils.data import CLASSES, VOTE_NAMES

    names = {"neutral": "Neutral", "happiness": "Happy", "surprise": "Surprise", "sadness": "Sad", "anger": "Angry",
             "disgust": "Disgust", "fear": "Fear"}
    for column, name in enumerate(VOTE_NAMES[:7]):
        votes = np.zeros((1, 10), np.uint8)
        votes[0, column] = 10
        soft = data.soft_labels(np.array([0]), votes, blend=1.0)
        assert CLASSES[soft[0].argmax()] == names[name]


def test_soft_targets():
    votes = np.zeros((2, 10), np.uint8)
    votes[0, 9] = 10  # "not a face": no opinion on the class
    votes[1, 1] = 10
    soft = data.soft_labels(np.array([1, 0]), votes, blend=0.3, smoothing=0.07)
    assert soft.sum(1) == pytest.approx(1) and soft[0, 1] == pytest.approx(0.94) and soft[1, 3] == pytest.approx(0.289)
    assert np.array_equal(data.soft_labels(np.array([2]), None), np.eye(7, dtype=np.float32)[[2]])


def test_translated_votes_speak_fer2013s_language():
    """Where voters say "neutral" and the labels say Sad half of the time, so does the translation; row by row."""
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 3, 4, 6], 2000, p=[0.1, 0.4, 0.25, 0.25])
    votes = np.zeros((2000, 10), np.uint8)
    votes[labels == 3, 1] = 10  # happiness
    votes[labels == 0, 4] = 10  # anger
    votes[(labels == 4) | (labels == 6), 0] = 10  # the voters see no sadness
    translated = data.calibrated_votes(labels, votes)
    assert translated.dtype == np.float32 and translated.sum(1) == pytest.approx(1, abs=1e-5)
    assert (translated[:, [1, 2, 5]] == 0).all()
    assert (translated[labels == 3, 3] > 0.95).all() and (translated[labels == 0, 0] > 0.9).all()
    assert translated[votes[:, 0] > 0][:, [4, 6]] == pytest.approx(0.5, abs=0.05)
    blended = data.soft_labels(labels, votes, blend=0.5, translate=True)
    assert blended == pytest.approx(0.5 * np.eye(7)[labels] + 0.5 * translated, abs=1e-6)


def test_answers_stand_beside_the_votes_and_alone():
    """Voters cannot tell Sad from Neutral here; a network that has not seen the rows can, mostly."""
    rng = np.random.default_rng(1)
    labels = rng.choice([4, 6], 2000)
    votes = np.zeros((2000, 10), np.uint8)
    votes[:, 0] = 10
    seen = np.where(rng.random(2000) < 0.8, labels, 10 - labels)  # right on four rows of five
    answers = np.log(0.02 + 0.86 * np.eye(7, dtype=np.float32)[seen])
    for given in (votes, None):
        translated = data.calibrated_votes(labels, given, answers)
        assert translated[np.arange(2000), seen] == pytest.approx(0.8, abs=0.03)
        blended = data.soft_labels(labels, given, blend=0.5, translate=True, answers=answers)
        assert blended == pytest.approx(0.5 * np.eye(7)[labels] + 0.5 * translated, abs=1e-6)


@pytest.mark.parametrize("call, words", [
    (lambda: data.calibrated_votes(np.array([0, 1]), None), "at least one must be given"),
    (lambda: data.soft_labels(np.array([0]), None, answers=np.zeros((1, 7))), "only translated votes take them"),
    (lambda: losses.make("hinge", COUNTS), "name"), (lambda: losses.make("focal", [0, 1]), "class_counts"),
    (lambda: losses.class_balanced_weights(COUNTS, beta=1.0), "beta"),
    (lambda: data.soft_labels(np.array([0]), None, blend=2.0), "blend"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
