"""What decides a training run, and the recipes that the shipped models were trained by."""

from __future__ import annotations

import dataclasses

from fer_utils.models import _build as models
from fer_utils.training.augmentation import Augmentation

__all__ = ["BALANCING", "RECIPES", "Config"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run; `models/<run>/config.json` holds it word for word."""

    run: str  # folder name; starts with the backbone's name
    epochs: int = 13
    side: int = 72  # pixels at which the backbone works; the network itself takes 96 and resizes them first
    batch: int = 96
    learning_rate: float = 4e-4  # peak, AdamW
    head_learning_rate: float = 2e-3
    head_steps: int = 100  # steps of the first stage (head alone)
    warmup: float = 0.5  # epochs
    weight_decay: float = 0.02
    clip: float = 1.0  # global gradient norm
    ema: float = 0.998
    dropout: float = 0.4
    loss: str = "cross_entropy"
    votes: float = 0.3  # share of FER+ votes in the training labels
    translate: bool = False  # votes in the words of FER2013's labels (data.calibrated_votes)
    judges: str | None = None  # two runs joined by "+", one of each `half`: their answers beside the votes
    smoothing: float = 0.0
    mixup: float = 0.2  # alpha
    mixup_until: float = 0.7  # share of the epochs, from the first on, that mix
    augmentation: dict[str, float] = dataclasses.field(default_factory=dict)  # changes to Augmentation.DEFAULT
    weights: str | None = "auto"
    start: str | None = None  # a recorded run to go on from; `weights` is not used then
    frozen: str | None = None  # layer of the backbone up to which, itself included, every layer stays as it starts
    statistics: int = 0  # training faces on which BatchNorm's statistics are taken anew first, for another side
    average: bool = False  # with `start`: mix the weights of start and end, in the share that suits PublicTest best
    sampling: str | None = None  # under, over, hybrid (fer_utils.data.sampling)
    sampling_target: int | None = None
    epoch_rows: int | None = None  # rows an epoch shows, whatever sampling left; equal work for runs to be compared
    aligned: bool = False
    other: float = 0.0  # share of the faces that an epoch shows the other way: aligned, or whole where `aligned` is set
    teacher: str | None = None  # distillation: a shipped model, or several joined by "+" (fer_utils.training.teacher)
    views: int = 8  # augmented views that the teacher has judged; epochs take turns, then with the mirrored ones
    distillation: float = 0.7  # the teacher's share in the loss
    distillation_temperature: float = 2.0
    precision: str = "auto"  # float32 or bfloat16 (fer_utils.models.cpu_layers); auto: what this CPU multiplies fastest
    half: int | None = None  # train on this half of the rows, 0 or 1, and judge the other (fer_utils.training.crossfit)
    rows: int | None = None  # use only so many training rows (a quick look)
    seed: int = 2013

    def __post_init__(self) -> None:
        name = models.base_name(self.run)
        if self.epochs < 1:
            raise ValueError(f"epochs: must be at least 1; got {self.epochs}")
        models.check_image_size(self.side, name)
        Augmentation(**self.augmentation)
        if self.epoch_rows is not None and self.epoch_rows < self.batch:
            raise ValueError(f"epoch_rows: must be at least one batch ({self.batch}); got {self.epoch_rows}")
        if not 0 <= self.mixup_until <= 1:
            raise ValueError(f"mixup_until: must lie in [0, 1]; got {self.mixup_until}")
        if self.statistics < 0:
            raise ValueError(f"statistics: must be a number of faces, 0 for none; got {self.statistics}")
        if self.average and not self.start:
            raise ValueError("average: needs a run to start from; got start None")
        if not 0 <= self.other <= 1 or (self.other and self.teacher):
            raise ValueError(
                f"other: must lie in [0, 1], and be 0 with a teacher; got {self.other:g}, teacher {self.teacher}"
            )
        if self.teacher and (self.mixup or self.loss != "cross_entropy"):
            raise ValueError(
                f"teacher: goes with mixup 0 and the loss cross_entropy; got mixup {self.mixup:g}, loss {self.loss}"
            )
        if self.teacher and any(each.endswith("_aligned") != self.aligned for each in self.teacher.split("+")):
            raise ValueError(
                "teacher: must know the faces that its student sees, aligned or whole frames; got "
                f"{self.teacher} with aligned {self.aligned}"
            )
        if self.half not in (None, 0, 1):
            raise ValueError(f"half: must be 0, 1 or None for all rows; got {self.half}")
        if self.judges and not self.translate:
            raise ValueError(f"judges: only translated votes take answers, translate=True; got {self.judges}, False")
        if (self.judges or self.half is not None) and (self.aligned or self.other):
            raise ValueError(
                f"half, judges: the halves are dealt by whole frames, aligned=False and other=0; got {self.aligned}, "
                f"{self.other:g}"
            )
        if self.views < 1 or not 0 <= self.distillation <= 1 or self.distillation_temperature <= 0:
            raise ValueError(
                "views, distillation, distillation_temperature: must be at least 1, in [0, 1] and above 0; got "
                f"{self.views}, {self.distillation}, {self.distillation_temperature}"
            )


_VOTES = {"votes": 0.5, "translate": True}  # half of each label, in the words of FER2013's labels
_TEACHER = {"teacher": "xception", "views": 6}
_LIGHT = {"epochs": 12, "learning_rate": 1e-3, "dropout": 0.3, "mixup": 0.0}
_FINISH = {"epochs": 6, "side": 96, "learning_rate": 5e-4, "head_steps": 0, "average": True}

# On from a distilled light network with labels alone, faces changed more strongly and mixed, as Xception did at 96 px.
# Its first layers (`frozen`) stay where they take the most time.
_ON = {
    "side": 96,
    "learning_rate": 6e-4,
    "head_steps": 0,
    "weight_decay": 0.03,
    "ema": 0.999,
    "translate": True,
    "average": True,
    "augmentation": {"rotation": 15.0, "shift": 0.1, "zoom": 0.15, "erasing": 0.4},
}

_MOBILE_ON = {**_ON, "frozen": "expanded_conv_2_add"}  # of MobileNetV3-Large
_ON_128 = {**_ON, "side": 128, "frozen": "block2b_add"}  # of EfficientNet-B0

# Labels that two networks and the voters had a say in, each network where it had not seen the row (crossfit): the
# label's own noise counts for less, and is not learned from itself.
_JUDGED = {
    "votes": 0.6,
    "judges": "mobilenet_v3_large_half_0+mobilenet_v3_large_half_1",
    "mixup_until": 1.0,
}


def _distilled(run: str, **changes: object) -> Config:
    """A light network at 72 px, taught by Xception unless the changes name another teacher."""
    return Config(run, **{**_LIGHT, **_VOTES, **_TEACHER, **changes})


def _in_two_parts(
    name: str, finish: dict[str, object] | None = None, *, second: str | None = None, **changes: object
) -> dict[str, Config]:
    """A light network distilled: first on fewer pixels, which is fast, then on more (model card; 72 and 96 by default).

    `changes` hold for both parts, `finish` for the second alone, whose run is called `second` where more follows.
    """
    first = _distilled(f"{name}_first", **changes)
    end = dataclasses.replace(first, run=second or name, start=first.run, **{**_FINISH, **(finish or {})})
    return {first.run: first, end.run: end}


# Ways to counter the imbalance, compared on one small network with FER2013's own labels and equal work, some ten
# minutes each on two cores.
BALANCING = {
    "plain": {},
    "under": {"sampling": "under"},
    "over": {"sampling": "over"},
    "hybrid_mean": {"sampling": "hybrid", "sampling_target": 4001},  # the mean class size
    "hybrid_8989": {"sampling": "hybrid", "sampling_target": 8989},
    "class_weights": {"loss": "class_weights"},
    "focal": {"loss": "focal"},
    "class_balanced": {"loss": "class_balanced"},
    "logit_adjustment": {"loss": "logit_adjustment"},
}

# Goes on from the first part with less noisy labels, for by then the network learns their noise by heart (model card).
_XCEPTION = Config(
    "xception",
    start="xception_first",
    epochs=5,
    batch=64,
    learning_rate=2e-4,
    head_steps=0,
    votes=0.5,
    translate=True,
    average=True,
)

# And on at 96 px without a teacher: what one network can still learn from labels alone, when faces are changed and
# mixed so strongly that it cannot learn them by heart.
_SECOND_96 = dataclasses.replace(
    _XCEPTION,
    run="xception_96_second",
    start="xception_96_first",
    epochs=15,
    side=96,
    learning_rate=5e-4,
    weight_decay=0.05,
    ema=0.999,
    dropout=0.5,
    votes=0.3,
    mixup=0.4,
    mixup_until=0.8,
    augmentation={"rotation": 20.0, "shift": 0.12, "zoom": 0.2, "erasing": 0.5},
)

# From there at 128 px, whose maps keep the same detail apart for longer; its first half only meets new statistics.
_XCEPTION_128 = dataclasses.replace(
    _SECOND_96,
    run="xception_128",
    start="xception_96_second",
    epochs=5,
    side=128,
    frozen="block9_sepconv1_act",
    statistics=2560,
    seed=2014,  # other turns and shifts of the faces than the first epochs of its start have shown
)

# EfficientNet-B0's second part with judged labels.
_EFFICIENTNET_JUDGED = Config(
    "efficientnet_b0", start="efficientnet_b0_fifth", epochs=11, seed=2018, **{**_ON_128, **_JUDGED, "votes": 0.7}
)

RECIPES = {
    "xception_first": Config("xception_first"),
    "xception": _XCEPTION,
    # The second part once more with aligned faces: the comparison before and after alignment (notebook 05).
    "xception_aligned": dataclasses.replace(_XCEPTION, run="xception_aligned", aligned=True),
    # At 96 px from its weights at 72 px. There it overfitted at last, which soft answers are against: those of all four
    # networks together as they were then, the two large ones by their eight-bit copies, which answer twice as fast. Not
    # shipped: python -m fer_utils.models.quantize xception resnet18, and python -m fer_utils.models.onnx_export with the two others.
    "xception_96_first": dataclasses.replace(
        _XCEPTION,
        run="xception_96_first",
        start="xception",
        epochs=7,
        side=96,
        learning_rate=4e-4,
        votes=0.3,
        mixup=0.0,
        teacher="xception_int8+resnet18_int8+efficientnet_b0_second+mobilenet_v3_large_second",
        views=4,
    ),
    "xception_96_second": _SECOND_96,
    # Tried and not shipped (model card): on from there, half of an epoch's faces aligned, the first layers left.
    "xception_96_both": dataclasses.replace(
        _SECOND_96,
        run="xception_96_both",
        start="xception_96_second",
        epochs=5,
        learning_rate=4e-4,
        frozen="block9_sepconv1_act",
        other=0.5,
    ),
    # Not shipped either, though of use beside its start (model card): at 128 px.
    "xception_128": _XCEPTION_128,
    # And for longer, with less of the labels' noise: half of each label is what the votes say, every epoch mixes.
    "xception_128_long": dataclasses.replace(
        _XCEPTION_128, run="xception_128_long", epochs=9, votes=0.5, mixup_until=1.0, seed=2015
    ),
    # Every layer on at 96 px, with judged labels.
    "xception_96": dataclasses.replace(
        _SECOND_96, run="xception_96", start="xception_96_second", epochs=9, seed=2016, **_JUDGED
    ),
    **_in_two_parts("mobilenet_v3_large", second="mobilenet_v3_large_second"),
    "mobilenet_v3_large_third": Config(
        "mobilenet_v3_large_third", start="mobilenet_v3_large_second", epochs=8, **_MOBILE_ON
    ),
    # And once more with judged labels, by which PublicTest's log loss falls (model card).
    "mobilenet_v3_large": Config(
        "mobilenet_v3_large",
        start="mobilenet_v3_large_third",
        epochs=18,
        seed=2019,
        **{**_MOBILE_ON, **_JUDGED, "votes": 0.7},
    ),
    # MobileNetV3-Large answers several times as fast as Xception (notebook 07), and is nearly as often right; for the
    # second part the two judge together, on views enough for six epochs that are mirrored in turn. A teacher has to be
    # exported: python -m fer_utils.models.onnx_export mobilenet_v3_large_second
    **_in_two_parts(
        "efficientnet_b0",
        second="efficientnet_b0_second",
        epochs=10,
        teacher="mobilenet_v3_large_second",
        views=5,
        finish={"teacher": "xception+mobilenet_v3_large_second", "views": 3},
    ),
    "efficientnet_b0_third": Config(
        "efficientnet_b0_third", start="efficientnet_b0_second", frozen="block2b_add", epochs=10, **_ON
    ),
    # The same detail on more pixels, nearer to the scale at which ImageNet's pictures show things.
    "efficientnet_b0_fourth": Config("efficientnet_b0_fourth", start="efficientnet_b0_third", epochs=8, **_ON_128),
    # And twice more with judged labels, by which PublicTest's log loss falls (model card).
    "efficientnet_b0_fifth": Config(
        "efficientnet_b0_fifth", start="efficientnet_b0_fourth", epochs=10, seed=2017, **_ON_128, **_JUDGED
    ),
    "efficientnet_b0": _EFFICIENTNET_JUDGED,
    # Tried and not shipped (model card): on with faces changed and mixed as strongly as for Xception.
    "efficientnet_b0_seventh": dataclasses.replace(
        _EFFICIENTNET_JUDGED,
        run="efficientnet_b0_seventh",
        start="efficientnet_b0",
        epochs=10,
        mixup=_SECOND_96.mixup,
        dropout=_SECOND_96.dropout,
        augmentation=_SECOND_96.augmentation,
        seed=2020,
    ),
    # Two light networks teach its first part, because so many views would take Xception hours.
    **_in_two_parts(
        "resnet18",
        epochs=8,
        learning_rate=7e-4,
        teacher="mobilenet_v3_large_second+efficientnet_b0_second",
        views=7,
        finish={"teacher": "xception+mobilenet_v3_large_second", "views": 3},
    ),
    # Tried and not shipped (model card): ResNet-18 on with labels alone, every layer learning.
    "resnet18_third": Config("resnet18_third", start="resnet18", epochs=5, **_ON),
    # The first part of MobileNetV3-Large without a teacher, and without the votes either.
    "mobilenet_v3_large_votes": Config("mobilenet_v3_large_votes", **_LIGHT, **_VOTES),
    # And with aligned faces, from the same start: alignment and nothing else.
    "mobilenet_v3_large_aligned": Config("mobilenet_v3_large_aligned", **_LIGHT, **_VOTES, aligned=True),
    "mobilenet_v3_large_labels": Config("mobilenet_v3_large_labels", **_LIGHT, votes=0.0),
}
RECIPES |= {
    # Each learns one half of the rows from the labels alone, and judges the other for `_JUDGED`.
    f"mobilenet_v3_large_half_{half}": Config(
        f"mobilenet_v3_large_half_{half}", **{**_LIGHT, "epochs": 14, "batch": 64, "mixup": 0.2}, votes=0.0, half=half
    )
    for half in (0, 1)
}
RECIPES |= {
    f"mobilenet_v3_large_{name}": dataclasses.replace(
        RECIPES["mobilenet_v3_large_labels"], run=f"mobilenet_v3_large_{name}", epochs=4, epoch_rows=28_000, **changes
    )
    for name, changes in BALANCING.items()
}
