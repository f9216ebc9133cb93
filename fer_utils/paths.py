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

import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = (_PACKAGE.parent / "pyproject.toml").is_file()
# Installed, there is no checkout: the folder that a program was started in, and the models that lie in the package.
ROOT = _PACKAGE.parent if _CHECKOUT else Path.cwd()
MODELS = ROOT / "models" if _CHECKOUT else _PACKAGE / "shipped"
NOTEBOOKS = ROOT / "notebooks"
FIGURE = ROOT / "figure"
DATA = ROOT / "data"
KAGGLE = Path("/kaggle/input")  # where Kaggle's notebooks find their data, read-only
WEIGHTS = ROOT / "weights"


def _variable(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _place(name: str, default: Path | None) -> Path | None:
    place = _variable(name) or default
    return Path(place).expanduser() if place else None


def _folder(name: str, default: Path) -> Path:
    folder = _place(name, default).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_source() -> str | None:
    """`FER_DATA` as written: a file, a folder or the word `sample`; None when unset."""
    return _variable("FER_DATA")


def votes_source() -> Path | None:
    """`FER_PLUS`: the FER+ file, None when unset."""
    return _place("FER_PLUS", None)


def weights_source() -> Path | None:
    """`FER_WEIGHTS`: a weights file or a folder of them; else `weights/`, which `make weights` fills; None without."""
    return _place("FER_WEIGHTS", WEIGHTS if WEIGHTS.is_dir() else None)


def cache_dir() -> Path:
    """Folder for parsed data; made on demand, among the temporary files (said once) where it cannot be written."""
    try:
        folder = _folder("FER_CACHE", Path("~/.cache/fer_utils"))
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        return _temporary_cache(str(error))


@functools.cache
def _temporary_cache(reason: str) -> Path:
    folder = Path(tempfile.gettempdir(), f"fer_utils-{getattr(os, 'getuid', int)()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    print(f"note: parsed data is kept in {folder} ({reason}); FER_CACHE names another folder", file=sys.stderr)
    return folder


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
    """Yield a temporary path beside `path`; what is there when the block succeeds moves to it, never half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.urandom(4).hex()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
