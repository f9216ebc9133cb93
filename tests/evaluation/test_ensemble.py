"""Several recorded runs together: equal shares, and shares that suit PublicTest."""

import numpy as np
import pytest

from fer_utils.evaluation import ensemble, runs
from fer_utils.evaluation import robustness as evaluation
from fer_utils.evaluation.metrics import softmax
from fer_utils.training.config import Config


class Nothing:
    weights = ()


@pytest.fixture
def told():
    """Two networks that err on different rows, the first less often, and one that knows nothing; labels int [600]."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 600)
    logits = [strength * np.eye(7)[labels] + rng.normal(size=(600, 7)) for strength in (2.0, 1.5, 0.0)]
    return softmax(np.array(logits)), labels


@pytest.fixture
def recorded(tmp_path, monkeypatch, told):
    """The three as recorded runs in a models folder of their own."""
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    probabilities, labels = told
    names = ["xception", "resnet18", "efficientnet_b0"]
    for name, values in zip(names, np.log(probabilities), strict=True):
        logits = {"public": values[:300], "private": values[300:]}
        rows = {"public": labels[:300], "private": labels[300:]}
        facts = {"parameters": 1, "mflops": 1}
        runs.write_run(Config(name, epochs=1), [{"epoch": 1}], logits, rows, facts, Nothing(), folder=tmp_path)
    return names


def lost(probabilities, labels, shares):
    mean = np.tensordot(shares, probabilities, 1)
    return -np.log(mean[np.arange(len(labels)), labels]).mean()


def test_no_other_shares_make_the_labels_likelier(told):
    found = ensemble.fit_shares(*told)
    assert found.sum() == pytest.approx(1) and found.min() >= 0 and found[0] > found[1] > 0.05 > found[2]
    others = np.random.default_rng(1).dirichlet(np.ones(3), 500)
    nearby = np.abs(found + np.random.default_rng(2).normal(scale=0.01, size=(200, 3)))
    for other in [*others, *(nearby / nearby.sum(1, keepdims=True))]:
        assert lost(*told, other) > lost(*told, found) - 1e-6


def test_equal_networks_keep_equal_shares(told):
    probabilities, labels = told
    assert ensemble.fit_shares(probabilities[[0, 0]], labels) == pytest.approx([0.5, 0.5])


def test_a_certain_error_is_survived():
    """Probability 0 for the right class has no logarithm."""
    probabilities = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]])
    found = ensemble.fit_shares(probabilities, np.array([0, 1]))
    assert np.isfinite(found).all() and found[1] > found[0]


def test_cross_validation_judges_rows_that_it_was_not_fitted_on(told):
    probabilities, labels = told
    fitted = lost(probabilities, labels, ensemble.fit_shares(probabilities, labels))
    assert fitted < ensemble.cross_validated(probabilities, labels) < fitted + 0.02
    assert ensemble.cross_validated(probabilities, labels) < lost(probabilities, labels, np.full(3, 1 / 3))


def test_shares_come_from_public_test(recorded, told):
    probabilities, labels = told
    wanted = ensemble.fit_shares(probabilities[:, :300], labels[:300])
    assert ensemble.shares(recorded) == pytest.approx(wanted, abs=1e-4)


def test_losses_on_public_test(recorded, told):
    probabilities, labels = told[0][:, :300], told[1][:300]
    found = ensemble.public_log_loss(recorded)
    assert found["alone"] == pytest.approx(lost(probabilities, labels, [1, 0, 0]), abs=1e-4)
    assert found["equal"] == pytest.approx(lost(probabilities, labels, np.full(3, 1 / 3)), abs=1e-4)
    assert found["fitted"] == pytest.approx(ensemble.cross_validated(probabilities, labels), abs=1e-4)


def test_runs_are_averaged(recorded):
    private = [runs.Run(name).predictions["private"] for name in recorded]
    assert ensemble.together(recorded) == pytest.approx(np.mean(private, axis=0), abs=1e-6)
    weighted = ensemble.together(recorded, shares=[0.7, 0.2, 0.1])
    assert weighted == pytest.approx(0.7 * private[0] + 0.2 * private[1] + 0.1 * private[2], abs=1e-6)


def test_the_views_are_averaged_where_they_are_recorded(recorded):
    name = recorded[0]
    with pytest.raises(FileNotFoundError, match="evaluation views xception"):
        ensemble.together([name], augmented=True)
    mean = np.full((300, 7), 1 / 7, np.float32)
    np.savez(runs.Run(name).folder / evaluation.VIEWS, private=mean, model="")
    assert ensemble.together([name], augmented=True) == pytest.approx(mean)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.5, 0.6, -0.1], [0.5, 0.3, 0.1]])
def test_shares_must_be_shares(recorded, shares):
    with pytest.raises(ValueError, match="shares: must be 3 numbers of 0 or more with the sum 1"):
        ensemble.together(recorded, shares=shares)


def test_there_must_be_something_to_average(told):
    for call in (ensemble.together, ensemble.shares):
        with pytest.raises(ValueError, match="at least one recorded run"):
            call([])
    with pytest.raises(ValueError, match=r"each of the 600 labels; got \[3, 599, 7\]"):
        ensemble.fit_shares(told[0][:, 1:], told[1])


@pytest.mark.parametrize("split", ["public", "private"])
def test_runs_on_different_rows_are_not_averaged(recorded, split):
    path = runs.Run("resnet18").folder / "predictions.npz"
    content = dict(runs.Run("resnet18").predictions)
    content[f"{split}_labels"] = (content[f"{split}_labels"] + 1) % 7
    np.savez(path, **content)
    with pytest.raises(ValueError, match="same test rows; got resnet18, xception"):
        ensemble.together(["resnet18", "xception"])
