"""FER2013 from Kaggle through kagglehub, never in anybody's way: a process of its own, given up when it stalls."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fer_utils import paths
from fer_utils.data.readers import contents

__all__ = ["find", "watch"]

_COMPETITION = "challenges-in-representation-learning-facial-expression-recognition-challenge"
_DATASET = "msambare/fer2013"
_PATIENCE = 8.0  # seconds without a new byte until a download is given up
_RETRY = 3600.0  # seconds for which a failure is remembered, so that eight notebooks wait once

# The competition's own archive is lossless but asks for an account; the data set holds JPEGs and asks for nothing.
_CHILD = f"""
import sys
import kagglehub
try:
    print(kagglehub.competition_download({_COMPETITION!r}, "fer2013.tar.gz", output_dir=sys.argv[1] + "/competition"))
except Exception:
    print(kagglehub.dataset_download({_DATASET!r}, output_dir=sys.argv[1] + "/dataset"))
"""


def find(*, patience: float = _PATIENCE) -> Path | None:
    """A file or folder with FER2013 from Kaggle: downloaded before, or now when network and account allow, else None.

    Without a network this takes at most `patience` seconds, and then nothing for an hour. Downloads (60 to 100 MB) go
    to the cache folder. Nothing is ever asked on the screen.
    """
    # What kagglehub downloaded earlier for anybody: the newest complete version of the data set.
    theirs = Path.home() / ".cache" / "kagglehub" / "datasets" / _DATASET
    versions = [v for v in theirs.glob("versions/*") if v.name.isdigit() and (theirs / f"{v.name}.complete").is_file()]
    if versions:
        return max(versions, key=lambda v: int(v.name))
    folder = paths.cache_dir() / "kaggle"
    done, failed = folder / "found.txt", folder / "failed"
    if done.is_file() and (path := Path(done.read_text(encoding="utf-8").strip())).exists():
        return path
    if failed.is_file() and 0 <= time.time() - failed.stat().st_mtime < _RETRY:
        return None
    if importlib.util.find_spec("kagglehub") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    answer = watch([sys.executable, "-c", _CHILD, str(folder)], folder, patience=patience)
    if answer and (path := Path(answer)).exists() and contents(path):
        with paths.atomic(done) as temporary:
            temporary.write_text(str(path), encoding="utf-8")
        return path
    failed.touch()
    return None


def watch(command: Sequence[str], folder: Path, *, patience: float = _PATIENCE) -> str | None:
    """Run `command` as long as `folder` keeps growing; its last line of output, or None.

    None when the command fails, or when nothing new came for `patience` seconds (the process is then killed).
    """
    last, since = _weight(folder), time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                now = _weight(folder)
                if now != last:
                    last, since = now, time.monotonic()
                elif time.monotonic() - since > patience:
                    process.kill()
    lines = output.strip().splitlines()
    return lines[-1] if process.returncode == 0 and lines else None


def _weight(folder: Path) -> tuple[int, int]:
    """Files and bytes below a folder; a download that lives changes one of them."""
    sizes = []
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
            except OSError:  # renamed while we looked
                continue
    return len(sizes), sum(sizes)
