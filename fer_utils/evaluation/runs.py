"""Stored results of runs: what training leaves in `models/runs/<run>/`, written and read in one place."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from fer_utils import models, paths
from fer_utils.evaluation.calibration import Calibration
from fer_utils.evaluation.metrics import summary


def write_json(path: Path, content: object) -> None:
    """JSON, indented by two."""
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored_study(name: str, file: str, command: str) -> Path:
    """Where a run's study is stored; FileNotFoundError says how to record it."""
    path = Run(name).folder / file
    if not path.is_file():
        raise FileNotFoundError(f"name: {name!r} has no {file}; record it with python -m fer_utils.{command} {name}")
    return path


def write_run(name: str, *, config: Mapping[str, object], history: pd.DataFrame, logits: Mapping[str, np.ndarray],
              labels: Mapping[str, np.ndarray], outcome: Mapping[str, object], calibration: Calibration) -> "Run":
    """Write a finished run and return it: config.json, history.csv, predictions.npz, metrics.json.

    `config`, `outcome`: what decides the run (the fields of TrainConfig), and what came of it (versions, minutes, …).
    `logits`, `labels`: "public" and "private" → uncalibrated float [N, 7], and int [N], 0–6, in sample order.
    `calibration`: is applied to the logits, and stored with the outcome.

    Examples
    --------
    >>> write_run("xception", config=vars(config), history=history, logits=logits, labels=labels,
    ...           outcome={"minutes": 90.0}, calibration=Calibration.fit(labels["public"], logits["public"]))
    """
    place = paths.models_dir() / "runs" / name
    probabilities = {split: softmax(calibration(values), axis=1).astype(np.float32) for split, values in logits.items()}
    truth = {f"{split}_labels": np.asarray(values, np.int8) for split, values in labels.items()}
    outcome = {**outcome, "calibration": dataclasses.asdict(calibration)}
    write_json(place / "config.json", {"config": dict(config), "outcome": outcome})
    with paths.atomic(place / "history.csv") as temporary:
        history.to_csv(temporary, index=False)
    with paths.atomic(place / "predictions.npz") as temporary:
        np.savez_compressed(temporary, **probabilities, **truth)
    # The last file: a run is finished when it is there.
    write_json(place / "metrics.json", {split: summary(labels[split], p) for split, p in probabilities.items()})
    return Run(name)


def list_runs() -> list[str]:
    """Names of the finished runs in `models/runs`, in alphabetical order.

    Examples
    --------
    >>> "xception" in list_runs()
    True
    """
    return sorted(path.parent.name for path in paths.models_dir().glob("runs/*/metrics.json"))


class Run:
    """A stored run, one of `list_runs()`, else FileNotFoundError; its files are read when they are asked for.

    Attributes
    ----------
    config, outcome : dict, what decided the run and what came of it; title : what tables call it.
    metrics, history : "public" and "private" → `summary`; DataFrame, a row for each epoch.
    predictions : "public", "private": probabilities float32 [N, 7]; "public_labels", "private_labels": int8 [N].
    uncalibrated : "public", "private": probabilities float64 [N, 7] before calibration.

    Examples
    --------
    >>> Run("xception").predictions["private"].shape
    (3589, 7)
    """

    def __init__(self, name: str) -> None:
        self.name, self.folder = name, paths.models_dir() / "runs" / name
        if not (self.folder / "metrics.json").is_file():
            known = ", ".join(list_runs()) or "none"
            raise FileNotFoundError(f"name: no finished run {name!r} in {self.folder.parent}; there are: {known}")
        stored = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        self.config, self.outcome = stored["config"], stored["outcome"]
        self.backbone, self.aligned = self.config["backbone"], self.config["aligned"]
        own = name if name.startswith(self.backbone) else f"{self.backbone}_{name}"
        self.title = models.title(own)

    @cached_property
    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    @cached_property
    def history(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "history.csv")

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "predictions.npz", allow_pickle=False) as file:
            return dict(file)

    @cached_property
    def uncalibrated(self) -> dict[str, np.ndarray]:
        undo = Calibration(**self.outcome["calibration"]).inverse
        return {split: softmax(undo(np.log(np.maximum(self.predictions[split], 1e-30))), axis=1)
                for split in ("public", "private")}
