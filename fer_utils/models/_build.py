"""The four backbones under one head, in Keras 3 on any backend (only `precision` needs TensorFlow).

Each takes RGB in 0–255 and scales it in its own first layers, so that no caller can get the scaling wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import paths
from fer_utils.faces import INPUT_SIZE
from fer_utils.models import cpu_layers, float16

if TYPE_CHECKING:
    import keras

TITLES = {"xception": "Xception", "mobilenet_v3_large": "MobileNetV3-Large",
          "efficientnet_b0": "EfficientNet-B0", "resnet18": "ResNet-18"}
BACKBONES = tuple(TITLES)

# Keras sets MobileNetV3's momentum to .999 (its statistics never arrive in a short run); .97 follows within an epoch.
BATCHNORM_MOMENTUM = 0.97
# Xception's smallest input is 71 px; the others reduce an image to a 32nd. Pretraining saw no face larger than 224 px.
SMALLEST_IMAGES, LARGEST_IMAGE = dict.fromkeys(BACKBONES, 48) | {"xception": 71}, 224
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANDOM = {"name": "random", "sha256": None}
RESNET18 = dict(input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
                stackwise_num_blocks=[2, 2, 2, 2], stackwise_num_strides=[1, 2, 2, 2], block_type="basic_block")


class WeightsError(ValueError):
    """Pretrained weights that are missing or do not fit."""


def title(name: str) -> str:
    """What tables and figures call the run or model file `name`, which begins with one of `BACKBONES` (ValueError).

    Examples
    --------
    >>> title("xception_aligned")
    'Xception, aligned faces'
    """
    backbone = next((each for each in BACKBONES if f"{name}_".startswith(f"{each}_")), None)
    if backbone is None:
        raise ValueError(f"name: must begin with one of {', '.join(BACKBONES)}; got {name!r}")
    rest = name[len(backbone) + 1 :].replace("_", " ").replace("aligned", "aligned faces")
    return TITLES[backbone] + (f", {rest}{' px' * rest.isdigit()}" if rest else "")


def _application(name: str, weights: str | None = None) -> keras.Model:
    import keras

    kinds = {"xception": keras.applications.Xception, "efficientnet_b0": keras.applications.EfficientNetB0,
             "mobilenet_v3_large": keras.applications.MobileNetV3Large}
    options = {"include_preprocessing": False} if name == "mobilenet_v3_large" else {}
    return kinds[name](weights=weights, include_top=False, input_shape=(None, None, 3), **options)


def _backbone(name: str) -> keras.Model:
    """A backbone's convolutional part, with random weights: RGB [N, H, W, 3] → its last feature maps.

    The input is (RGB - 127) / 128, for Xception RGB / 127.5 - 1; EfficientNet-B0 scales RGB in 0–255 itself.
    """
    import keras

    if name == "resnet18":
        import keras_hub

        return keras_hub.models.ResNetBackbone(**RESNET18, image_shape=(None, None, 3))
    if name != "efficientnet_b0":
        return _application(name)

    class Normalization(keras.layers.Normalization):  # weight files name layers by their class
        def call(self, inputs):
            self.finalize_state()  # Keras' own layer does it when it is built or loaded only, not after set_weights
            return super().call(inputs)

    def replace(layer: keras.Layer) -> keras.Layer:
        kind = Normalization if isinstance(layer, keras.layers.Normalization) else type(layer)
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(_application(name), clone_function=replace)


def _take_rgb_127(network: keras.Model) -> None:
    """Let a ResNet that was trained on ImageNet's (RGB / 255 - mean) / deviation take (RGB - 127) / 128, in place.

    The first kernel and the mean of the BatchNorm behind it take the difference; only at the image's border, where
    zeros are padded, a different gray is seen.
    """
    kernel, statistic = network.get_layer("conv1_conv").kernel, network.get_layer("conv1_bn").moving_mean
    mean, deviation = np.float32(IMAGENET_MEAN), np.float32(IMAGENET_DEVIATION)
    shift = (127 / 255 - mean) / deviation
    statistic.assign(np.asarray(statistic) - np.einsum("hwio,i->o", kernel, shift))
    kernel.assign(np.asarray(kernel) * (128 / 255 / deviation)[:, None])


def _imagenet(name: str) -> keras.Model:
    """The backbone with Keras' ImageNet weights, for the same pixels as `_backbone(name)`."""
    import keras

    if name == "resnet18":
        import keras_hub

        network = keras_hub.models.ResNetBackbone.from_preset("resnet_18_imagenet")
        _take_rgb_127(network)
        return network
    with warnings.catch_warnings():
        # Keras finds it odd that a network for any size starts from weights for 224 px; here that is meant.
        warnings.filterwarnings("ignore", message="`input_shape` is undefined")
        source = _application(name, "imagenet")
    if name != "efficientnet_b0":
        return source
    # Keras puts one more Rescaling behind the Normalization of these weights: divide its variance instead.
    network = _backbone(name)
    network.set_weights(source.get_weights())
    scale = [layer for layer in source.layers if isinstance(layer, keras.layers.Rescaling)][1].scale
    norm = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    norm.adapt_variance.assign(keras.ops.divide(norm.adapt_variance, keras.ops.square(scale)))
    return network


def _pretrained(name: str, weights: str | Path | None) -> tuple[keras.Model, dict[str, str | None]]:
    """The backbone, and the name and hash of what its weights came from."""
    if weights is None:
        return _backbone(name), RANDOM
    online = weights in ("auto", "imagenet")
    source = paths.weights_source() if weights == "auto" else None if online else Path(weights)
    path = source if not source or source.is_file() else min(source.glob(f"{name}*.weights.h5"), default=None)
    if source and not path and not (online and source.is_dir()):
        raise WeightsError(f"weights: {source} is no file and holds no {name}*.weights.h5")
    if path:
        network = _backbone(name)
        try:
            network.load_weights(path)
        except Exception as error:  # h5py and Keras raise many kinds; the reader needs one
            raise WeightsError(f"weights: {path} does not hold the weights of {name}: {error}") from error
        return network, {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    try:
        return _imagenet(name), {"name": "imagenet", "sha256": None}
    except Exception as error:  # no network, or a proxy's refusal: anything the download can raise
        if weights == "imagenet":
            raise WeightsError(f"weights: ImageNet weights of {name} cannot be downloaded: {error}") from error
        print(f"No ImageNet weights for {name} (offline and FER_WEIGHTS names none): training starts from scratch.")
        return _backbone(name), RANDOM


def build(backbone: str, *, weights: str | Path | None = "auto", image_size: int = INPUT_SIZE, dropout: float = 0.4,
          classes: int = 7, precision: str | None = None, seed: int = 2013) -> keras.Model:
    """One backbone, global average pooling, dropout, and a dense layer of logits.

    Parameters
    ----------
    backbone : one of `BACKBONES`.
    weights : "auto" (`FER_WEIGHTS`, then ImageNet online, then random, said aloud), "imagenet" (online), a file or
        folder of `.weights.h5`, or None (random). WeightsError for those that are missing or do not fit.
    image_size : pixels at which the backbone works, 48–224 (Xception 71–224); unless it is 96, the first layer resizes.
    dropout : rate before the dense layer.
    classes : number of logits.
    precision : None for Keras' own layers under Keras' dtype policy (`mixed_bfloat16` on a GPU); "float32" or
        "bfloat16" for layers that train faster on a CPU and multiply in that type (`cpu_layers`; TensorFlow only);
        "auto" for the faster of the two where TensorFlow has only a CPU, else None.
    seed : of random weights and dropout; also Keras' global one.

    The model's input is `image` float32 [N, H, W, 3], RGB in 0–255 (96 × 96 wherever this project calls it), its
    output `logits` float32 [N, classes]; `model.initial_weights` is {"name": "imagenet", a file's or "random",
    "sha256": the file's or None}.

    Examples
    --------
    >>> build("mobilenet_v3_large", weights=None)(faces.to_inputs(fer.images[:2])).shape
    TensorShape([2, 7])
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone: must be one of {', '.join(BACKBONES)}; got {backbone!r}")
    if not (least := SMALLEST_IMAGES[backbone]) <= image_size <= LARGEST_IMAGE:
        raise ValueError(f"image_size: must lie in {least} … {LARGEST_IMAGE} px for {backbone}; got {image_size}")
    import keras

    allowed = (None, *(cpu_layers.PRECISIONS if keras.backend.backend() == "tensorflow" else ()))
    if precision == "auto":
        fast = len(allowed) > 1 and keras.distribution.list_devices()[0].lower().startswith("cpu")
        precision = cpu_layers.native_precision() if fast else None
    if precision not in allowed:
        known = ("auto", *allowed)
        raise ValueError(f"precision: must be one of {known} on {keras.backend.backend()}; got {precision!r}")
    keras.utils.set_random_seed(seed)
    network, origin = _pretrained(backbone, weights)
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, BATCHNORM_MOMENTUM)
    if precision:
        network = cpu_layers.with_fast_layers(network, precision)
    image = x = keras.Input((None, None, 3), name="image")
    if image_size != INPUT_SIZE:
        x = keras.layers.Resizing(image_size, image_size, dtype="float32", name="resize")(x)
    if backbone != "efficientnet_b0":
        scale, offset = (1 / 127.5, -1.0) if backbone == "xception" else (1 / 128, -127 / 128)
        x = keras.layers.Rescaling(scale, offset=offset, dtype="float32", name="scale")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(network(x))
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    model = keras.Model(image, keras.layers.Dense(classes, name="logits", dtype="float32")(x), name=backbone)
    model.initial_weights = origin
    return model


def reestimate_batchnorm(model: keras.Model, inputs: Iterable[np.ndarray]) -> None:
    """Replace BatchNorm's statistics by their means over `inputs`, in place, without dropout; no weight changes.

    Averaged weights (EMA) need it: Keras averages trainable weights only, so the statistics are another network's.
    `inputs`: batches as the model takes them, such as float32 [N, 96, 96, 3] in 0–255; each counts by its length.

    Examples
    --------
    >>> starts = range(0, 1280, 64)
    >>> reestimate_batchnorm(model, (faces.to_inputs(images[start : start + 64]) for start in starts))
    """
    import keras

    layers, seen = model._flatten_layers(), 0
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    drops = [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]  # drop-connect too
    usual = [(layer, "momentum", layer.momentum) for layer in norms] + [(layer, "rate", layer.rate) for layer in drops]
    for layer in drops:
        layer.rate = 0.0
    for batch in inputs:
        for layer in norms:
            layer.momentum = seen / (seen + len(batch))
        model(batch, training=True)
        seen += len(batch)
    for layer, name, value in usual:
        setattr(layer, name, value)


def load(run: str) -> keras.Model:
    """The Keras model (logits, see `build`) of the stored run `models/runs/<run>/`; FileNotFoundError without weights.

    Examples
    --------
    >>> load("xception").output_shape
    (None, 7)
    """
    folder = paths.models_dir() / "runs" / run
    path = folder / "model.weights.h5"
    if not path.is_file():
        raise FileNotFoundError(f"run: {path} does not exist; `python -m fer_utils.training {run}` trains it")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["config"]
    model = build(config["backbone"], weights=None, dropout=config["dropout"], image_size=config["image_size"])
    float16.read_weights(model, path)
    return model


def macs(model: keras.Model, *, image_size: int = INPUT_SIZE) -> float:
    """Millions of multiply-adds (M MACs) in convolutions and dense layers for an RGB image of `image_size` pixels.

    Examples
    --------
    >>> round(macs(build("xception", weights=None)))
    826
    """
    return _macs(model, (1, image_size, image_size, 3)) / 1e6


def _macs(model: keras.Model, shape: tuple[int, ...]) -> int:
    """Output positions × kernel size, summed over the layers. A nested network takes the output of the layer before."""
    import keras

    nested, layers = [isinstance(layer, keras.Model) for layer in model.layers[1:]], list(pairwise(model.layers))
    tensors = [pair[not inner].output for pair, inner in zip(layers, nested, strict=True)]
    shapes = [spec.shape for spec in keras.Model(model.inputs, tensors).compute_output_spec(keras.KerasTensor(shape))]
    total = 0
    for (_, layer), inner, own in zip(layers, nested, shapes, strict=True):
        kernels = (math.prod(weight.shape) for weight in layer.weights if len(weight.shape) > 1)
        total += _macs(layer, own) if inner else math.prod(own[1:-1]) * sum(kernels)
    return total
