import dataclasses

import numpy as np
import pytest

from fer_utils import paths
from fer_utils.evaluation import metrics, runs
from fer_utils.evaluation.calibration import Calibration
from fer_utils.training.config import Config


@pytest.mark.parametrize("name", runs.recorded())
def test_recorded_metrics_follow_from_the_recorded_predictions(name):
    run = runs.Run(name)
    for split in ("public", "private"):
        again = metrics.summary(run.predictions[f"{split}_labels"], run.predictions[split])
        stored = run.metrics[split]
        assert stored["n"] == again["n"] == 3589
        for key in ("accuracy", "macro_f1", "balanced_accuracy", "precision", "f1", "ece", "accuracy_low"):
            assert stored[key] == pytest.approx(again[key], abs=1e-9), key
    kept = run.history.loc[run.history["epoch"] == run.config["best_epoch"]].iloc[0]
    assert len(run.history) == run.config["epochs"] and kept["public_accuracy"] == run.history["public_accuracy"].max()
    assert np.allclose(run.predictions["private"].sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", runs.recorded())
def test_the_model_cards_log_tells_the_recorded_epochs(name):
    card = (paths.MODELS / "README.md").read_text(encoding="utf-8")
    assert all(f"{value:.3f}" in card for value in runs.Run(name).history["public_accuracy"])


def test_a_run_knows_the_parts_it_consists_of(tmp_path):
    from fer_utils.training.fit import Config

    class Nothing:
        weights = ()

    logits = {"public": np.zeros((2, 7)), "private": np.zeros((2, 7))}
    labels = {"public": np.array([0, 1]), "private": np.array([0, 1])}
    facts = {"parameters": 1, "mflops": 1}
    for name, start, scores in (("resnet18_a", None, [0.1, 0.2]), ("resnet18_b", "resnet18_a", [0.3])):
        history = [{"epoch": 1 + i, "public_accuracy": score} for i, score in enumerate(scores)]
        runs.write_run(Config(name, start=start), history, logits, labels, facts, Nothing(), folder=tmp_path)
    run = runs.Run("resnet18_b", folder=tmp_path)
    assert [part.name for part in run.parts] == ["resnet18_a", "resnet18_b"]
    whole = run.whole_history
    assert whole["epoch"].tolist() == [1, 2, 3] and whole["public_accuracy"].tolist() == [0.1, 0.2, 0.3]
    (tmp_path / "resnet18_a" / "metrics.json").unlink()  # only the later part was handed on
    assert [part.name for part in runs.Run("resnet18_b", folder=tmp_path).parts] == ["resnet18_b"]


def test_a_run_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="no finished run 'vgg'"):
        runs.Run("vgg")


def test_as_trained_takes_calibration_back(tmp_path):
    class Nothing:
        weights = ()

    logits = np.random.default_rng(0).normal(size=(5, 7))
    fitted = Calibration(0.8, tuple(np.linspace(-0.3, 0.3, 7).tolist()))
    data, labels = ({key: value for key in ("public", "private")} for value in (fitted(logits), np.arange(5)))
    facts = {"parameters": 1, "mflops": 1, "calibration": dataclasses.asdict(fitted)}
    runs.write_run(Config("resnet18"), [{"epoch": 1}], data, labels, facts, Nothing(), folder=tmp_path)
    run = runs.Run("resnet18", folder=tmp_path)
    for key in data:
        assert run.as_trained[key] == pytest.approx(metrics.softmax(logits), abs=1e-5)
