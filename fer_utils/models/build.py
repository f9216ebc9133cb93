"""The four backbones under one head.

Each takes RGB in 0–255 and scales it in its own first layer, so that no caller can get the scaling wrong.
TensorFlow is imported inside the functions.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from fer_utils import paths
from fer_utils.faces import INPUT_SIZE
from fer_utils.models import cpu_layers as mixed_layers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras
    import numpy as np

__all__ = [
    "NAMES",
    "TITLES",
    "WeightsError",
    "backbone",
    "base_name",
    "build",
    "check_side",
    "find_weights",
    "freeze",
    "load",
    "mflops",
    "take_statistics",
    "title",
    "with_probabilities",
]

TITLES = {
    "xception": "Xception",
    "mobilenet_v3_large": "MobileNetV3-Large",
    "efficientnet_b0": "EfficientNet-B0",
    "resnet18": "ResNet-18",
}
NAMES = tuple(TITLES)

# Keras sets MobileNetV3's momentum to .999 (its statistics never arrive in a short run); .97 follows within an epoch.
BATCHNORM_MOMENTUM = 0.97
LARGEST_SIDE = 224
RESNET18 = dict(
    input_conv_filters=[64],
    input_conv_kernel_sizes=[7],
    stackwise_num_filters=[64, 128, 256, 512],
    stackwise_num_blocks=[2, 2, 2, 2],
    stackwise_num_strides=[1, 2, 2, 2],
    block_type="basic_block",
)


class WeightsError(ValueError):
    """Pretrained weights that are missing or do not fit."""


def base_name(run: str) -> str:
    """The backbone's name of a run: `xception_aligned` → `xception`."""
    for name in NAMES:
        if run == name or run.startswith(name + "_"):
            return name
    raise ValueError(f"run: must start with one of {', '.join(NAMES)}; got {run!r}")


def title(run: str) -> str:
    """What tables call a run: `xception_96` → "Xception, 96 px"."""
    base = base_name(run)
    rest = run[len(base) :].strip("_").replace("_", " ")
    words = f"{rest} px" if rest.isdigit() else {"aligned": "aligned faces"}.get(rest, rest)
    return ", ".join(filter(None, (TITLES[base], words)))


def check_side(side: int, name: str) -> None:
    """ValueError unless the backbone `name` can work on `side` × `side` pixels.

    Xception's smallest input is 71. The others reduce a picture to a 32nd; 48 px, all that a face in FER2013 has,
    leave them 2 × 2 places to pool. ImageNet networks learn at 224 px (Xception at 299): beyond that a face would come
    at a scale that none but Xception knows.
    """
    least = 71 if name == "xception" else 48
    if not least <= side <= LARGEST_SIDE:
        raise ValueError(f"side: must lie in {least} … {LARGEST_SIDE} pixels for {name}; got {side}")


def find_weights(name: str, source: str | Path | None = None) -> Path | None:
    """The weights file for `name` in a file or folder (default: `FER_WEIGHTS`), None when it holds none.

    A folder is searched for `<name>*.weights.h5`.
    """
    source = Path(source) if source else paths.weights_source()
    if source is None:
        return None
    if source.is_file():
        return source
    if not source.is_dir():
        raise WeightsError(f"weights: {source} is neither a file nor a folder")
    return next(iter(sorted(source.glob(f"{name}*.weights.h5"))), None)


def backbone(name: str, weights: str | None = None) -> keras.Model:
    """The convolutional part alone, random or with `weights` "imagenet"; input [N, H, W, 3], output its last maps."""
    import keras

    shape = (None, None, 3)
    if name == "xception":
        return keras.applications.Xception(weights=weights, include_top=False, input_shape=shape)
    if name == "mobilenet_v3_large":
        return keras.applications.MobileNetV3Large(
            weights=weights, include_top=False, include_preprocessing=False, input_shape=shape
        )
    if name == "efficientnet_b0":
        return keras.applications.EfficientNetB0(weights=weights, include_top=False, input_shape=shape)
    import keras_hub

    if weights == "imagenet":
        return keras_hub.models.ResNetBackbone.from_preset("resnet_18_imagenet")
    return keras_hub.models.ResNetBackbone(**RESNET18, image_shape=shape)


def _pretrained(name: str, weights: str | Path | None) -> tuple[keras.Model, str]:
    """The backbone and where its weights came from ("imagenet", a file's name, or "random")."""
    if weights is None:
        return backbone(name), "random"
    path = None if weights == "imagenet" else find_weights(name, None if weights == "auto" else weights)
    if path is not None:
        network = backbone(name)
        try:
            network.load_weights(path)
        except Exception as error:  # h5py and Keras raise many kinds; the reader needs one
            raise WeightsError(f"weights: {path} does not hold the weights of {name}: {error}") from error
        return network, path.name
    if weights not in ("auto", "imagenet"):
        raise WeightsError(f"weights: {weights} holds no {name}*.weights.h5")
    try:
        with warnings.catch_warnings():
            # Keras finds it odd that a network for any size starts from weights for 224 px; here that is meant.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            return backbone(name, "imagenet"), "imagenet"
    except Exception as error:  # no network, or a proxy's refusal: anything the download can raise
        if weights == "imagenet":
            raise WeightsError(f"weights: ImageNet weights of {name} cannot be downloaded: {error}") from error
        print(f"No ImageNet weights for {name} (offline and FER_WEIGHTS names none): training starts from scratch.")
        return backbone(name), "random"


def build(
    name: str,
    *,
    weights: str | Path | None = "auto",
    dropout: float = 0.4,
    side: int = INPUT_SIZE,
    classes: int = 7,
    precision: str | None = None,
    seed: int = 2013,
) -> keras.Model:
    """One backbone, global average pooling, dropout, and a dense layer of logits.

    Parameters
    ----------
    name : one of `NAMES`.
    weights : "auto" (`FER_WEIGHTS`, then ImageNet online, then random, said aloud), "imagenet" (online or an error),
        a file or folder of `.weights.h5`, or None (random).
    dropout : rate before the dense layer.
    side : pixels at which the backbone works, 48–224 (Xception 71–224). The network's first layer brings its input
        there. Below 96, 72 saves a third to a half of the work, and a face of 48 px loses no detail by it; above, the
        same detail is spread over more places, nearer to the scale that pretraining saw.
    precision : None for Keras' own layers; "float32" or "bfloat16" for layers that train faster and multiply in that
        type (`mixed_layers`).

    Returns
    -------
    keras.Model, input `image` float32 [N, H, W, 3] RGB in 0–255 (96 × 96 wherever this project calls it), output
    `logits` [N, 7].
    `model.initial_weights` says where the backbone's weights came from.

    Raises
    ------
    ValueError for an unknown name, WeightsError for weights that are missing or do not fit.
    """
    if name not in NAMES:
        raise ValueError(f"name: must be one of {', '.join(NAMES)}; got {name!r}")
    check_side(side, name)
    if precision not in (None, *mixed_layers.PRECISIONS):
        raise ValueError(f"precision: must be {' or '.join(mixed_layers.PRECISIONS)} or None; got {precision!r}")
    import keras

    keras.utils.set_random_seed(seed)
    network, origin = _pretrained(name, weights)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, BATCHNORM_MOMENTUM)
    if precision:
        network = mixed_layers.with_fast_layers(network, precision)
    image = keras.Input((None, None, 3), name="image")
    x = image
    if side != INPUT_SIZE:
        x = keras.layers.Resizing(side, side, interpolation="bilinear", name="resize")(x)
    if name == "xception":
        x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(x)
    elif name != "efficientnet_b0":  # EfficientNet scales inside
        x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(x)
    x = network(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")(x)
    model = keras.Model(image, logits, name=name)
    model.initial_weights = origin
    return model


def freeze(model: keras.Model, last: str) -> None:
    """Keep the layers of `model`'s backbone as they are, from its input to the layer `last`, itself included.

    Their weights and BatchNorm statistics do not change, and no gradient is computed below `last`: the first layers
    work on the largest maps and cost up to half of a training step, and edges look alike in any task.

    Raises ValueError when the backbone has no such layer.
    """
    layers = next(layer for layer in model.layers if hasattr(layer, "layers")).layers
    names = [layer.name for layer in layers]
    if last not in names:
        raise ValueError(f"frozen: must be a layer of {model.name}'s backbone, such as {names[-1]}; got {last!r}")
    for layer in layers[: names.index(last) + 1]:
        layer.trainable = False


def take_statistics(model: keras.Model, inputs: Iterable[np.ndarray]) -> None:
    """Replace BatchNorm's statistics by the means over `inputs`, in place; no other weight changes.

    A network that works at another size than before meets maps whose means and variances differ, and layers that
    `freeze` keeps would never learn of it.

    Parameters
    ----------
    inputs : batches as `model` takes them; each counts by its number of rows.
    """
    import keras

    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    seen = 0
    for batch in inputs:
        for layer in layers:
            layer.momentum = seen / (seen + len(batch))
        model(batch, training=True)
        seen += len(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def with_probabilities(model: keras.Model) -> keras.Model:
    """The same network with a softmax on top: output `probabilities` float32 [N, 7]."""
    import keras

    return keras.Model(model.input, keras.layers.Softmax(name="probabilities")(model.output), name=model.name)


def load(run: str, *, side: int | None = None) -> keras.Model:
    """A recorded run's network with its trained weights from `models/<run>/model.weights.h5` (float16 on disk).

    It works at `side` pixels, or at those that it was trained at. Returns the network as `build` does (logits). Raises
    FileNotFoundError when the run has no weights.
    """
    import json

    from fer_utils.models.weights_file import read_weights

    folder = paths.models_dir() / run
    path = folder / "model.weights.h5"
    if not path.is_file():
        raise FileNotFoundError(
            f"run: {path} does not exist; train it with `python -m fer_utils.training.fit {run}`, or choose another run"
        )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = build(base_name(run), weights=None, dropout=config["dropout"], side=side or config["side"])
    read_weights(model, path)
    return model


def mflops(model: keras.Model, *, size: int = INPUT_SIZE) -> float:
    """Millions of multiply-adds of the convolutions and dense layers for one image of `size` × `size`.

    Counted on the traced TensorFlow graph: outputs × kernel size, for every Conv2D, depthwise convolution and MatMul.
    """
    import tensorflow as tf

    step = tf.function(lambda image: model(image, training=False), autograph=False)
    graph = step.get_concrete_function(tf.TensorSpec([1, size, size, 3], tf.float32)).graph
    total = 0
    for operation in graph.get_operations():
        if operation.type not in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            continue
        outputs, kernel = operation.outputs[0].shape.num_elements(), operation.inputs[1].shape
        # A depthwise kernel is [h, w, channels, multiplier]: each output needs h × w products only.
        reach = kernel[:2] if operation.type == "DepthwiseConv2dNative" else kernel[:-1]
        total += outputs * reach.num_elements()
    return total / 1e6
