"""Stored results of runs: what training leaves in `models/runs/<run>/`, written and read in one place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fer_utils import models, paths
from fer_utils.evaluation.calibration import Calibration
from fer_utils.evaluation.metrics import softmax, summary

__all__ = ["Run", "list_runs", "write_run"]


def _runs_dir(folder: Path | None = None) -> Path:
    return folder or paths.models_dir() / "runs"


def write_json(path: Path, content: object) -> None:
    """JSON with a stable layout, moved into place."""
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """A file's SHA-256: a study names the ONNX file that it is about."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored_study(name: str, file: str, command: str) -> Path:
    """Where a run's study is stored; FileNotFoundError says how to record it."""
    path = Run(name).folder / file
    if not path.is_file():
        raise FileNotFoundError(f"name: {name!r} has no {file}; record it with python -m fer_utils.{command} {name}")
    return path


def write_run(
    name: str, *, config: Mapping[str, object], history: pd.DataFrame, logits: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray], outcome: Mapping[str, object], calibration: Calibration,
    folder: Path | None = None,
) -> Run:
    """Write a finished run and return it: config.json, history.csv, predictions.npz, metrics.json.

    Parameters
    ----------
    name : the run's folder.
    config, outcome : what decides the run (the fields of TrainConfig), and what came of it (versions, minutes, …).
    history : a row for each epoch.
    logits : "public" and "private" → float [N, 7], not calibrated yet, in sample order.
    labels : "public" and "private" → int [N], classes 0–6.
    calibration : is applied to the logits, and stored with the outcome.
    folder : where the run's folder goes; default `models/runs`.

    Examples
    --------
    >>> write_run("xception", config=vars(config), history=history, logits=logits, labels=labels,
    ...           outcome={"minutes": 90.0}, calibration=Calibration.fit(labels["public"], logits["public"]))
    """
    place = _runs_dir(folder) / name
    probabilities = {split: softmax(calibration(values)).astype(np.float32) for split, values in logits.items()}
    truth = {f"{split}_labels": np.asarray(values, np.int8) for split, values in labels.items()}
    outcome = {**outcome, "calibration": dataclasses.asdict(calibration)}
    write_json(place / "config.json", {"config": dict(config), "outcome": outcome})
    with paths.atomic(place / "history.csv") as temporary:
        history.to_csv(temporary, index=False)
    with paths.atomic(place / "predictions.npz") as temporary:
        np.savez_compressed(temporary, **probabilities, **truth)
    # The last file: a run is finished when it is there.
    write_json(place / "metrics.json", {split: summary(labels[split], p) for split, p in probabilities.items()})
    return Run(name, folder=folder)


def list_runs(folder: Path | None = None) -> list[str]:
    """Names of the finished runs in a folder (default `models/runs`), in alphabetical order.

    Examples
    --------
    >>> "xception" in list_runs()
    True
    """
    return sorted(path.parent.name for path in _runs_dir(folder).glob("*/metrics.json"))


class Run:
    """A stored run; its files are read when they are asked for.

    Parameters
    ----------
    name : one of `list_runs()`.
    folder : where the run's folder is; default `models/runs`.

    Attributes
    ----------
    name, folder, backbone, title : `title` is what tables call the run.
    config, outcome : dict, what decided the run and what came of it.
    aligned : bool, whether it was trained on aligned faces.
    metrics : {"public": `summary`, "private": `summary`}.
    history : DataFrame, a row for each epoch.
    predictions : probabilities float32 [N, 7] "public" and "private" in sample order, and the classes
        "public_labels" and "private_labels", int8 [N].
    uncalibrated : float64 [N, 7] "public" and "private", the probabilities before calibration.
    parts, whole_history : the stored runs that this one was fine-tuned from, earliest first, and itself; their
        histories in one table, epochs counted through.

    Raises
    ------
    FileNotFoundError
        There is no such finished run (it names those there are).

    Examples
    --------
    >>> Run("xception").predictions["private"].shape
    (3589, 7)
    """

    def __init__(self, name: str, *, folder: Path | None = None) -> None:
        self.name, self.folder = name, _runs_dir(folder) / name
        if not (self.folder / "metrics.json").is_file():
            known = ", ".join(list_runs(folder)) or "none"
            raise FileNotFoundError(f"name: no finished run {name!r} in {_runs_dir(folder)}; there are: {known}")
        stored = self._json("config.json")
        self.config, self.outcome = stored["config"], stored["outcome"]
        self.backbone, self.aligned = self.config["backbone"], self.config["aligned"]
        own = f"{models.TITLES[self.backbone]}, {name.replace('_', ' ')}"
        self.title = models.title(name) if name.startswith(self.backbone) else own

    def _json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @cached_property
    def metrics(self) -> dict:
        return self._json("metrics.json")

    @cached_property
    def history(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "history.csv")

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "predictions.npz", allow_pickle=False) as file:
            return dict(file)

    @cached_property
    def uncalibrated(self) -> dict[str, np.ndarray]:
        calibration = Calibration(**self.outcome["calibration"])
        logits = {split: np.log(np.maximum(self.predictions[split], 1e-30)) for split in ("public", "private")}
        return {split: softmax(calibration.inverse(values)) for split, values in logits.items()}

    @property
    def parts(self) -> list[Run]:
        start = self.config.get("start")
        known = start in list_runs(self.folder.parent)
        return [*(Run(start, folder=self.folder.parent).parts if known else []), self]

    @property
    def whole_history(self) -> pd.DataFrame:
        whole = pd.concat([part.history for part in self.parts], ignore_index=True)
        return whole.assign(epoch=whole.index + 1)
