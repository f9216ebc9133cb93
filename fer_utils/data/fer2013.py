"""FER2013 and FER+ as arrays, from whatever form the user's copy has, cached after the first load."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer_utils import paths
from fer_utils.data import sample
from fer_utils.data.classes import CLASSES, SIDE, SPLITS, VOTE_CLASSES, DataError

_VOTES_FILE = "fer2013new.csv"
_OFFICIAL = [28709, 3589, 3589]  # images of the three splits
_FORMAT = 3  # part of every cache key: raise it when the readers change what they return


@dataclass(frozen=True)
class Fer2013:
    """FER2013, or a part of it.

    Examples
    --------
    >>> load("sample").split("PrivateTest").images.shape
    (359, 48, 48)
    """

    images: np.ndarray  # uint8 [N, 48, 48], gray 0–255
    labels: np.ndarray  # int8 [N], indices into CLASSES
    usage: np.ndarray  # int8 [N], indices into SPLITS
    votes: np.ndarray | None  # uint8 [N, 10], FER+ votes in the order VOTE_NAMES
    origin: str  # where it came from
    is_sample: bool  # the embedded synthetic sample, not FER2013
    official_splits: bool  # False when PublicTest and PrivateTest could not be told apart
    notes: tuple[str, ...] = ()  # remarks for `describe`

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: np.ndarray) -> "Fer2013":
        """The samples of an index array or a mask, in that order."""
        votes = None if self.votes is None else self.votes[index]
        return replace(self, images=self.images[index], labels=self.labels[index], usage=self.usage[index], votes=votes)

    def split(self, split: str) -> "Fer2013":
        """The samples of one split ("Training", "PublicTest" or "PrivateTest"), in file order."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
        return self.take(self.usage == SPLITS.index(split))

    def counts(self) -> np.ndarray:
        """int [3, 7]: samples by split and class."""
        cells = self.usage * len(CLASSES) + self.labels
        return np.bincount(cells, minlength=len(SPLITS) * len(CLASSES)).reshape(len(SPLITS), -1)

    @property
    def title_note(self) -> str:
        """To be added to every title drawn from this data: empty for FER2013 itself."""
        return " (synthetic sample, not FER2013)" if self.is_sample else ""


def load(source: str | Path | None = None, *, votes: str | Path | None = None) -> Fer2013:
    """Load FER2013 from the first place that has it: `source`, FER_DATA, data/, Kaggle, the embedded sample.

    Parameters
    ----------
    source : a file or a folder in any form that FER2013 comes in (fer2013.csv plain, .gz, .xz or .zip,
        fer2013.tar.gz, icml_face_data.csv, Parquet, train/<class>/*.jpg, FER+'s FER2013Train/), or "sample" for the
        embedded sample.
    votes : FER+'s fer2013new.csv; else FER_PLUS, or the file of that name beside the data, in FER_DATA's folder or in
        data/.

    DataError names file and line when data or votes are missing or broken, or do not belong together.

    Examples
    --------
    >>> load("sample").votes.shape
    (3600, 10)
    """
    from fer_utils.data import readers  # not at the demo's start: 20 ms

    place = _find(source)
    is_sample = place == sample.SAMPLE
    path = readers.contents(place)
    if path is None:
        raise DataError(f"{place} holds no FER2013; {readers.EXPECTED}")
    raw = readers.Raw(**_cached(path, lambda: readers.read(path)._asdict()))
    origin = "the embedded sample" if is_sample else str(path)
    fer = Fer2013(raw.images, raw.labels, raw.usage, None, origin, is_sample, bool(raw.official_splits))
    if votes is not None and (is_sample or len(raw.votes)):
        raise DataError(f"votes must be None for {origin}, which brings its own; got {votes}")
    if len(raw.votes):
        return replace(fer, votes=raw.votes, notes=("labels: the class with most FER+ votes, not FER2013's own label",))
    file = sample.SAMPLE_VOTES if is_sample else _votes_file(votes, (place, path))
    if file is None:
        return fer
    found = _cached(file, lambda: readers.read_votes(file))
    problem = _misfit(fer, **found) if raw.official_order else "this copy of FER2013 does not tell each image's row"
    if problem is None:
        return replace(fer, votes=found["votes"])
    # A file that was asked for must fit; one that merely lies there is noted.
    if votes is not None or paths.votes_source() is not None:
        raise DataError(f"{file}: cannot be joined to {fer.origin}: {problem}")
    return replace(fer, notes=(f"{file} is not used: {problem}",))


def image_hashes(images: np.ndarray) -> np.ndarray:
    """Hash each image's pixels, any [N, …]: BLAKE2b, uint64 [N]; equal images are equal on every machine.

    Examples
    --------
    >>> image_hashes(np.zeros((1, 48, 48), np.uint8)).tolist()
    [2249671168672059275]
    """
    digest = b"".join(hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(digest, "<u8").astype(np.uint64)


def training_indices(fer: Fer2013) -> np.ndarray:
    """The samples to train on: of Training, and not in a test split as well; int [M], ascending.

    Examples
    --------
    >>> fer = load("sample")
    >>> images = fer.images[training_indices(fer)]
    """
    hashes = image_hashes(fer.images)
    return np.flatnonzero((fer.usage == 0) & ~np.isin(hashes, hashes[fer.usage != 0]))


def majority_vote(votes: np.ndarray) -> np.ndarray:
    """The class that more than half of an image's votes name, uint8 [N, 10] → int [N]; -1 without one.

    A majority for contempt, unknown or "not a face" is no class here.

    Examples
    --------
    >>> majority_vote(np.array([[1, 9, 0, 0, 0, 0, 0, 0, 0, 0]])).tolist()
    [3]
    """
    top = votes.argmax(1)
    clear = (votes.max(1) > votes.sum(1) / 2) & (top < len(VOTE_CLASSES))
    return np.where(clear, np.array([*VOTE_CLASSES, -1, -1, -1])[top], -1)


def describe(fer: Fer2013) -> str:
    """A few lines of plain text: what was found where, and what the reader should know about it.

    Examples
    --------
    >>> print(describe(load("sample")).splitlines()[0])
    Synthetic sample, not FER2013: 3,600 images of 48 × 48 (Training 2,880, PublicTest 361, PrivateTest 359)
    """
    sizes = np.bincount(fer.usage, minlength=len(SPLITS)).tolist()
    title, voted = ("Synthetic sample, not FER2013", "simulated") if fer.is_sample else ("FER2013", "FER+")
    parts = ", ".join(f"{name} {n:,}" for name, n in zip(SPLITS, sizes, strict=True))
    lines = [f"{title}: {len(fer):,} images of {SIDE} × {SIDE} ({parts})", f"from {fer.origin}"]
    if not fer.official_splits:
        lines.append("PublicTest and PrivateTest cannot be told apart in this copy: its test images are dealt half and "
                     "half, so no figure from them compares with published ones")
    elif not fer.is_sample and sizes != _OFFICIAL:
        lines.append(f"not the whole of FER2013: its splits hold {', '.join(f'{n:,}' for n in _OFFICIAL)} images")
    lines.append("no FER+ votes" if fer.votes is None else f"{voted} votes: {fer.votes.any(1).sum():,} images")
    return "\n".join([*lines, *fer.notes])


def _find(source: str | Path | None) -> Path:
    """The file or folder to load."""
    from fer_utils.data import kaggle, readers
    named = source if source is not None else paths.data_source()
    if named is None:
        mine = readers.contents(paths.DATA) if paths.DATA.is_dir() else None
        return mine or kaggle.find() or sample.SAMPLE
    if str(named) == "sample":
        return sample.SAMPLE
    # A relative FER_DATA is meant from the project's folder; notebooks run elsewhere.
    for place in (Path(named).expanduser(), paths.ROOT / named):
        if place.exists():
            return place.resolve()
    by = "source" if source is not None else "FER_DATA"
    raise DataError(f"{by} must be a file or folder with FER2013, or 'sample'; {Path(named).absolute()} does not exist")


def _votes_file(votes: str | Path | None, near: tuple[Path, ...]) -> Path | None:
    """The argument or FER_PLUS, or fer2013new.csv beside the data, in FER_DATA's folder or in data/."""
    if asked := votes or paths.votes_source():
        file = Path(asked).expanduser().resolve()
        if not file.is_file():
            raise DataError(f"votes must be FER+'s {_VOTES_FILE}; {file} is no file")
        return file
    places = [*near, Path(paths.data_source() or paths.DATA).expanduser(), paths.DATA]
    folders = [place if place.is_dir() else place.parent for place in places]
    files = (file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir()))
    return next((file for file in files if file.name.lower() == _VOTES_FILE), None)


def _misfit(fer: Fer2013, votes: np.ndarray, usage: np.ndarray) -> str | None:
    """Why the votes cannot belong to these samples, or None."""
    if len(usage) != len(fer):
        return f"it has {len(usage):,} rows, the data {len(fer):,}"
    wrong = np.flatnonzero(usage != fer.usage)
    if wrong.size:
        return f"its Usage differs from the data's in {wrong.size:,} rows, first in line {wrong[0] + 2}"
    faces = votes[:, :7].any(1)
    agreement = (np.array(VOTE_CLASSES)[votes[faces, :7].argmax(1)] == fer.labels[faces]).mean() if faces.any() else 0
    # The right rows agree on 63 %, shuffled ones on less than 20 %.
    return None if agreement > 0.4 else f"its majority agrees with only {agreement:.0%} of the labels"


def _cached(path: Path, build: Callable[[], dict]) -> dict[str, np.ndarray]:
    """What `build` makes of `path`, from the cache while no file there changes its name, size or time."""
    from fer_utils.data import readers
    files = [path / name for name in readers.files_below(path)] or [path]
    state = [(str(file), info.st_size, info.st_mtime_ns) for file in files for info in [file.stat()]]
    key = hashlib.blake2b(f"{_FORMAT} {state}".encode(errors="surrogateescape"), digest_size=12).hexdigest()
    try:
        # NumPy's own archive checks every array and, unlike a pickle, runs nothing.
        with np.load(paths.cache_dir() / f"data_{key}.npz", allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception:  # whatever is wrong with a cache, the answer is to build it again
        arrays = build()
    try:
        with paths.atomic(paths.cache_dir() / f"data_{key}.npz") as temporary:
            np.savez(temporary, **arrays)
    except OSError:  # a full or read-only disk
        pass
    return arrays
