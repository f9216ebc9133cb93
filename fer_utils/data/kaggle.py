"""FER2013 from Kaggle: attached to a notebook there, or what kagglehub has downloaded (`make data`)."""

import os
import re
from pathlib import Path

from fer_utils import paths
from fer_utils.data.readers import contents

_NAMES = re.compile(r"(?<![a-z])fer(plus)?(?![a-z])|facial-expression-recognition-challenge")  # of folders with FER2013


def find() -> Path | None:
    """A table, archive or folder with FER2013 from Kaggle, else None; attached ones first, tables before pictures."""
    folders = [f for pattern in ("*", "competitions/*", "datasets/*/*") for f in sorted(paths.KAGGLE.glob(pattern))]
    found = [contents(folder) for folder in folders if folder.is_dir() and _NAMES.search(folder.name.lower())]
    if place := min(filter(None, found), key=Path.is_dir, default=None):
        return place
    # The newest version that is complete.
    theirs = Path(os.path.expanduser("~/.cache/kagglehub")) / "datasets/msambare/fer2013"
    versions = [v for v in theirs.glob("versions/*") if v.name.isdigit() and (theirs / f"{v.name}.complete").is_file()]
    return max(versions, key=lambda version: int(version.name), default=None)
