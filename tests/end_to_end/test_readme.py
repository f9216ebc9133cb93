"""README and model card: their numbers are the stored ones, their links lead somewhere."""

from __future__ import annotations

import re

import pytest

from fer_utils import evaluation, paths
from tools import report

DOCUMENTS = pytest.mark.parametrize("path", report.DOCUMENTS, ids=["README", "model card"])


@DOCUMENTS
def test_numbers_are_the_stored_ones(path, capsys):
    assert report.main(["--check", str(path)]) == 0, capsys.readouterr().out + "\n`make report` writes them"


@DOCUMENTS
def test_links_and_pictures_are_there(path):
    found = re.findall(r"\]\(([^)#\s]+)\)|(?:src|href)=\"([^\"#]+)\"", path.read_text(encoding="utf-8"))
    places = [place for pair in found for place in pair if place and "://" not in place]
    assert [place for place in places if not (path.parent / place).exists()] == []


def test_metrics_are_those_of_the_stored_predictions():
    for run in map(evaluation.Run, evaluation.list_runs()):
        for split in ("private", "public"):
            again = evaluation.summary(run.predictions[f"{split}_labels"], run.predictions[split])
            for key in ("n", "accuracy", "macro_f1", "balanced_accuracy", "precision", "recall", "f1", "ece"):
                assert again[key] == pytest.approx(run.metrics[split][key], abs=1e-6), (run.name, split, key)


def test_every_variable_is_documented():
    names = set(re.findall(r"\bFER_[A-Z]+", (paths.ROOT / "fer_utils" / "paths.py").read_text(encoding="utf-8")))
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    assert names and {name for name in names if name not in text} == set()
