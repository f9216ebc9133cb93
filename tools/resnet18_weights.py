"""ResNet-18's weights from PyTorch, for a machine that cannot download Keras' own.

    pip install torch
    python -m tools.resnet18_weights CHECKPOINT.pth resnet18.weights.h5 [--pixels imagenet]
    FER_WEIGHTS=... python -m fer_utils.training.fit resnet18

The checkpoint is a state dict with torchvision's names (timm's are the same); whatever stands before `conv1.weight` in
them is taken off, the classifier is left out.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import paths
from fer_utils.models import _build as models

if TYPE_CHECKING:
    import keras

__all__ = ["PIXELS", "convert", "plain", "read_state", "torch_name"]

# What the checkpoint's network was shown: mean and standard deviation that were taken off RGB in 0–1.
PIXELS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
PARTS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def torch_name(path: str) -> str:
    """Torchvision's name of a Keras weight: `stack1_block0_0_conv/kernel` → `layer2.0.downsample.0.weight`."""
    layer, part = path.split("/")
    if layer in ("conv1_conv", "conv1_bn"):
        return f"{layer.removeprefix('conv1_')}1.{PARTS[part]}"
    stack, block, number, kind = re.fullmatch(r"stack(\d)_block(\d)_(\d)_(conv|bn)", layer).groups()
    where = f"{kind}{number}" if number != "0" else f"downsample.{int(kind == 'bn')}"
    return f"layer{int(stack) + 1}.{block}.{where}.{PARTS[part]}"


def convert(state: dict[str, np.ndarray], pixels: str = "imagenet") -> keras.Model:
    """The backbone, without its classifier, that computes what the checkpoint's network does.

    Parameters
    ----------
    state : torchvision's names → float arrays; kernels [out, in, height, width].
    pixels : a key of `PIXELS`, what the network was trained on. `models.build` shows it (RGB - 127) / 128 instead, so
        the first kernel and the mean of the normalization behind it take the difference; only the picture's border,
        where the padding's zeros stand for another gray, answers a little differently.

    Raises
    ------
    ValueError when an array is missing or has another shape.
    """
    if pixels not in PIXELS:
        raise ValueError(f"pixels: must be one of {', '.join(PIXELS)}; got {pixels!r}")
    backbone = models.backbone_layers("resnet18")
    arrays = {}
    for weight in backbone.weights:
        name = torch_name(weight.path)
        if name not in state:
            raise ValueError(f"state: must hold {name}; got {', '.join(sorted(state)[:3])} …")
        value = np.asarray(state[name], np.float32)
        value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        if value.shape != tuple(weight.shape):
            raise ValueError(f"state: {name} must have the shape {tuple(weight.shape)} in Keras; got {value.shape}")
        arrays[weight.path] = value
    mean, deviation = (np.asarray(values, np.float32) for values in PIXELS[pixels])
    kernel = arrays["conv1_conv/kernel"]
    arrays["conv1_bn/moving_mean"] = arrays["conv1_bn/moving_mean"] - np.einsum(
        "hwio,i->o", kernel, (127 / 255 - mean) / deviation
    )
    arrays["conv1_conv/kernel"] = kernel * (128 / 255 / deviation)[:, None]
    for weight in backbone.weights:
        weight.assign(arrays[weight.path])
    return backbone


def plain(checkpoint: dict) -> dict:
    """The state dict in a checkpoint, by torchvision's names: without a wrapper, and without a prefix of the names."""
    for wrapper in ("state_dict", "model"):
        checkpoint = checkpoint.get(wrapper, checkpoint)
    names = [name for name in checkpoint if name.endswith("conv1.weight")]  # each block has one; the stem's is shortest
    if not names:
        raise ValueError(f"checkpoint: must hold a ResNet's conv1.weight; got {', '.join(list(checkpoint)[:3])} …")
    prefix = min(names, key=len).removesuffix("conv1.weight")
    return {name.removeprefix(prefix): value for name, value in checkpoint.items()}


def read_state(path: Path) -> dict[str, np.ndarray]:
    """A PyTorch checkpoint's arrays, by torchvision's names. Raises ValueError when it is not a checkpoint."""
    import torch

    try:
        state = plain(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise ValueError(f"checkpoint: must be a PyTorch state dict; {path} is not") from error
    return {name: value.numpy() for name, value in state.items()}


def main(arguments: list[str] | None = None) -> None:
    """Command line: convert a checkpoint."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m tools.resnet18_weights", description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="a PyTorch state dict of ResNet-18")
    parser.add_argument("out", type=Path, help="a file whose name starts with resnet18 and ends with .weights.h5")
    parser.add_argument("--pixels", choices=tuple(PIXELS), default="imagenet", help="what it was trained on")
    options = parser.parse_args(arguments)
    if not (options.out.name.startswith("resnet18") and options.out.name.endswith(".weights.h5")):
        parser.error(f"out: must be called resnet18….weights.h5, so that FER_WEIGHTS finds it; got {options.out.name}")
    try:
        backbone = convert(read_state(options.checkpoint), options.pixels)
    except ImportError:
        parser.error("reading a PyTorch checkpoint needs PyTorch: pip install torch")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with paths.atomic(options.out) as temporary:
        backbone.save_weights(temporary)
    print(f"{options.out}: {backbone.count_params():,} parameters")


if __name__ == "__main__":
    main()
