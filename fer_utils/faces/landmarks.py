"""Five landmarks for every FER2013 image: found once, kept as numbers in models/landmarks.npz, read back by pixel hash.

    python -m fer_utils.faces.landmarks      finds them anew (about 5 minutes on 2 cores; goes on where it was stopped)

MTCNN was not made for 48-px faces that fill their frame: without a margin round the face, and at 48 px, it misses many.
So each image gets a margin of a quarter of its side, is enlarged, and is searched as it is and mirrored: landmarks
found in both views are averaged, which halves their noise and removes MTCNN's slight bias to one side.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.faces.detector import Detector, Face
from fer_utils.faces.preprocess import ImageError

if TYPE_CHECKING:
    from fer_utils.data import Fer2013

__all__ = ["ATTEMPTS", "BORDERS", "Attempt", "Landmarks", "fer_landmarks", "landmarks_path", "load_landmarks",
           "mirrored", "prepare", "record", "search"]

SIDE = 48
BATCH = 128
BORDERS = {"gray": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
MIRRORED = [1, 0, 2, 4, 3]  # a mirrored face's left eye is its right eye
APART = 4.0  # px of 48; two views that differ by more on average did not see the same face


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of N images in their own 48-px coordinates (0 = centre of the first pixel).

    points: float32 [N, 5, 2], x and y in the order of `detector.LANDMARKS`; NaN where no face was found.
    scores: float32 [N], MTCNN's probability of a face; 0 = none found.
    boxes: float32 [N, 4], x, y, width, height, not cut at the border; NaN = none found.
    attempts: uint8 [N], which of `ATTEMPTS` found it, counted from 1; 0 = none.
    """

    points: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    attempts: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @property
    def found(self) -> np.ndarray:
        """bool [N]: images with a face."""
        return self.attempts > 0

    def take(self, index: np.ndarray) -> Landmarks:
        """The rows of an index array or a mask, in that order."""
        return Landmarks(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def empty(count: int) -> Landmarks:
        """`count` images without a face."""
        return Landmarks(np.full((count, 5, 2), np.nan, np.float32), np.zeros(count, np.float32),
                         np.full((count, 4), np.nan, np.float32), np.zeros(count, np.uint8))


@dataclass(frozen=True)
class Attempt:
    """How one search prepares the 48-px images.

    margin: pixels added on each side.  border: what fills them, "gray" (the image's mean), "replicate" or "reflect".
    side: pixels of the enlarged image.  equalize: spread its histogram first.  thresholds: as in `Detector`.
    smallest: side of the smallest face to look for, in the image's own 48-px frame; smaller ones are bystanders or
    errors, and looking for them doubles the time.  mirror: search the mirrored image too and average.
    """

    margin: int = 12
    border: str = "gray"
    side: int = 144
    equalize: bool = False
    thresholds: tuple[float, float, float] = (0.4, 0.5, 0.6)
    smallest: float = 20
    mirror: bool = True

    @property
    def scale(self) -> float:
        """Pixels of the enlarged image to one of the original."""
        return self.side / (SIDE + 2 * self.margin)

    def to_enlarged(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in 48-px coordinates → in pixels of the enlarged image."""
        return (points + self.margin + 0.5) * self.scale - 0.5

    def detector(self) -> Detector:
        """The detector that this search needs."""
        return Detector(min_face_size=max(self.smallest * self.scale, 12), thresholds=self.thresholds, threads=1,
                        fit_to_image=False)


ATTEMPTS = (Attempt(), Attempt(side=96, equalize=True), Attempt(thresholds=(0.3, 0.3, 0.4)))
"""Tried in this order, each on the images in which the ones before found nothing."""


def search(images: np.ndarray, attempt: Attempt = ATTEMPTS[0]) -> Landmarks:
    """One search through uint8 [N, 48, 48] gray images. Raises ImageError for another shape or dtype."""
    images = _check(images)
    with attempt.detector() as finder:
        parts = [_search(images[start:start + BATCH], attempt, finder) for start in range(0, len(images), BATCH)]
    return _join(parts)


def fer_landmarks(images: np.ndarray, *, attempts: tuple[Attempt, ...] = ATTEMPTS, workers: int = 0,
                  progress: Callable[[int, int], None] | None = None) -> Landmarks:
    """Landmarks of many gray faces, by several attempts: each goes on with the images that the ones before left.

    images: uint8 [N, 48, 48].  workers: threads, 0 = one a core.  progress: called with (images done, N).
    Takes about 9 ms an image on one core. Raises ImageError for another shape or dtype.
    """
    images = _check(images)
    chunks = [images[start:start + BATCH] for start in range(0, len(images), BATCH)]
    parts = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for part in pool.map(lambda chunk: _all_attempts(chunk, attempts), chunks):
            parts.append(part)
            if progress:
                progress(sum(map(len, parts)), len(images))
    return _join(parts)


def _all_attempts(images: np.ndarray, attempts: tuple[Attempt, ...]) -> Landmarks:
    result = Landmarks.empty(len(images))
    for number, attempt in enumerate(attempts, start=1):
        left = np.flatnonzero(~result.found)
        if len(left) == 0:
            break
        _put(result, left, search(images[left], attempt))
        result.attempts[left] *= np.uint8(number)
    return result


def _search(images: np.ndarray, attempt: Attempt, detector: Detector) -> Landmarks:
    plain = _faces(detector.detect_batch(prepare(images, attempt)), attempt)
    if not attempt.mirror:
        return plain
    other = mirrored(_faces(detector.detect_batch(prepare(images[:, :, ::-1], attempt)), attempt))
    with np.errstate(invalid="ignore"):
        same = np.linalg.norm(plain.points - other.points, axis=2).mean(axis=1) < APART  # False where either is NaN
    better = np.where(same, 0.5, (other.scores > plain.scores).astype(np.float32)).astype(np.float32)

    def mix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        share = better.reshape(-1, *[1] * (a.ndim - 1))
        return np.where(share == 0, a, np.where(share == 1, b, (a + b) / 2)).astype(np.float32)

    return Landmarks(mix(plain.points, other.points), mix(plain.scores, other.scores), mix(plain.boxes, other.boxes),
                     np.maximum(plain.attempts, other.attempts))


def prepare(images: np.ndarray, attempt: Attempt) -> np.ndarray:
    """What MTCNN gets to see: gray uint8 [N, 48, 48] → RGB uint8 [N, side, side, 3] with the margin."""
    margins = [attempt.margin] * 4
    prepared = np.empty((len(images), attempt.side, attempt.side, 3), np.uint8)
    for target, image in zip(prepared, images, strict=True):
        image = np.ascontiguousarray(image)
        image = cv2.equalizeHist(image) if attempt.equalize else image
        image = cv2.copyMakeBorder(image, *margins, BORDERS[attempt.border], value=float(image.mean()))
        target[:] = cv2.resize(image, (attempt.side, attempt.side), interpolation=cv2.INTER_LINEAR)[:, :, None]
    return prepared


def _faces(found: list[list[Face]], attempt: Attempt) -> Landmarks:
    """The main face of each image, in 48-px coordinates."""
    result = Landmarks.empty(len(found))
    for row, faces in enumerate(found):
        if not faces:
            continue
        # FER2013 shows one face a frame: the large and certain one, not a small one beside it.
        face = max(faces, key=lambda f: f.score * f.box[2] * f.box[3])
        result.points[row] = (face.landmarks + 0.5) / attempt.scale - 0.5 - attempt.margin
        x, y, width, height = np.array(face.box) / attempt.scale
        result.boxes[row] = x - attempt.margin, y - attempt.margin, width, height
        result.scores[row], result.attempts[row] = face.score, 1
    return result


def mirrored(landmarks: Landmarks) -> Landmarks:
    """Landmarks found in mirrored images, as landmarks of the images themselves."""
    points, boxes = landmarks.points[:, MIRRORED].copy(), landmarks.boxes.copy()
    points[:, :, 0] = SIDE - 1 - points[:, :, 0]
    boxes[:, 0] = SIDE - boxes[:, 0] - boxes[:, 2]
    return Landmarks(points, landmarks.scores, boxes, landmarks.attempts)


def _join(parts: list[Landmarks]) -> Landmarks:
    if not parts:
        return Landmarks.empty(0)
    return Landmarks(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Landmarks)))


def _check(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise ImageError(f"images must be uint8 [N, {SIDE}, {SIDE}], gray; got {images.dtype} {list(images.shape)}")
    return images


def landmarks_path() -> Path:
    """models/landmarks.npz: FER2013's landmarks by pixel hash."""
    return paths.MODELS / "landmarks.npz"


def load_landmarks(fer: Fer2013, *, progress: Callable[[int, int], None] | None = None) -> Landmarks:
    """Landmarks of a data set: read from models/landmarks.npz where an image's pixels are known, else found now.

    Any order and any subset of FER2013 matches. What had to be found is kept in the cache folder for the next call.
    """
    from fer_utils.data import image_hashes

    hashes = image_hashes(fer.images)
    result = Landmarks.empty(len(fer))
    known = _fill(result, hashes, landmarks_path())
    missing = np.flatnonzero(~known)
    if len(missing) == 0:
        return result
    # The recipe is part of the name, so that a changed one does not read what an older one found.
    cache = paths.cache_dir() / f"landmarks_{_digest(hashes[missing])}.npz"
    rest = Landmarks.empty(len(missing))
    if not _fill(rest, hashes[missing], cache).all():
        rest = fer_landmarks(fer.images[missing], progress=progress)
        _save(cache, hashes[missing], rest)
    _put(result, missing, rest)
    return result


def record(fer: Fer2013, *, target: Path | None = None, workers: int = 0, chunk: int = 2048,
           progress: Callable[[int, int], None] | None = None) -> Path:
    """Find the landmarks of a whole data set and write them to `target` (models/landmarks.npz), chunk by chunk.

    A finished chunk lies in the checkpoint folder, so a stopped run goes on where it was; a finished run removes them.
    """
    from fer_utils.data import image_hashes

    hashes, parts, files = image_hashes(fer.images), [], []
    for start in range(0, len(fer), chunk):
        mine = slice(start, start + chunk)
        file = paths.checkpoint_dir() / f"landmarks_{_digest(hashes[mine])}.npz"
        part = Landmarks.empty(len(hashes[mine]))
        if not _fill(part, hashes[mine], file).all():
            part = fer_landmarks(fer.images[mine], workers=workers)
            _save(file, hashes[mine], part)
        parts.append(part)
        files.append(file)
        if progress:
            progress(min(start + chunk, len(fer)), len(fer))
    target = target or landmarks_path()
    _save(target, hashes, _join(parts))
    for file in files:
        file.unlink(missing_ok=True)
    return target


def _digest(hashes: np.ndarray) -> str:
    return hashlib.blake2b(repr(ATTEMPTS).encode() + hashes.tobytes(), digest_size=12).hexdigest()


def _save(path: Path, hashes: np.ndarray, landmarks: Landmarks) -> None:
    """float16 keeps 1/64 pixel: far finer than MTCNN is right."""
    half = {name: getattr(landmarks, name).astype(np.float16) for name in ("points", "scores", "boxes")}
    with paths.atomic(path) as temporary:
        np.savez_compressed(temporary, hashes=hashes, attempts=landmarks.attempts, **half)


def _fill(result: Landmarks, hashes: np.ndarray, path: Path) -> np.ndarray:
    """Copy what `path` knows of images with these hashes into `result`; bool [N]: known."""
    if not path.exists():
        return np.zeros(len(hashes), bool)
    with np.load(path, allow_pickle=False) as stored:
        order = np.argsort(stored["hashes"])
        ordered = stored["hashes"][order]
        place = np.searchsorted(ordered, hashes).clip(max=max(len(ordered) - 1, 0))
        known = ordered[place] == hashes if len(ordered) else np.zeros(len(hashes), bool)
        for field in fields(Landmarks):
            values = getattr(result, field.name)
            values[known] = stored[field.name][order[place[known]]].astype(values.dtype)
    return known


def _put(result: Landmarks, rows: np.ndarray, part: Landmarks) -> None:
    for field in fields(Landmarks):
        getattr(result, field.name)[rows] = getattr(part, field.name)


if __name__ == "__main__":
    from fer_utils import data

    written = record(data.load(), progress=lambda done, total: print(f"{done:,} of {total:,} images", flush=True))
    print(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")
