"""From the packages' arrays to the backbones' initial weights.

Each function returns the network as `models.build` makes it (input RGB in 0–255) with its backbone filled. PyTorch's
kernels are [out, in, height, width], Keras' [height, width, in, out].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import models

if TYPE_CHECKING:
    import keras

__all__ = ["backbone_of", "efficientnet_b0", "mobilenet_v3_large", "resnet18", "xception"]

Arrays = Mapping[str, np.ndarray]

# EfficientNet-Lite0 sees (RGB - 127) / 128; its blocks are numbered through, EfficientNet's by stage and letter.
LITE0_MEAN, LITE0_DEVIATION = 127 / 255, 128 / 255
STAGES = (1, 2, 2, 3, 3, 4, 1)
# The block of Lite0 that each of MobileNetV3-Large's blocks 1–14 takes its channels from: the residual widths agree
# (16, 24, 40, 80, 112). Where MobileNetV3 has one block more, it repeats its neighbour at a part of the strength.
SOURCES = (1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 11, 12, 13)
REPEATED_STRENGTH = 0.3
# A gate starts at sigmoid(3) = .95 or hard_sigmoid(3) = 1.
GATE_BIAS, GATE_SCALE, SEED = 3.0, 0.1, 2013

RESNET_PARTS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def backbone_of(model: keras.Model) -> keras.Model:
    """The convolutional part inside a network of `models.build`."""
    return next(layer for layer in model.layers if hasattr(layer, "layers"))


def _build(backbone: str) -> keras.Model:
    import keras

    keras.utils.clear_session()  # else the automatic names of layers, which the file holds, count on from those before
    return models.build(backbone, weights=None)


def _conv(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0)


def _depthwise(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 0, 1)


def _norm(arrays: Arrays, name: str, channels: slice | np.ndarray = slice(None)) -> list[np.ndarray]:
    """BatchNorm's gamma, beta, mean and variance."""
    return [arrays[f"{name}.{part}"][channels] for part in ("weight", "bias", "running_mean", "running_var")]


def _open_gates(network: keras.Model) -> None:
    """Squeeze-and-excitation, which Lite0 lacks: random kernels that depend on `SEED` alone, gates nearly open."""
    import keras

    keras.utils.set_random_seed(SEED)
    for layer in network.layers:
        expands = layer.name.endswith(("se_expand", "squeeze_excite_conv_1"))
        if expands or layer.name.endswith(("se_reduce", "squeeze_excite_conv")):
            kernel = layer.kernel_initializer.clone()(layer.kernel.shape)
            layer.kernel.assign(kernel * GATE_SCALE if expands else kernel)
            layer.bias.assign(keras.ops.full_like(layer.bias, GATE_BIAS if expands else 0))


def xception(file: Path) -> keras.Model:
    """Xception of a `.keras` file in which it is the frozen base: its 234 arrays are ImageNet's."""
    import keras

    base = keras.saving.load_model(file, compile=False).get_layer("xception")
    model = _build("xception")
    backbone_of(model).set_weights(base.get_weights())
    return model


def efficientnet_b0(lite0: Arrays) -> keras.Model:
    """EfficientNet-B0 from Lite0: the same convolutions and BatchNorms (245 arrays), and open gates."""
    model = _build("efficientnet_b0")
    layer = backbone_of(model).get_layer
    layer("stem_conv").set_weights([_conv(lite0["_conv_stem.weight"])])
    layer("stem_bn").set_weights(_norm(lite0, "_bn0"))
    layer("top_conv").set_weights([_conv(lite0["_conv_head.weight"])])
    layer("top_bn").set_weights(_norm(lite0, "_bn1"))
    names = [f"block{stage}{'abcd'[i]}_" for stage, blocks in enumerate(STAGES, 1) for i in range(blocks)]
    for number, name in enumerate(names):
        source = f"_blocks.{number}."
        if number:  # the first block does not expand
            layer(name + "expand_conv").set_weights([_conv(lite0[source + "_expand_conv.weight"])])
            layer(name + "expand_bn").set_weights(_norm(lite0, source + "_bn0"))
        layer(name + "dwconv").set_weights([_depthwise(lite0[source + "_depthwise_conv.weight"])])
        layer(name + "bn").set_weights(_norm(lite0, source + "_bn1"))
        layer(name + "project_conv").set_weights([_conv(lite0[source + "_project_conv.weight"])])
        layer(name + "project_bn").set_weights(_norm(lite0, source + "_bn2"))
    _open_gates(backbone_of(model))
    mean, variance, count = layer("normalization").get_weights()
    mean[:], variance[:] = LITE0_MEAN, LITE0_DEVIATION**2  # of RGB / 255
    layer("normalization").set_weights([mean, variance, count])
    return model


def _strongest(strength: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` strongest channels, ascending."""
    return np.sort(np.argsort(-strength)[:count])


def _resized(kernel: np.ndarray, side: int) -> np.ndarray:
    """A depthwise kernel of 3 or 5 pixels cropped or padded with zeros to `side`."""
    edge = (kernel.shape[0] - side) // 2
    if edge > 0:
        return kernel[edge:-edge, edge:-edge]
    return np.pad(kernel, ((-edge, -edge), (-edge, -edge), (0, 0), (0, 0)))


def mobilenet_v3_large(lite0: Arrays, inputs: Iterable[np.ndarray]) -> keras.Model:
    """MobileNetV3-Large from the strongest channels of Lite0's blocks.

    Lite0's BatchNorm statistics do not fit what is left of it, so they are re-estimated on `inputs`: batches of float32
    [N, H, W, 3], RGB in 0–255.
    """
    model = _build("mobilenet_v3_large")
    network = backbone_of(model)
    layer = network.get_layer
    projection = lite0["_blocks.0._project_conv.weight"]
    hidden = _strongest(np.abs(lite0["_blocks.0._bn1.weight"]) * np.linalg.norm(projection[:, :, 0, 0], axis=0), 16)
    layer("conv").set_weights([_conv(lite0["_conv_stem.weight"])[..., hidden]])
    layer("conv_bn").set_weights(_norm(lite0, "_bn0", hidden))
    kernel = _depthwise(lite0["_blocks.0._depthwise_conv.weight"])
    layer("expanded_conv_depthwise").set_weights([kernel[:, :, hidden]])
    layer("expanded_conv_depthwise_bn").set_weights(_norm(lite0, "_blocks.0._bn1", hidden))
    layer("expanded_conv_project").set_weights([_conv(projection)[:, :, hidden]])
    layer("expanded_conv_project_bn").set_weights(_norm(lite0, "_blocks.0._bn2"))
    for number, block in enumerate(SOURCES, 1):
        name, source = f"expanded_conv_{number}_", f"_blocks.{block}."
        inputs_, width = layer(name + "expand").kernel.shape[2:]
        outputs = layer(name + "project").kernel.shape[3]
        projection = lite0[source + "_project_conv.weight"]
        norms = np.linalg.norm(projection[:, :, 0, 0], axis=0)
        hidden = _strongest(np.abs(lite0[source + "_bn1.weight"]) * norms, width)
        expansion = _conv(lite0[source + "_expand_conv.weight"])
        layer(name + "expand").set_weights([expansion[:, :, :inputs_, hidden]])
        layer(name + "expand_bn").set_weights(_norm(lite0, source + "_bn0", hidden))
        kernel = _depthwise(lite0[source + "_depthwise_conv.weight"])[:, :, hidden]
        layer(name + "depthwise").set_weights([_resized(kernel, layer(name + "depthwise").kernel.shape[0])])
        layer(name + "depthwise_bn").set_weights(_norm(lite0, source + "_bn1", hidden))
        layer(name + "project").set_weights([_conv(projection)[:, :, hidden, :outputs]])
        gamma, beta, mean, variance = _norm(lite0, source + "_bn2", slice(outputs))
        repeated = number > 1 and block == SOURCES[number - 2]
        strength = np.float32(REPEATED_STRENGTH if repeated else 1)
        layer(name + "project_bn").set_weights([gamma * strength, beta * strength, mean, variance])
    _open_gates(network)
    inputs_, width = layer("conv_1").kernel.shape[2:]
    hidden = _strongest(np.abs(lite0["_blocks.14._bn0.weight"]), width)
    layer("conv_1").set_weights([_conv(lite0["_blocks.14._expand_conv.weight"])[:, :, :inputs_, hidden]])
    layer("conv_1_bn").set_weights(_norm(lite0, "_blocks.14._bn0", hidden))
    import keras

    # In float64, so that the file is the same to the byte on every processor: its hash stands in a run's record.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    exact = models.build("mobilenet_v3_large", weights=None)
    keras.config.set_dtype_policy(policy)
    exact.set_weights(model.get_weights())
    models.reestimate_batchnorm(exact, inputs)
    model.set_weights(exact.get_weights())
    return model


def _torch_name(path: str) -> str:
    """Torchvision's name of a Keras weight: `stack1_block0_0_conv/kernel` → `layer2.0.downsample.0.weight`."""
    layer, part = path.split("/")
    if layer in ("conv1_conv", "conv1_bn"):
        return f"{layer.removeprefix('conv1_')}1.{RESNET_PARTS[part]}"
    stack, block, number, kind = re.fullmatch(r"stack(\d)_block(\d)_(\d)_(conv|bn)", layer).groups()
    where = f"{kind}{number}" if number != "0" else f"downsample.{int(kind == 'bn')}"
    return f"layer{int(stack) + 1}.{block}.{where}.{RESNET_PARTS[part]}"


def resnet18(state: Arrays) -> keras.Model:
    """ResNet-18 from torchvision's arrays, named `layers.…`; the classifier is left out.

    The checkpoint's network saw RGB in 0–1, `models.build` shows it (RGB - 127) / 128: the first kernel and the mean of
    the normalization behind it take the difference. Only the border of the image, where the padding's zeros stand for
    another gray, comes out a little differently.
    """
    model = _build("resnet18")
    network = backbone_of(model)
    for weight in network.weights:
        array = state["layers." + _torch_name(weight.path)]
        weight.assign(_conv(array) if array.ndim == 4 else array)
    kernel, mean = network.get_layer("conv1_conv").kernel, network.get_layer("conv1_bn").moving_mean
    mean.assign(mean - np.einsum("hwio->o", np.asarray(kernel)) * np.float32(127 / 255))
    kernel.assign(kernel * np.float32(128 / 255))
    return model
