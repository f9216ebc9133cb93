"""Results in README and model card come from metrics.json, and a number that does not is found."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fer_utils import models
from fer_utils.evaluation import metrics
from tools import report

DOCUMENT = """# Title
<!-- results:start -->
whatever stood here
<!-- results:end -->
Xception reaches <!-- value xception private.accuracy .1% -->99.9 %<!-- end --> and a macro-F1 of
<!-- value xception private.macro_f1 .3f --><!-- end -->.
"""


def record(folder, run: str, *, right: float, n: int = 300, seed: int = 0, **config) -> dict:
    """Write a run's metrics.json whose predictions are right for about a share of `right` rows."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, n, p=[0.14, 0.02, 0.14, 0.25, 0.17, 0.11, 0.17])
    guessed = np.where(rng.random(n) < right, labels, (labels + 1) % 7)
    scores = metrics.summary(labels, np.eye(7)[guessed])
    content = {"private": scores, "public": scores}
    (folder / "runs" / run).mkdir(parents=True)
    (folder / "runs" / run / "metrics.json").write_text(json.dumps(content))
    backbone = next(name for name in models.BACKBONES if run.startswith(name))
    config = {"backbone": backbone, "aligned": "aligned" in run} | config
    stored = {"config": config, "outcome": {"parameters": 20_876_000, "m_macs": 838.2}}
    (folder / "runs" / run / "config.json").write_text(json.dumps(stored))
    return content


@pytest.fixture
def models_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(DOCUMENT)
    return path


def test_the_table_holds_the_recorded_numbers_best_first(models_folder):
    record(models_folder, "mobilenet_v3_large", right=0.5)
    best = record(models_folder, "xception_aligned", right=0.8)["private"]
    record(models_folder, "xception", right=0.4)
    record(models_folder, "xception_focal", right=0.9, loss="focal")
    for experiment in ("mobilenet_v3_large_votes", "mobilenet_v3_large_aligned"):
        record(models_folder, experiment, right=0.9, vote_weight=0.5)
    rows = report.results_table().splitlines()
    assert rows[2].startswith("| Xception, aligned faces | **")
    low, high = 100 * best["accuracy_low"], 100 * best["accuracy_high"]
    assert f"**{100 * best['accuracy']:.1f} %** ({low:.1f}–{high:.1f}) | {best['macro_f1']:.3f} |" in rows[2]
    assert rows[2].endswith("| 20.9 M | 838 | – |")
    assert [row.split(" | ")[0] for row in rows[3:6]] == ["| MobileNetV3-Large", "| Xception", "| always “Happy”"]
    assert "all 300 rows" in rows[7] and len(rows) == 8


def predicted(folder, run: str, told: np.ndarray, labels: np.ndarray, views: np.ndarray | None = None) -> None:
    labels = labels.astype(np.int8)
    np.savez(folder / "runs" / run / "predictions.npz", private=told, private_labels=labels, public=told, public_labels=labels)
    if views is not None:
        np.savez(folder / "runs" / run / "tta.npz", private=views, model="")


def test_the_weighted_mean_of_all_stands_above_them_and_says_when_it_takes_more_views(models_folder):
    labels, sure = np.arange(300) % 7, 0.9 * np.eye(7)
    odd = np.arange(300) % 2 == 1
    first = np.where(odd[:, None], sure[labels], sure[(labels + 1) % 7] / 3)  # surer where it is right, and so …
    other = np.where(odd[:, None], sure[(labels + 1) % 7] / 3, sure[labels])  # … the mean is right everywhere
    for name, told in (("xception", first), ("resnet18", other)):
        record(models_folder, name, right=0.5)
        predicted(models_folder, name, told, labels, views=first if name == "xception" else None)
    mean, *others = report.results_table().splitlines()[2:]
    assert mean.startswith("| Weighted mean of the 2 below | **100.0 %**")
    assert mean.endswith("| – | 41.8 M | 1,676 | – |")
    assert "twelve views" not in "".join(others)
    predicted(models_folder, "resnet18", other, labels, views=first)
    more = report.results_table().splitlines()[3]
    half = metrics.summary(labels, first)["accuracy"]
    assert more.startswith("| Weighted mean of the 2 below, twelve views of each face (test-time augmentation) | ")
    assert f"**{100 * half:.1f} %**" in more
    assert "| 20,117 |" in more


def test_the_baseline_row_is_that_of_a_constant_answer(models_folder):
    record(models_folder, "xception", right=0.7)
    rng = np.random.default_rng(0)
    labels = rng.choice(7, 300, p=[0.14, 0.02, 0.14, 0.25, 0.17, 0.11, 0.17])
    constant = metrics.summary(labels, np.tile(np.eye(7)[3], (300, 1)))
    wanted = [f"{100 * constant['accuracy']:.1f} %"]
    wanted += [f"{constant[key]:.3f}" for key in ("macro_f1", "balanced_accuracy", "precision", "recall", "f1")]
    row = next(line for line in report.results_table().splitlines() if line.startswith("| always"))
    assert row.split(" | ")[1:7] == wanted


def test_a_shipped_file_shows_its_size(models_folder):
    record(models_folder, "resnet18", right=0.7)
    (models_folder / "resnet18.onnx").write_bytes(b"")
    listed = {"format": 1, "files": {"resnet18.onnx": {"bytes": 44_700_000, "sha256": ""}}}
    (models_folder / "manifest.json").write_text(json.dumps(listed))
    assert "| ResNet-18 |" in report.results_table() and "| 44.7 MB |" in report.results_table()


def test_runs_on_different_rows_are_not_compared(models_folder):
    record(models_folder, "xception", right=0.7, n=300)
    record(models_folder, "resnet18", right=0.7, n=299)
    with pytest.raises(ValueError, match=r"same PrivateTest rows; got \[299, 300\]"):
        report.results_table()


def test_without_runs_the_documents_say_so(models_folder, document):
    assert report.main([str(document)]) == 0
    assert document.read_text().count("(no recorded run)") == 3


def test_writing_fills_table_and_numbers_and_then_nothing_differs(models_folder, document, capsys):
    content = record(models_folder, "xception", right=0.7)
    assert report.main(["--check", str(document)]) == 1
    assert "-whatever stood here" in capsys.readouterr().out
    assert "whatever" in document.read_text(), "--check must not write"
    assert report.main([str(document)]) == 0
    text = document.read_text()
    assert f"-->{100 * content['private']['accuracy']:.1f} %<!-- end -->" in text
    assert f"-->{content['private']['macro_f1']:.3f}<!-- end -->" in text
    assert report.main(["--check", str(document)]) == 0
    assert text.startswith("# Title\n") and "whatever" not in text


@pytest.mark.parametrize("change", [("accuracy", 0.001), ("macro_f1", 0.001)])
def test_one_changed_number_is_found(models_folder, document, change):
    record(models_folder, "xception", right=0.7)
    report.main([str(document)])
    path = models_folder / "runs" / "xception" / "metrics.json"
    content = json.loads(path.read_text())
    content["private"][change[0]] += change[1]
    path.write_text(json.dumps(content))
    assert report.main(["--check", str(document)]) == 1


def test_an_unknown_number_is_an_error(models_folder):
    record(models_folder, "xception", right=0.7)
    for key in ("private.accuracyy", "private.accuracy.more", "secret.accuracy"):
        with pytest.raises(ValueError, match=f"xception/metrics.json has no {key}"):
            report.value("xception", key, ".1%")
    shutil.rmtree(models_folder / "runs" / "xception")
    assert report.value("xception", "private.accuracy", ".1%") == "(no recorded run)"
