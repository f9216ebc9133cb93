"""Training: one recipe, Keras' own `fit`, and what ships."""

from importlib import import_module
from typing import Any

from fer_utils.training.config import AUGMENTATION, LOSSES, RECIPES, STUDIES, TrainConfig

# Where the rest is; these modules import Keras, for which `--help` need not wait.
_PLACES = {"augment": "dataset", "class_balanced_weights": "losses", "class_weights": "losses", "publish": "_publish",
           "train": "fit"}  # fmt: skip

__all__ = ["AUGMENTATION", "LOSSES", "RECIPES", "STUDIES", "TrainConfig", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
