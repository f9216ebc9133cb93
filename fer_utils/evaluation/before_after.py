"""Two networks that differ in one thing, on the same rows: where the difference lies, and whether it is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.evaluation import _old_metrics as metrics
from fer_utils.evaluation.runs import Run, list_runs
from fer_utils.training.config import Config

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PAIRS", "class_changes", "paired", "recorded_pairs", "robustness_changes"]

# Backbone → its runs on whole frames and on aligned faces.
PAIRS = {
    "xception": ("xception", "xception_aligned"),
    "mobilenet_v3_large": ("mobilenet_v3_large_votes", "mobilenet_v3_large_aligned"),
}
MAY_DIFFER = ("run", "aligned", "precision")  # precision only says what the CPU multiplies fastest
_DEFAULTS = dataclasses.asdict(Config("xception"))  # what a run was trained with before a setting existed
_DECISIVE = [*(name for name in _DEFAULTS if name not in MAY_DIFFER), "data", "initial_weights", "training_rows"]


def recorded_pairs() -> dict[str, tuple[Run, Run]]:
    """The `PAIRS` of which both runs are recorded.

    Raises ValueError when the two of a pair differ in more than the alignment: no difference could be laid to it.
    """
    there, found = set(list_runs()), {}
    for name, pair in PAIRS.items():
        if not there.issuperset(pair):
            continue
        before, after = (Run(run) for run in pair)
        others = [key for key in _DECISIVE if _setting(before, key) != _setting(after, key)]
        if others or before.config.get("aligned") or not after.config.get("aligned"):
            raise ValueError(
                f"{name}: its runs must differ in `aligned` alone, whole frames first; they differ in "
                f"{', '.join(others) or 'aligned, the other way round'}"
            )
        found[name] = before, after
    return found


def _setting(run: Run, key: str) -> object:
    return run.config.get(key, _DEFAULTS.get(key))


def paired(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, groups: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Accuracy before and after in each group of rows, with McNemar's test.

    Parameters
    ----------
    labels, before, after : int [N], the classes and both networks' answers.
    groups : title → bool [N], the rows of each group; an empty one is left out.

    Returns
    -------
    A row a group: n, before, after, difference with low and high (95 %), p_value.
    """
    import pandas as pd

    rows = {}
    for title, mask in groups.items():
        if not np.any(mask):
            continue
        test = metrics.mcnemar(labels[mask], before[mask], after[mask])
        rows[title] = {
            "n": test["n"],
            "before": float((before == labels)[mask].mean()),
            "after": float((after == labels)[mask].mean()),
            **{key: test[key] for key in ("difference", "low", "high", "p_value")},
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def class_changes(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, *, score: str = "f1", n: int = 2000, seed: int = 2013
) -> pd.DataFrame:
    """A score of each class before and after, and its change with the 95 % interval of a paired bootstrap over rows.

    Parameters
    ----------
    labels, before, after : int [N], the classes and both networks' answers.
    score : precision, recall or f1. n, seed : of the bootstrap.

    Returns
    -------
    A row a class of CLASSES: n, before, after, change, low, high.
    """
    import pandas as pd

    if score not in ("precision", "recall", "f1"):
        raise ValueError(f"score: must be precision, recall or f1; got {score!r}")
    here, drawn = metrics.paired_matrices(labels, before, after, n=n, seed=seed)
    (first, second), draws = metrics.per_class(here)[score], metrics.per_class(drawn)[score]
    low, high = np.quantile(draws[:, 1] - draws[:, 0], [0.025, 0.975], axis=0)
    table = {"n": np.bincount(labels, minlength=len(CLASSES)), "before": first, "after": second}
    return pd.DataFrame({**table, "change": second - first, "low": low, "high": high}, index=list(CLASSES))


def robustness_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The two networks on the same changed faces (`evaluation.read_robustness`), strength by strength.

    Returns
    -------
    A row each: change, strength, setting, n, before, after, difference with low and high (95 %), p_value.

    Raises
    ------
    ValueError when they did not judge the same faces.
    """
    import pandas as pd

    keys, labels = ["change", "strength", "setting"], np.asarray(before.attrs["labels"])
    if not before[keys].equals(after[keys]) or not np.array_equal(labels, after.attrs["labels"]):
        raise ValueError("before, after: must be recorded with the same faces, changes and strengths; got others")
    everyone = {"all": np.full(len(labels), True)}
    found = [paired(labels, *two, everyone) for two in zip(before["answers"], after["answers"], strict=True)]
    return pd.concat([before[keys], pd.concat(found, ignore_index=True)], axis=1)
