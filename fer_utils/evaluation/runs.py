"""Stored results of runs: what training leaves in `models/runs/<run>/`, written and read in one place."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fer_utils import paths
from fer_utils.evaluation.calibration import Calibration
from fer_utils.evaluation.metrics import softmax, summary
from fer_utils.models import _build as build

__all__ = ["Run", "list_runs", "write_run"]


def _runs_dir() -> Path:
    return paths.models_dir() / "runs"


def write_json(path: Path, content: object) -> None:
    """JSON with a stable layout, moved into place."""
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_run(
    name: str,
    *,
    config: Mapping[str, object],
    history: pd.DataFrame,
    logits: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    outcome: Mapping[str, object],
    calibration: Calibration,
    folder: Path | None = None,
) -> Run:
    """Write a finished run: config.json, history.csv, predictions.npz and metrics.json.

    Parameters
    ----------
    name : str
        The run's folder.
    config : mapping
        What decides the run (the fields of TrainConfig).
    history : DataFrame
        A row for each epoch.
    logits : mapping of str to array of float, shape [N, 7]
        The uncalibrated ones of "public" and "private", in sample order.
    labels : mapping of str to array of int, shape [N]
        Classes, 0–6, of the same.
    outcome : mapping
        What came of the run: initial weights, versions, minutes, …
    calibration : Calibration
        Is applied to the logits, and stored beside the outcome.
    folder : Path, optional
        Where the run's folder goes; default `models/runs`.

    Returns
    -------
    Run

    Examples
    --------
    >>> calibration = Calibration.fit(labels["public"], logits["public"])
    >>> run = write_run("xception", config=vars(config), history=history, logits=logits, labels=labels,
    ...                 outcome={"training_minutes": 90.0}, calibration=calibration)
    """
    place = (folder or _runs_dir()) / name
    predictions = {split: softmax(calibration(values)).astype(np.float32) for split, values in logits.items()}
    named = {f"{split}_labels": np.asarray(values, np.int8) for split, values in labels.items()}
    stored = {"config": dict(config), "outcome": {**outcome, "calibration": dataclasses.asdict(calibration)}}
    write_json(place / "config.json", stored)
    with paths.atomic(place / "history.csv") as temporary:
        history.to_csv(temporary, index=False)
    with paths.atomic(place / "predictions.npz") as temporary:
        np.savez_compressed(temporary, **predictions, **named)
    # The last file: a run is finished when it is there.
    write_json(place / "metrics.json", {split: summary(labels[split], values) for split, values in predictions.items()})
    return Run(name, folder=folder)


def list_runs(folder: Path | None = None) -> list[str]:
    """Names of the finished runs.

    Parameters
    ----------
    folder : Path, optional
        Where the runs' folders are; default `models/runs`.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> "xception" in list_runs()
    True
    """
    places = [folder] if folder else [_runs_dir(), paths.models_dir()]
    return sorted({path.parent.name for place in places for path in place.glob("*/metrics.json")})


class Run:
    """A stored run; its files are read when they are asked for.

    Parameters
    ----------
    name : str
        One of `list_runs()`.
    folder : Path, optional
        Where the run's folder is; default `models/runs`.

    Attributes
    ----------
    name, folder, backbone, title : str, Path, str, str
        `title` is what tables call it.
    aligned : bool
        Whether it was trained on aligned faces.
    config, outcome : dict
        What decided the run, and what came of it.
    metrics : dict
        {"public": `summary`, "private": `summary`}.
    history : DataFrame
        A row for each epoch.
    predictions, uncalibrated : dict of array
        float [N, 7], the probabilities of "public" and "private" in sample order, after and before calibration;
        `predictions` also has the classes "public_labels" and "private_labels", int8 [N].

    Raises
    ------
    FileNotFoundError
        When there is no such finished run (it names those there are).

    Examples
    --------
    >>> run = Run("xception")
    >>> run.metrics["private"]["accuracy"], run.predictions["private"].shape
    """

    def __init__(self, name: str, *, folder: Path | None = None) -> None:
        self.name, self.folder = name, (folder or _runs_dir()) / name
        if not folder and not self.folder.is_dir():
            self.folder = paths.models_dir() / name
        if not (self.folder / "metrics.json").is_file():
            known = ", ".join(list_runs(folder)) or "none"
            raise FileNotFoundError(f"name: no finished run {name!r} in {folder or _runs_dir()}; there are: {known}")

    def _json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @cached_property
    def _stored(self) -> dict:
        found = self._json("config.json")
        return found if "config" in found else {"config": found, "outcome": found}

    @property
    def config(self) -> dict:
        return self._stored["config"]

    @property
    def outcome(self) -> dict:
        return self._stored["outcome"]

    @property
    def backbone(self) -> str:
        return self.config.get("backbone") or build.base_name(self.name)

    @property
    def aligned(self) -> bool:
        return bool(self.config.get("aligned"))

    @property
    def title(self) -> str:
        return build.title(self.name)

    @cached_property
    def metrics(self) -> dict:
        return self._json("metrics.json")

    @cached_property
    def history(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "history.csv")

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        with np.load(self.folder / "predictions.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    @cached_property
    def uncalibrated(self) -> dict[str, np.ndarray]:
        calibration = Calibration(**self.outcome["calibration"])
        logits = {split: np.log(np.maximum(self.predictions[split], 1e-30)) for split in ("public", "private")}
        return {split: softmax(calibration.inverse(values)) for split, values in logits.items()}

    @property
    def parts(self) -> list[Run]:
        """The stored runs that this one was fine-tuned from, earliest first, and itself."""
        start = self.config.get("start")
        earlier = Run(start, folder=self.folder.parent).parts if start in list_runs(self.folder.parent) else []
        return [*earlier, self]

    @property
    def whole_history(self) -> pd.DataFrame:
        """`history` of all `parts` in one table, their epochs counted through."""
        whole = pd.concat([part.history for part in self.parts], ignore_index=True)
        return whole.assign(epoch=range(1, len(whole) + 1))
