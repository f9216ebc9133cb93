"""What decides a training run, and the recipes of the runs that this project ships or compares."""

import dataclasses
import re
from collections.abc import Mapping

from fer_utils import data, models

LOSSES = ("cross_entropy", "class_weights", "focal", "class_balanced", "logit_adjustment")

AUGMENTATION: Mapping[str, float] = {
    "flip": 0.5,  # probability
    "rotation": 20.0,  # degrees, each way
    "shift": 0.12,  # of the image size, each way
    "zoom": 0.20,  # of the scale, each way
    "brightness": 0.25,  # of 128, each way
    "contrast": 0.25,  # of 1, each way
    "erasing": 0.5,  # probability
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; ValueError for a field out of range. config.json holds these fields.

    Examples
    --------
    >>> TrainConfig("xception", aligned=True).run
    'xception_aligned'
    """

    backbone: str  # one of `models.BACKBONES`
    run: str = ""  # name of the run's folder; default the backbone's, with `_aligned` for aligned images
    init: str | None = "auto"  # "auto" (`make weights`', else "imagenet"), "imagenet", a file, or None (random)
    image_size: int = 96  # pixels at which the backbone works, see `models.build`
    epochs: int = 20  # the last one counts; the learning rate reaches zero there
    steps_per_epoch: int | None = None  # batches an epoch, the same budget for all; default once through the images
    batch_size: int = 64  # images a step, over all devices together
    learning_rate: float = 1e-3  # AdamW's, reached after `warmup_epochs`, then on a cosine to zero
    warmup_epochs: float = 1.0  # of linear warm-up
    weight_decay: float = 0.05  # AdamW's, not on biases and BatchNorm
    ema_momentum: float = 0.998  # of the weights' moving average, with which the run ends; less in very short runs
    dropout: float = 0.5  # before the dense layer
    label_smoothing: float = 0.05  # share of each label that is spread over all classes
    vote_weight: float = 0.0  # share of each label that comes from FER+'s votes (`data.soft_labels`); 0 for hard labels
    mixup_alpha: float = 0.4  # of mixup's beta distribution (Zhang et al. 2018); 0 for none
    augmentation: Mapping[str, float] = dataclasses.field(default_factory=dict)  # changes to `AUGMENTATION`
    loss: str = "cross_entropy"  # one of `LOSSES`
    sampling: str | None = None  # "under", "over" or "hybrid"; after a colon the images a class: "hybrid:8989"
    aligned: bool = False  # train on aligned faces (`faces.align_all`) instead of the images as they are
    precision: str = "auto"  # of the products: "float32", "bfloat16" or "auto" (bfloat16 where hardware has it)
    seed: int = 2013  # of weights, order, augmentation and dropout

    def __post_init__(self) -> None:
        def check(good: bool, name: str, allowed: str) -> None:
            if not good:
                raise ValueError(f"{name}: must be {allowed}; got {getattr(self, name)!r}")

        check(self.backbone in models.BACKBONES, "backbone", f"one of {', '.join(models.BACKBONES)}")
        if not self.run:
            object.__setattr__(self, "run", self.backbone + ("_aligned" if self.aligned else ""))
        check(re.fullmatch(r"[a-z0-9_]+", self.run) is not None, "run", "lower-case letters, digits and underscores")
        for name in ("epochs", "batch_size"):
            check(getattr(self, name) >= 1, name, "at least 1")
        check(self.steps_per_epoch is None or self.steps_per_epoch >= 1, "steps_per_epoch", "at least 1 or None")
        check(self.learning_rate > 0, "learning_rate", "above 0")
        for name in ("warmup_epochs", "weight_decay", "mixup_alpha"):
            check(getattr(self, name) >= 0, name, "0 or more")
        for name in ("ema_momentum", "dropout"):
            check(0 <= getattr(self, name) < 1, name, "in [0, 1)")
        for name in ("label_smoothing", "vote_weight"):
            check(0 <= getattr(self, name) <= 1, name, "in [0, 1]")
        unknown = sorted(set(self.augmentation) - set(AUGMENTATION))
        if unknown:
            raise ValueError(f"augmentation: names must be {', '.join(AUGMENTATION)}; got {', '.join(unknown)}")
        check(self.loss in LOSSES, "loss", f"one of {', '.join(LOSSES)}")
        form = rf"({'|'.join(data.METHODS)})(:[1-9]\d*)?"
        check(self.sampling is None or re.fullmatch(form, self.sampling) is not None, "sampling",
              f"None or one of {', '.join(data.METHODS)}, with images a class after a colon if wanted")
        check(self.precision in ("auto", "float32", "bfloat16"), "precision", "auto, float32 or bfloat16")


# One recipe for four backbones: only the learning rate is each backbone's own (chosen on PublicTest).
RATES = {"xception": 1e-3, "mobilenet_v3_large": 1e-3, "efficientnet_b0": 1e-3, "resnet18": 5e-4}
RECIPES: Mapping[str, TrainConfig] = {
    config.run: config
    for name, rate in RATES.items()
    for config in (TrainConfig(name, learning_rate=rate), TrainConfig(name, learning_rate=rate, aligned=True))
}

# Runs that answer one question each and do not ship: MobileNetV3-Large with one field changed.
_MOBILE = RECIPES["mobilenet_v3_large"]
_IMBALANCE = {
    "baseline": {}, "under": {"sampling": "under"}, "over": {"sampling": "over"},
    "hybrid_mean": {"sampling": "hybrid:4001"}, "hybrid_8989": {"sampling": "hybrid:8989"},
    **{loss: {"loss": loss} for loss in LOSSES[1:]},
}
_CHANGES = {
    **{f"imbalance_{name}": {"epochs": 8, "steps_per_epoch": 437, **change} for name, change in _IMBALANCE.items()},
    **{f"{_MOBILE.run}_seed_{seed}": {"seed": seed} for seed in (2014, 2015)},
    **{f"{_MOBILE.run}_aligned_seed_{seed}": {"seed": seed, "aligned": True} for seed in (2014, 2015)},
    f"{_MOBILE.run}_soft_labels": {"vote_weight": 0.5},
}
STUDIES: Mapping[str, TrainConfig] = {
    run: dataclasses.replace(_MOBILE, run=run, **change) for run, change in _CHANGES.items()
}
