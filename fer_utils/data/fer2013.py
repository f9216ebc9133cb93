"""FER2013 and FER+ as arrays, from whatever form the user's copy has, cached after the first load."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer_utils import paths
from fer_utils.data import fer_csv
from fer_utils.data import readers as fer_files
from fer_utils.data import download as kaggle
from fer_utils.data.cache import cached, stamp
from fer_utils.data.fer_csv import CLASSES, SIDE, SPLITS, VOTE_NAMES, DataError, Raw

__all__ = ["CLASSES", "SIDE", "SPLITS", "VOTE_CLASSES", "VOTE_NAMES", "DataError", "Fer2013", "describe", "duplicates",
           "image_hashes", "cross_split_duplicates", "load", "majority_vote", "training_indices"]

VOTE_CLASSES = (6, 3, 5, 4, 0, 1, 2)
"""Index into CLASSES of the first seven columns of the votes; contempt, unknown and NF have none."""

VOTES_FILE = "fer2013new.csv"
OFFICIAL = (28709, 3589, 3589)  # rows of the three splits


@dataclass(frozen=True)
class Fer2013:
    """FER2013, or a part of it.

    images: uint8[N, 48, 48], gray 0–255. labels: int8[N], index into CLASSES, -1 = unlabelled. usage: int8[N], index
    into SPLITS. votes: uint8[N, 10], FER+ votes in the order VOTE_NAMES, or None. origin: where it came from.
    is_sample: the drawn sample, not FER2013. official_splits: False when PublicTest and PrivateTest could not be told
    apart. rows: int32[N], row in the loaded file. notes: remarks for `describe`.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    votes: np.ndarray | None
    origin: str
    is_sample: bool
    official_splits: bool
    rows: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: np.ndarray) -> Fer2013:
        """The rows of an index array or a mask, in that order."""
        return replace(self, images=self.images[index], labels=self.labels[index], usage=self.usage[index],
                       votes=None if self.votes is None else self.votes[index], rows=self.rows[index])

    def split(self, split: str) -> Fer2013:
        """The rows of one split ("Training", "PublicTest" or "PrivateTest"), in file order."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
        return self.take(self.usage == SPLITS.index(split))

    def counts(self) -> np.ndarray:
        """int[3, 7]: labelled rows by split and class."""
        known = self.labels >= 0
        table = np.zeros((len(SPLITS), len(CLASSES)), int)
        np.add.at(table, (self.usage[known], self.labels[known]), 1)
        return table

    @property
    def title_note(self) -> str:
        """To be added to every title drawn from this data: empty for FER2013 itself."""
        return " (drawn sample, not FER2013)" if self.is_sample else ""


def load(source: str | Path | None = None, *, votes: str | Path | None = None, cache: bool = True) -> Fer2013:
    """Load FER2013 from the first place that has it: `source`, FER_DATA, data/, Kaggle, the embedded sample.

    `source` is a file or a folder in any form that FER2013 comes in, or "sample" for the embedded sample. `votes` is
    FER+'s fer2013new.csv; without it FER_PLUS is used, or the file of that name beside the data, in FER_DATA's folder
    or in data/. `cache=False` parses anew and stores nothing.

    Raises DataError, naming file and row, when data or votes are missing or broken.
    """
    place = _find(source)
    if place is None:
        if votes is not None:
            raise DataError(f"votes must be None for the embedded sample, which brings its own; got {votes}")
        return _sample(cache=cache)
    path = fer_files.contents(place)
    if path is None:
        raise DataError(f"{place} holds no FER2013; expected fer2013.csv, icml_face_data.csv, an archive of one of "
                        "them, or train/<class>/*.jpg and test/<class>/*.jpg")
    raw = cached(path, stamp(path), lambda: _pack(fer_files.read(path)), cache=cache)
    fer = Fer2013(raw["images"], raw["labels"], raw["split"], None, str(path), False, bool(raw["flags"][0]),
              np.arange(len(raw["labels"]), dtype=np.int32))
    file = _votes_file(votes, (place, path))
    if file is None:
        return fer
    return _join(fer, file, asked=votes is not None or paths.votes_source() is not None,
                 official_order=bool(raw["flags"][1]), cache=cache)


def image_hashes(images: np.ndarray) -> np.ndarray:
    """uint64[N]: BLAKE2b of each image's pixels; equal images have equal hashes on every machine."""
    digest = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in images)
    return np.frombuffer(digest, "<u8").astype(np.uint64)


def cross_split_duplicates(fer: Fer2013) -> np.ndarray:
    """bool[N]: Training rows whose exact image also stands in PublicTest or PrivateTest."""
    hashes = image_hashes(fer.images)
    return (fer.usage == 0) & np.isin(hashes, hashes[fer.usage != 0])


def training_indices(fer: Fer2013) -> np.ndarray:
    """int[M]: the rows to train on: Training, labelled, and not in a test split as well."""
    return np.flatnonzero((fer.usage == 0) & (fer.labels >= 0) & ~cross_split_duplicates(fer))


def duplicates(fer: Fer2013) -> dict[str, int]:
    """Count exact duplicates.

    unique_images: distinct images. groups: images that stand more than once. groups_across_splits: those of them that
    stand in several splits. conflicting_groups: those with several labels. private_in_training: PrivateTest rows whose
    image also stands in Training. leaked_training_rows: what `cross_split_duplicates` marks. blank_images: rows of one gray value.
    """
    hashes = image_hashes(fer.images)
    _, group, size = np.unique(hashes, return_inverse=True, return_counts=True)

    def distinct(values: np.ndarray) -> np.ndarray:
        pairs = np.unique(np.stack([group, values.astype(np.int64)], 1), axis=0)
        return np.bincount(pairs[:, 0], minlength=len(size))

    flat = fer.images.reshape(len(fer), -1)
    return {
        "unique_images": len(size),
        "groups": int((size > 1).sum()),
        "groups_across_splits": int((distinct(fer.usage) > 1).sum()),
        "conflicting_groups": int((distinct(fer.labels) > 1).sum()),
        "private_in_training": int(((fer.usage == 2) & np.isin(hashes, hashes[fer.usage == 0])).sum()),
        "leaked_training_rows": int(cross_split_duplicates(fer).sum()),
        "blank_images": int((flat.max(1) == flat.min(1)).sum()),
    }


def majority_vote(votes: np.ndarray, *, share: float = 0.5) -> np.ndarray:
    """The class on which FER+'s voters agree: int [N], -1 where no class has more than `share` of a face's votes.

    `votes`: uint8 [N, 10] in the order VOTE_NAMES; a majority for contempt, unknown or "not a face" is no class here.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must lie in [0, 1); received {share}")
    top = votes.argmax(1)
    clear = (votes.max(1, initial=0) > share * votes.sum(1)) & (top < len(VOTE_CLASSES))
    return np.where(clear, np.array([*VOTE_CLASSES, -1, -1, -1])[top], -1)


def describe(fer: Fer2013) -> str:
    """A few lines of plain text: what was found where, and what the reader should know about it."""
    sizes = [int((fer.usage == i).sum()) for i in range(len(SPLITS))]
    title = "Embedded drawn sample, not FER2013" if fer.is_sample else "FER2013"
    parts = ", ".join(f"{name} {n:,}" for name, n in zip(SPLITS, sizes, strict=True))
    lines = [f"{title}: {len(fer):,} images of {SIDE} × {SIDE} ({parts})", f"from {fer.origin}"]
    if (fer.labels < 0).any():
        lines.append(f"{int((fer.labels < 0).sum()):,} images carry no label")
    if not fer.official_splits:
        lines.append("PublicTest and PrivateTest cannot be told apart in this copy: its test images are dealt half and "
                     "half, so no figure from them compares with published ones")
    elif not fer.is_sample and tuple(sizes) != OFFICIAL:
        lines.append(f"not the whole of FER2013: its splits hold {', '.join(f'{n:,}' for n in OFFICIAL)} images")
    lines.append("no FER+ votes" if fer.votes is None else
                 f"{'simulated' if fer.is_sample else 'FER+'} votes: {int(fer.votes.any(1).sum()):,} images")
    return "\n".join([*lines, *fer.notes])


def _find(source: str | Path | None) -> Path | None:
    """The file or folder to load, or None for the sample."""
    named = source if source is not None else paths.data_source()
    if named is None:
        return (fer_files.contents(paths.DATA) if paths.DATA.is_dir() else None) or kaggle.find()
    if str(named) == "sample":
        return None
    place = Path(named).expanduser()
    if not place.exists() and (paths.ROOT / place).exists():
        place = paths.ROOT / place  # a relative FER_DATA was meant from the project's folder; notebooks run elsewhere
    if not place.exists():
        by = "source" if source is not None else "FER_DATA"
        raise DataError(f"{by} must be a file or folder with FER2013, or 'sample'; {place.absolute()} does not exist")
    return place.resolve()


# --------------------------------------------------------------------------------------------------- FER+ votes


def _votes_file(votes: str | Path | None, near: tuple[Path, ...]) -> Path | None:
    """The argument, FER_PLUS, or fer2013new.csv beside the data, in FER_DATA's folder or in data/."""
    asked = votes if votes is not None else paths.votes_source()
    if asked is not None:
        file = Path(asked).expanduser()
        if not file.is_file():
            raise DataError(f"votes must be FER+'s {VOTES_FILE}; {file} is no file")
        return file
    named = paths.data_source()
    places = [*near, *([Path(named).expanduser()] if named else []), paths.DATA]
    folders = [place if place.is_dir() else place.parent for place in places]
    return next((folder / VOTES_FILE for folder in folders if (folder / VOTES_FILE).is_file()), None)


def _misfit(fer: Fer2013, votes: np.ndarray, split: np.ndarray, *, official_order: bool) -> str | None:
    """Why the votes cannot belong to these rows, or None."""
    if not official_order:
        return "this copy of FER2013 does not tell the row of each image"
    if len(split) != len(fer):
        return f"it has {len(split):,} rows, the data {len(fer):,}"
    wrong = np.flatnonzero(split != fer.usage)
    if wrong.size:
        return f"its Usage differs from the data's in {wrong.size:,} rows, first in line {wrong[0] + 2}"
    faces = votes[:, :7].any(1)
    agreement = (np.array(VOTE_CLASSES)[votes[faces, :7].argmax(1)] == fer.labels[faces]).mean() if faces.any() else 0
    # Right rows agree on 63 %, shuffled ones on less than 20 %.
    return None if agreement > 0.4 else f"its majority agrees with only {agreement:.0%} of the labels"


def _join(fer: Fer2013, file: Path, *, asked: bool, official_order: bool, cache: bool) -> Fer2013:
    """Attach FER+ votes by row. A file that was asked for must fit; one that merely lies there is noted if not."""
    found = cached(file.resolve(), stamp(file),
                   lambda: dict(zip(("votes", "split"), fer_csv.read_votes(file), strict=True)), cache=cache)
    problem = _misfit(fer, found["votes"], found["split"], official_order=official_order)
    if problem is None:
        return replace(fer, votes=found["votes"])
    if asked:
        raise DataError(f"{file}: cannot be joined to {fer.origin}: {problem}")
    return replace(fer, notes=(*fer.notes, f"{file} is not used: {problem}"))


# -------------------------------------------------------------------------------------------------------- cache


def _pack(raw: Raw) -> dict[str, np.ndarray]:
    return {"images": raw.images, "labels": raw.labels, "split": raw.usage,
            "flags": np.array([raw.official_splits, raw.official_order])}


def _sample(*, cache: bool) -> Fer2013:
    """The drawn sample; the cache follows the package's source, so that a change to the drawing shows at once."""
    from fer_utils.data import make_sample as sample

    made: list[Fer2013] = []

    def build() -> dict[str, np.ndarray]:
        fer = sample.faces()
        made.append(fer)
        return {"images": fer.images, "labels": fer.labels, "split": fer.usage, "votes": fer.votes,
                "origin": np.array(fer.origin)}

    folder = Path(__file__).parent
    source = hashlib.blake2b(b"".join(f.read_bytes() for f in sorted(folder.glob("*.py"))), digest_size=12)
    stored = cached(folder, source.hexdigest(), build, cache=cache)
    if made:
        return made[0]
    return Fer2013(stored["images"], stored["labels"], stored["split"], stored["votes"], str(stored["origin"]), True, True,
               np.arange(len(stored["labels"]), dtype=np.int32))
