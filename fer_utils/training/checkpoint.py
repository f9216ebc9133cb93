"""A training run's resumable state: after a kill at any point, at most the running epoch is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fer_utils import paths

if TYPE_CHECKING:
    import keras

__all__ = ["Checkpoint"]


class _Trainer(Protocol):
    def arrays(self) -> dict[str, list[np.ndarray]]: ...

    def restore(self, arrays: dict[str, list[np.ndarray]]) -> None: ...


class Checkpoint:
    """State of one run in `folder`: `state.npz` (everything, one atomic file) and `best.npz` (the best weights)."""

    def __init__(self, folder: Path, config: dict[str, object]) -> None:
        self.folder = folder
        self.config = json.loads(json.dumps(config))  # tuples become lists, as in the file

    def save(self, trainer: _Trainer, history: list[dict[str, float]], best: int | None) -> None:
        """Write the state after an epoch."""
        meta = json.dumps({"config": self.config, "history": history, "best": best})
        arrays = {
            f"{group}/{index:04d}": value
            for group, values in trainer.arrays().items()
            for index, value in enumerate(values)
        }
        with paths.atomic(self.folder / "state.npz") as temporary:
            np.savez(temporary, meta=np.array(meta), **arrays)

    def load(self, trainer: _Trainer) -> tuple[list[dict[str, float]], int | None]:
        """Restore the state, if there is one; returns the history so far and the best epoch's index.

        Raises ValueError when the checkpoint belongs to another configuration.
        """
        path = self.folder / "state.npz"
        if not path.is_file():
            return [], None
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            changed = [key for key in self.config if meta["config"].get(key) != self.config[key]]
            if changed:
                raise ValueError(
                    f"{path} was written with another configuration ({', '.join(changed)} differ): "
                    "finish that run, choose another run name, or delete the folder"
                )
            groups: dict[str, list[np.ndarray]] = {}
            for name in sorted(key for key in file.files if key != "meta"):
                groups.setdefault(name.split("/")[0], []).append(file[name])
        trainer.restore(groups)
        print(f"resumed after epoch {len(meta['history'])} from {path}", flush=True)
        return meta["history"], meta["best"]

    def keep_best(self, model: keras.Model) -> None:
        """Remember these weights as the best so far."""
        with paths.atomic(self.folder / "best.npz") as temporary:
            np.savez(temporary, **{f"{index:04d}": np.asarray(weight) for index, weight in enumerate(model.weights)})

    def load_best(self, model: keras.Model) -> None:
        """Put the best weights into `model`."""
        with np.load(self.folder / "best.npz", allow_pickle=False) as file:
            for name, weight in zip(sorted(file.files), model.weights, strict=True):
                weight.assign(file[name])
