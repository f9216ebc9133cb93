"""Two networks on the same rows."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from fer_utils.data import CLASSES
from fer_utils.evaluation import before_after, metrics, runs
from fer_utils.evaluation.before_after import class_changes, paired
from fer_utils.training.config import RECIPES, Config

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(7), [60, 12, 60, 120, 70, 50, 80])


def answers(share):
    """Right on a share of the rows, a random class on the others."""
    return np.where(RNG.random(len(LABELS)) < share, LABELS, RNG.integers(0, 7, len(LABELS)))


def test_groups_are_tested_on_their_own_rows():
    before = answers(0.5)
    found = np.arange(len(LABELS)) % 4 > 0
    after = np.where(found, LABELS, before)  # all right where a face was found, unchanged elsewhere
    groups = {"all": np.full(len(LABELS), True), "found": found, "missed": ~found, "none": np.zeros(len(LABELS), bool)}
    table = paired(LABELS, before, after, groups)
    assert list(table.index) == ["all", "found", "missed"] and table.n.tolist() == [452, 339, 113]
    assert table.after["found"] == 1 and table.before["found"] == (before == LABELS)[found].mean()
    assert table.difference["missed"] == 0 and table.p_value["missed"] == 1 and table.p_value["found"] < 1e-20
    assert table.low["all"] < table.difference["all"] < table.high["all"]


def test_changes_of_a_class_hold_the_truth_in_their_interval():
    before, after = answers(0.5), answers(0.8)
    table = class_changes(LABELS, before, after)
    assert list(table.index) == list(CLASSES) and table.n.tolist() == np.bincount(LABELS).tolist()
    first, second = (metrics.per_class(metrics.confusion(LABELS, told))["f1"] for told in (before, after))
    assert table.before.to_numpy() == pytest.approx(first) and table.change.to_numpy() == pytest.approx(second - first)
    assert (table.low < table.change).all() and (table.change < table.high).all() and table.low["Happy"] > 0
    # A rare class is less certain.
    width = table.high - table.low
    assert width["Disgust"] > width["Happy"]


def test_the_interval_is_that_of_resampled_rows():
    before, after = answers(0.5), answers(0.7)
    draws = []
    for _ in range(1500):
        rows = RNG.integers(0, len(LABELS), len(LABELS))
        recall = [(told[rows] == 0)[LABELS[rows] == 0].mean() for told in (before, after)]
        draws.append(recall[1] - recall[0])
    table = class_changes(LABELS, before, after, score="recall")
    assert table.loc["Angry", ["low", "high"]].tolist() == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.03)


def test_unknown_score():
    with pytest.raises(ValueError, match="precision, recall or f1"):
        class_changes(LABELS, LABELS, LABELS, score="accuracy")


class Nothing:
    weights = ()


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_MODELS", str(tmp_path))

    def write(name, **changes):
        config = dataclasses.replace(Config(name, aligned=name.endswith("aligned")), **changes)
        told, labels = (dict.fromkeys(("public", "private"), array) for array in (np.eye(7)[LABELS], LABELS))
        facts = {"parameters": 1, "mflops": 1, "data": "FER2013", "initial_weights": "imagenet", "training_rows": 9}
        runs.write_run(config, [{"epoch": 1, "public_accuracy": 0.1}], told, labels, facts, Nothing())

    return write


def test_a_pair_is_compared_when_both_its_runs_are_there(record):
    record("mobilenet_v3_large_votes")
    record("xception")
    assert before_after.recorded_pairs() == {}
    record("mobilenet_v3_large_aligned", precision="bfloat16")
    (name, pair), = before_after.recorded_pairs().items()
    assert name == "mobilenet_v3_large" and [run.config["aligned"] for run in pair] == [False, True]


@pytest.mark.parametrize(
    "changes, words", [({"epochs": 9}, "differ in epochs"), ({"aligned": False}, "other way round")]
)
def test_runs_that_differ_in_more_are_no_pair(record, changes, words):
    record("xception")
    record("xception_aligned", **changes)
    with pytest.raises(ValueError, match=words):
        before_after.recorded_pairs()


def test_a_setting_that_came_later_had_its_default(record, tmp_path):
    record("xception")
    record("xception_aligned")
    path = tmp_path / "xception" / "config.json"
    config = json.loads(path.read_text())
    del config["mixup_until"]
    path.write_text(json.dumps(config))
    assert list(before_after.recorded_pairs()) == ["xception"]
    record("xception_aligned", mixup_until=1.0)
    with pytest.raises(ValueError, match="differ in mixup_until"):
        before_after.recorded_pairs()


def test_recipes_of_a_pair_differ_in_alignment_alone():
    pairs = [pair for pair in before_after.PAIRS.values() if set(pair) <= set(RECIPES)]
    assert pairs
    for pair in pairs:
        plain, aligned = (dataclasses.asdict(RECIPES[name]) for name in pair)
        assert {key for key in plain if plain[key] != aligned[key]} == {"run", "aligned"}


def recorded_robustness(judge):
    """As `evaluation.read_robustness` returns it: faces as they are, then one change in two strengths."""
    rows = [("none", 0, "as it is"), ("blur", 1, "σ 1 px"), ("blur", 2, "σ 2 px")]
    table = pd.DataFrame(rows, columns=["change", "strength", "setting"])
    table["answers"] = [judge(strength) for strength in table["strength"]]
    table.attrs["labels"] = LABELS.tolist()
    return table


def test_robustness_is_compared_face_by_face():
    fixed = answers(0.6)
    before = recorded_robustness(lambda strength: fixed if strength < 2 else np.where(LABELS == 3, 0, fixed))
    after = recorded_robustness(lambda strength: fixed)
    table = before_after.robustness_changes(before, after)
    assert table["strength"].tolist() == [0, 1, 2] and (table["n"] == len(LABELS)).all()
    assert table["difference"].tolist()[:2] == [0, 0] and table["p_value"].tolist()[:2] == [1, 1]
    gained = ((fixed == LABELS) & (LABELS == 3)).mean()
    assert table["difference"][2] == pytest.approx(gained) and 0 < table["low"][2] < gained < table["high"][2]


def test_robustness_on_other_faces_or_strengths_is_not_compared():
    before = recorded_robustness(lambda strength: LABELS)
    other = recorded_robustness(lambda strength: LABELS)
    other.attrs["labels"] = LABELS[::-1].tolist()
    for after in (other, before.iloc[:2]):
        with pytest.raises(ValueError, match="same faces, changes and strengths"):
            before_after.robustness_changes(before, after)
