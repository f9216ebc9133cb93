"""README and model card: their numbers are the stored ones, their links lead somewhere."""

from __future__ import annotations

import re

import pytest

from fer_utils import evaluation, paths
from tools import report

# What is no result: what `tools.report` fills in, code, places, years, sizes, versions, articles of a law, names with a
# digit, crops and numbers of notebooks.
NO_RESULT = re.compile("|".join([
    r"<!-- (\w+):start -->[\s\S]*?<!-- \1:end -->", r"<!-- value [\s\S]*?<!-- end -->", r"```[\s\S]*?```", r"`[^`]*`",
    r"\]\([^)]*\)", r"<[^>]*>", r"\b(?:19|20)\d\d\b", r"\d+ × \d+", r"\b3\.1\d\b", r"Article [\d()a-f]+",
    r"[A-Za-z][\w-]*\d+\w*", r"\b12 crops", r"\b0–255\b", r"\bnotebooks? \d\d\b", r"\[\d\d [A-Z]",
]), re.IGNORECASE)  # fmt: skip
LIMITS = {"README.md": 12_000, "models/README.md": 9_000}  # bytes
DOCUMENTS = pytest.mark.parametrize("path", report.DOCUMENTS, ids=["README", "model card"])


@DOCUMENTS
def test_numbers_are_the_stored_ones(path, capsys):
    assert report.main(["--check", str(path)]) == 0, capsys.readouterr().out + "\n`make report` writes them"


@DOCUMENTS
def test_no_result_is_typed(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r".{0,30}\d.{0,30}", NO_RESULT.sub("", text)) == [], "put it between markers, or leave it out"
    assert "no stored run" not in text and len(text.encode()) <= LIMITS[path.relative_to(paths.ROOT).as_posix()]


@pytest.mark.parametrize("text", ["69.8 %", "0.71", "1,006 faces", "37 points", "a macro-F1 of .698", "3 of 4"])
def test_a_typed_result_is_found(text):
    assert re.search(r"\d", NO_RESULT.sub("", f"FER2013 on 48 × 48 pixels, {text}, as in `x = 5` (He et al. 2016)"))


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
