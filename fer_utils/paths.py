"""Where things are. The only module that reads environment variables.

| variable          | what it names                                             | without it             |
| ----------------- | --------------------------------------------------------- | ---------------------- |
| `FER_DATA`        | FER2013: a file or folder, or the word `sample`           | `data/`, Kaggle, sample |
| `FER_PLUS`        | FER+ votes (`fer2013new.csv`)                              | looked for beside the data |
| `FER_WEIGHTS`     | initial weights: a file or a folder of `.weights.h5`       | `weights/`, Keras' own |
| `FER_CACHE`       | parsed data                                                | `~/.cache/fer_utils`   |
| `FER_FIGURE`      | where notebooks save figures                               | `figure/`              |
| `FER_CHECKPOINTS` | resumable training state                                   | `checkpoints/`         |
| `FER_MODELS`      | recorded runs and ONNX files                               | `models/`              |
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "DATA",
    "FIGURE",
    "MODELS",
    "NOTEBOOKS",
    "ROOT",
    "WEIGHTS",
    "atomic",
    "cache_dir",
    "checkpoint_dir",
    "data_source",
    "figure_dir",
    "models_dir",
    "votes_source",
    "weights_source",
]

# The checkout; of an installed package, which has none, the folder that a program was started in.
ROOT = Path(__file__).resolve().parent.parent
_CHECKOUT = (ROOT / "pyproject.toml").is_file()
ROOT = ROOT if _CHECKOUT else Path.cwd()
NOTEBOOKS = ROOT / "notebooks"
# Installed, MTCNN and the light model lie in the package (pyproject.toml takes them from models/).
MODELS = ROOT / "models" if _CHECKOUT else Path(__file__).resolve().parent / "shipped"
FIGURE = ROOT / "figure"
DATA = ROOT / "data"
WEIGHTS = ROOT / "weights"


def _variable(name: str) -> str | None:
    value = os.environ.get(name, "").strip()
    return value or None


def _folder(name: str, default: Path) -> Path:
    folder = Path(_variable(name) or default).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_source() -> str | None:
    """`FER_DATA` as written: a file, a folder or the word `sample`; None when unset."""
    return _variable("FER_DATA")


def votes_source() -> Path | None:
    """`FER_PLUS`: the FER+ file, None when unset."""
    value = _variable("FER_PLUS")
    return Path(value).expanduser() if value else None


def weights_source() -> Path | None:
    """`FER_WEIGHTS`: a weights file or a folder of them; else `weights/`, which `make weights` fills; None without."""
    value = _variable("FER_WEIGHTS")
    if value:
        return Path(value).expanduser()
    return WEIGHTS if WEIGHTS.is_dir() else None


def cache_dir() -> Path:
    """Folder for parsed data; made on demand."""
    return _folder("FER_CACHE", Path.home() / ".cache" / "fer_utils")


def figure_dir() -> Path:
    """Folder for figures; made on demand."""
    return _folder("FER_FIGURE", FIGURE)


def models_dir() -> Path:
    """Folder of recorded runs and ONNX files; made on demand."""
    return _folder("FER_MODELS", MODELS)


def checkpoint_dir() -> Path:
    """Folder for resumable training state (ignored by git); made on demand."""
    return _folder("FER_CHECKPOINTS", ROOT / "checkpoints")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffixes; move it there when the block succeeds.

    A killed or failing write therefore never leaves a half file under the final name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name.split('.')[0]}-", suffix="".join(path.suffixes), dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private to the user; a finished file gets the permissions that open() would give.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
