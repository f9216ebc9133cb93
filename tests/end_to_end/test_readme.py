"""README and model card: their numbers are the recorded ones, their links lead somewhere."""

from __future__ import annotations

import re

import pytest

from fer_utils import paths
from fer_utils.evaluation import metrics, runs
from tools import report

README, CARD = report.DOCUMENTS


@pytest.mark.parametrize("path", report.DOCUMENTS, ids=lambda path: str(path.relative_to(paths.ROOT)))
def test_numbers_are_the_recorded_ones(path, capsys):
    assert report.main(["--check", str(path)]) == 0, capsys.readouterr().out + "\n`make report` writes them"


@pytest.mark.skipif(not runs.list_runs(), reason="no recorded run")
def test_a_number_changed_by_hand_is_found(tmp_path):
    text = README.read_text(encoding="utf-8")
    accuracy = report.value(report.shown_runs()[0].name, "private.accuracy", ".1%")
    copy = tmp_path / "README.md"
    copy.write_text(text.replace(accuracy, "99.9 %"), encoding="utf-8")
    assert accuracy in text and report.main(["--check", str(copy)]) == 1


@pytest.mark.parametrize("run", runs.list_runs())
def test_metrics_are_those_of_the_stored_predictions(run):
    recorded = runs.Run(run)
    for part in ("private", "public"):
        again = metrics.summary(recorded.predictions[f"{part}_labels"], recorded.predictions[part])
        for key in ("n", "accuracy", "macro_f1", "balanced_accuracy", "precision", "recall", "f1", "majority"):
            assert again[key] == pytest.approx(recorded.metrics[part][key], abs=1e-9), (run, part, key)


@pytest.mark.parametrize("path", report.DOCUMENTS, ids=lambda path: str(path.relative_to(paths.ROOT)))
def test_links_and_pictures_are_there(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)\)|(?:src|href)=\"([^\"#]+)\"", text)
    places = [place for pair in links for place in pair if place and "://" not in place]
    missing = [place for place in places if not (path.parent / place).exists()]
    assert missing == []


def test_readme_shows_results_before_anything_else():
    text = README.read_text(encoding="utf-8")
    marks = ("<img", "<!-- results:start -->", "make run", "## The notebooks", "## Limits")
    order = [text.index(mark) for mark in marks]
    assert order == sorted(order)


def test_every_variable_is_documented():
    source = (paths.ROOT / "fer_utils" / "paths.py").read_text(encoding="utf-8")
    names = set(re.findall(r"\bFER_[A-Z]+", source))
    text = README.read_text(encoding="utf-8")
    assert names and {name for name in names if name not in text} == set()
