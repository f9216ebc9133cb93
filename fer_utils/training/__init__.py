"""Training: one recipe, Keras' own `fit`, and what ships."""

from fer_utils.training._publish import publish
from fer_utils.training.config import AUGMENTATION, LOSSES, RECIPES, STUDIES, TrainConfig
from fer_utils.training.dataset import augment
from fer_utils.training.fit import train
from fer_utils.training.losses import class_balanced_weights, class_weights

__all__ = [
    "AUGMENTATION", "LOSSES", "RECIPES", "STUDIES", "TrainConfig", "augment", "class_balanced_weights", "class_weights",
    "publish", "train",
]
