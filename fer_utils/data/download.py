"""FER2013 from Kaggle: attached to a notebook there, or through kagglehub, never in anybody's way: in a process of its
own, silent, and remembered.
"""

import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from fer_utils import paths
from fer_utils.data.readers import contents

_DATASET = "msambare/fer2013"
_NAMES = re.compile(r"(?<![a-z])fer(plus)?(?![a-z])|facial-expression-recognition-challenge")  # of folders with FER2013
_RETRY = 3600.0  # seconds for which a failure is remembered, so that eight notebooks wait once

# The competition's own archive is lossless but asks for an account; the data set holds JPEGs and asks for nothing.
_CHILD = f"""
import sys
import kagglehub
try:
    competition = "challenges-in-representation-learning-facial-expression-recognition-challenge"
    print(kagglehub.competition_download(competition, "fer2013.tar.gz", output_dir=sys.argv[1] + "/competition"))
except Exception:
    print(kagglehub.dataset_download({_DATASET!r}, output_dir=sys.argv[1] + "/dataset"))
"""


def attached() -> Path | None:
    """FER2013 among the data sets of a Kaggle notebook, a table or archive before pictures; else None."""
    folders = [f for pattern in ("*", "competitions/*", "datasets/*/*") for f in sorted(paths.KAGGLE.glob(pattern))]
    found = [contents(folder) for folder in folders if folder.is_dir() and _NAMES.search(folder.name.lower())]
    return min(filter(None, found), key=Path.is_dir, default=None)


def find() -> Path | None:
    """A file or folder with FER2013 from Kaggle: attached, downloaded before, or now if it can be had, else None.

    kagglehub gives up by itself: 5 s for a connection, 15 s without a byte. A failure is not tried again for an hour.
    Downloads (60 to 100 MB) go to the cache folder. Nothing is ever asked on the screen.
    """
    if place := attached():
        return place
    # What kagglehub downloaded earlier for anybody: the newest complete version of the data set.
    theirs = Path(os.path.expanduser("~/.cache/kagglehub")) / "datasets" / _DATASET
    versions = [v for v in theirs.glob("versions/*") if v.name.isdigit() and (theirs / f"{v.name}.complete").is_file()]
    if versions:
        return max(versions, key=lambda v: int(v.name))
    folder = paths.cache_dir() / "kaggle"
    done, failed = folder / "found.txt", folder / "failed"
    if done.is_file() and (path := Path(done.read_text(encoding="utf-8").strip())).exists():
        return path
    lately = failed.is_file() and 0 <= time.time() - failed.stat().st_mtime < _RETRY
    if lately or importlib.util.find_spec("kagglehub") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    child = subprocess.run([sys.executable, "-c", _CHILD, str(folder)], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True)  # fmt: skip
    path = Path((child.stdout.splitlines() or [""])[-1])
    if child.returncode == 0 and path.exists() and contents(path):
        with paths.atomic(done) as temporary:
            temporary.write_text(str(path), encoding="utf-8")
        return path
    failed.touch()
    return None
