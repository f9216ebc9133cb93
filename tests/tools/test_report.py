"""Results in README and model card come from the stored runs, and a number that does not is found."""

from __future__ import annotations

import json

import numpy as np
import pytest
from stored_runs import LABELS, store  # noqa: F401

from fer_utils import evaluation, paths
from tools import report

DOCUMENT = """# Title
<!-- results:start -->
whatever stood here
<!-- results:end -->
Xception reaches <!-- value xception private.accuracy .1% -->99.9 %<!-- end --> and a macro-F1 of
<!-- value xception private.macro_f1 .3f --><!-- end -->.
"""
OUTCOME = {"parameters": 20_876_000, "m_macs": 838.2, "minutes": 9.7}


@pytest.fixture
def record(store):  # noqa: F811
    def write(name, right, labels=LABELS):
        """A run that is right on a share of the images, and sure of it."""
        guessed = np.where(np.random.default_rng(0).random(len(labels)) < right, labels, (labels + 1) % 7)
        return store(name, 5.0 * np.eye(7)[guessed], labels, outcome=OUTCOME)

    return write


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(DOCUMENT)
    return path


def test_the_table_holds_the_stored_numbers_best_first(record):
    best = record("xception", 0.8).metrics["private"]
    record("mobilenet_v3_large", 0.5)
    record("mobilenet_v3_large_focal", 0.9)  # neither a backbone's run nor shipped
    lines = report.results_table().splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == [
        "| Xception", "| MobileNetV3-Large", "| always “Happy”", "| ensemble of these 2"]
    low, high = 100 * best["accuracy_low"], 100 * best["accuracy_high"]
    assert f"**{100 * best['accuracy']:.1f} %** ({low:.1f}–{high:.1f}) | {best['macro_f1']:.3f} |" in lines[2]
    assert lines[5].endswith("| 41.8 M | 1,676 | – |") and lines[2].endswith("| 20.9 M | 838 | – |")
    assert f"all {len(LABELS)} images" in lines[-1] and {line.count("|") for line in lines[:-2]} == {8}


def test_the_baseline_is_that_of_a_constant_prediction(record):
    record("xception", 0.7)
    constant = evaluation.summary(LABELS, np.tile(np.eye(7)[3], (len(LABELS), 1)))
    row = next(line for line in report.results_table().splitlines() if line.startswith("| always"))
    assert f"**{100 * constant['accuracy']:.1f} %**" in row and f"| {constant['macro_f1']:.3f} | 0.143 |" in row


def test_test_time_augmentation_has_its_row_where_all_runs_have_it(record):
    for name in ("xception", "resnet18"):
        run = record(name, 0.7)
        assert "crops" not in report.results_table()
        np.savez(run.folder / "tta.npz", private=np.eye(7)[LABELS], model="")
    row = report.results_table().splitlines()[6]
    assert "12 crops (TTA) | **100.0 %**" in row and "| 20,117 |" in row


def test_a_shipped_file_shows_its_size(record, tmp_path):
    record("resnet18_third", 0.7)
    assert "(no stored run)" in report.results_table()
    (tmp_path / "resnet18_third.onnx").write_bytes(b"")
    listed = {"format": 1, "files": {"resnet18_third.onnx": {"bytes": 44_700_000, "sha256": ""}}}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))
    assert "| 44.7 MB |" in report.results_table()


def test_runs_on_different_images_are_not_compared(record):
    record("xception", 0.7)
    record("resnet18", 0.7, LABELS[1:])
    with pytest.raises(ValueError, match="runs"):
        report.results_table()


def test_writing_fills_table_and_numbers_and_then_nothing_differs(record, document, capsys):
    assert report.main(["--check", str(document)]) == 1, "no run is stored, and the document has a number"
    scores = record("xception", 0.7).metrics["private"]
    assert report.main(["--check", str(document)]) == 1
    assert "-whatever stood here" in capsys.readouterr().out
    assert "whatever" in document.read_text(), "--check must not write"
    assert report.main([str(document)]) == 0
    text = document.read_text()
    assert f"-->{100 * scores['accuracy']:.1f} %<!-- end -->" in text and text.startswith("# Title\n")
    assert f"-->{scores['macro_f1']:.3f}<!-- end -->" in text and "whatever" not in text
    assert report.main(["--check", str(document)]) == 0


@pytest.mark.parametrize("key", ["accuracy", "macro_f1"])
def test_one_changed_number_is_found(record, document, key):
    run = record("xception", 0.7)
    report.main([str(document)])
    content = json.loads((run.folder / "metrics.json").read_text())
    content["private"][key] += 0.001
    (run.folder / "metrics.json").write_text(json.dumps(content))
    assert report.main(["--check", str(document)]) == 1


def test_config_and_outcome_have_numbers_too_and_an_unknown_one_is_an_error(record):
    assert report.value("xception", "private.accuracy", ".1%") == "(no stored run)"
    record("xception", 0.7)
    assert report.value("xception", "outcome.minutes", ".0f") == "10"
    for key in ("private.accuracyy", "private.accuracy.more", "secret.accuracy"):
        with pytest.raises(ValueError, match="key"):
            report.value("xception", key, ".1%")


def test_what_others_reach_comes_last_and_fer_s_from_the_benchmark(record):
    record("xception", 0.7)
    stored = json.loads((paths.FIGURE / "bench.json").read_text(encoding="utf-8"))
    measured = next(entry["accuracy"] for entry in stored["contenders"] if entry["name"] == "fer")
    rows = report.results_table().splitlines()[4:-2]
    assert f"{100 * measured:.1f} %" in rows[-1] and len(rows) == len(report.LITERATURE) + 1
    assert all("](https://" in row for row in rows), "each with its source"


def test_the_benchmark_s_table_shows_whole_pipelines_in_two_scenes_of_the_stored_run():
    text = report.filled("a\n<!-- bench:start -->\nold\n<!-- bench:end -->\nb\n")
    assert text.startswith("a\n<!-- bench:start -->\n| From frame") and text.endswith("\n<!-- bench:end -->\nb\n")
    stored = json.loads((paths.FIGURE / "bench.json").read_text(encoding="utf-8"))
    for entry in stored["contenders"]:
        fps = entry["scenes"][report.SCENES[0]]["fps"]
        assert (f"**{fps:.1f} FPS**" in text or f"**{fps:.0f} FPS**" in text) == entry["labels"], entry["name"]
