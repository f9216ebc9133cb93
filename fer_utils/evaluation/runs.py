"""Recorded runs: what training leaves in `models/<run>/`, written and read in one place."""

from __future__ import annotations

import csv
import dataclasses
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import paths
from fer_utils.evaluation import calibration, metrics
from fer_utils.models.weights_file import write_weights

if TYPE_CHECKING:
    import keras

    from fer_utils.training.config import Config

__all__ = ["Run", "recorded", "write_json", "write_run"]


def write_json(path: Path, content: object) -> None:
    """JSON with a stable layout, moved into place."""
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_run(
    config: Config,
    history: list[dict[str, float]],
    logits: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    facts: dict[str, object],
    model: keras.Model,
    *,
    folder: Path | None = None,
) -> Path:
    """Write a finished run under `folder` (default models/) and return its own folder.

    `logits` and `labels` hold "public" and "private", in row order, and "unseen" of a run on one half of the rows.
    """
    folder = (folder or paths.models_dir()) / config.run
    folder.mkdir(parents=True, exist_ok=True)
    probabilities = {name: metrics.softmax(value).astype(np.float32) for name, value in logits.items()}
    write_json(folder / "config.json", {**dataclasses.asdict(config), **facts})
    with paths.atomic(folder / "history.csv") as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    with paths.atomic(folder / "predictions.npz") as temporary:
        named = {f"{name}_labels": value.astype(np.int8) for name, value in labels.items()}
        np.savez_compressed(temporary, **probabilities, **named)
    scores = {name: metrics.summary(labels[name], probabilities[name]) for name in probabilities}
    write_json(folder / "metrics.json", {**scores, "parameters": facts["parameters"], "mflops": facts["mflops"]})
    write_weights(model, folder / "model.weights.h5")
    return folder


def recorded() -> list[str]:
    """Names of the finished runs in models/, sorted."""
    return sorted(path.parent.name for path in paths.models_dir().glob("*/metrics.json"))


class Run:
    """A recorded run, read lazily: its configuration, metrics, history (pandas), predictions and earlier parts."""

    def __init__(self, name: str, *, folder: Path | None = None) -> None:
        self.name = name
        self.folder = (folder or paths.models_dir()) / name
        if not (self.folder / "metrics.json").is_file():
            raise FileNotFoundError(
                f"name: no finished run {name!r} in models/; there are: {', '.join(recorded()) or 'none'}"
            )

    def _json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @cached_property
    def config(self) -> dict:
        return self._json("config.json")

    @cached_property
    def metrics(self) -> dict:
        return self._json("metrics.json")

    @cached_property
    def history(self):
        import pandas as pd

        return pd.read_csv(self.folder / "history.csv")

    @cached_property
    def parts(self) -> list[Run]:
        """The recorded runs that this one went on from, earliest first, and itself."""
        start = self.config.get("start")
        known = start and (self.folder.parent / start / "metrics.json").is_file()
        return [*(Run(start, folder=self.folder.parent).parts if known else []), self]

    @property
    def whole_history(self):
        """`history` of all parts in one table, its epochs counted through."""
        import pandas as pd

        whole = pd.concat([part.history for part in self.parts], ignore_index=True)
        return whole.assign(epoch=range(1, len(whole) + 1))

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        """float32 [N, 7] `public` and `private`, int8 [N] `public_labels` and `private_labels`; `unseen` likewise."""
        with np.load(self.folder / "predictions.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    @cached_property
    def as_trained(self) -> dict[str, np.ndarray]:
        """float64 [N, 7] `public` and `private`: the probabilities before calibration."""
        told = self.config["calibration"]
        fitted = calibration.Calibration(told["temperature"], tuple(told["bias"]))
        logits = {name: np.log(np.maximum(self.predictions[name], 1e-30)) for name in ("public", "private")}
        return {name: metrics.softmax(fitted.undo(value)) for name, value in logits.items()}
