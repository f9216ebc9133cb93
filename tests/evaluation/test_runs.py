import json

import numpy as np
import pytest
from scipy.special import softmax

from fer_utils import evaluation
from fer_utils.evaluation import Calibration, Run, list_runs, summary
from fer_utils.models import BACKBONES

LABELS = np.arange(5)
CALIBRATION = Calibration(0.8, np.linspace(-0.3, 0.3, 7).tolist())


@pytest.mark.parametrize("split", ["public", "private"])
def test_stored_metrics_follow_from_the_stored_predictions(split):
    assert list_runs()
    for run in map(Run, list_runs()):
        assert run.title and run.backbone in BACKBONES and len(run.history) == run.config["epochs"]
        stored, again = dict(run.metrics[split]), summary(run.predictions[f"{split}_labels"], run.predictions[split])
        for group, values in stored.pop("per_class").items():
            assert again["per_class"][group] == pytest.approx(values, abs=1e-9)
        assert {key: again[key] for key in stored} == pytest.approx(stored, abs=1e-9), run.name
        assert run.uncalibrated[split].sum(1) == pytest.approx(1)


def test_a_run_is_read_as_it_was_written(store, tmp_path):
    logits = np.random.default_rng(0).normal(size=(5, 7))
    store("xception_aligned", logits, LABELS, calibration=CALIBRATION, outcome={"minutes": 3.5}, seed=1)
    run = Run("xception_aligned")
    assert run.folder == tmp_path / "runs" / "xception_aligned" and list_runs() == ["xception_aligned"]
    assert run.config == {"backbone": "xception", "aligned": True, "seed": 1}
    assert run.outcome["minutes"] == 3.5 and Calibration(**run.outcome["calibration"]) == CALIBRATION
    assert run.backbone == "xception" and run.aligned and run.title == "Xception, aligned faces"
    assert store("my_run", logits, LABELS).title == "Xception, my run"
    assert run.history["loss"].tolist() == [2.0, 1.5]
    for split in ("public", "private"):
        assert run.predictions[split] == pytest.approx(softmax(logits, axis=1), abs=1e-6)
        assert run.uncalibrated[split] == pytest.approx(softmax(CALIBRATION.inverse(logits), axis=1), abs=1e-5)
        assert run.predictions[f"{split}_labels"].tolist() == LABELS.tolist()
        assert run.metrics[split] == summary(LABELS, run.predictions[split])


def test_an_unfinished_or_missing_run(store):
    run = store("xception", np.zeros((5, 7)), LABELS)
    (run.folder / "metrics.json").unlink()
    assert list_runs() == []
    for name in ("xception", "vgg"):
        with pytest.raises(FileNotFoundError, match="name"):
            Run(name)


def test_the_files_can_be_read_without_this_project(store):
    folder = store("xception", np.zeros((5, 7)), LABELS).folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "history.csv", "metrics.json", "predictions.npz"]
    assert set(json.loads((folder / "config.json").read_text())) == {"config", "outcome"}


def test_the_public_face_is_complete():
    assert all(getattr(evaluation, name).__doc__ for name in evaluation.__all__)
