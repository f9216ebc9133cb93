"""Five landmarks for every FER2013 image: found once, kept as numbers in models/landmarks.npz, read back by pixel hash.

MTCNN was not made for 48-px faces that fill their frame: without a margin round the face, and at 48 px, it misses many.
So each image gets a margin of a quarter of its side, is enlarged, and is searched as it is and mirrored: landmarks
found in both are averaged, which halves their noise and removes MTCNN's slight bias to one side.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.data import Fer2013, image_hashes
from fer_utils.faces.alignment import align, transform
from fer_utils.faces.mtcnn import CELL, Detector, Face
from fer_utils.faces.preprocess import SIDE, ImageError

FILE = paths.MODELS / "landmarks.npz"  # FER2013's landmarks by pixel hash
BATCH = 128  # images searched at once
BORDERS = {"gray": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
MIRRORED = [1, 0, 2, 4, 3]  # a mirrored face's left eye is its right eye
MIRROR_ERROR = 4.0  # px of 48; with a larger mirror-consistency error the two searches did not see the same face
# FER2013 frames its faces closely. What alignment would enlarge by more than this is often an eye, a hand or a pattern
# that MTCNN took for a face: then its score must reach the confidence threshold.
SMALL_FACE, CONFIDENCE = 1.7, 0.95


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of N images in their own 48-px coordinates (0 = centre of the first pixel).

    Examples
    --------
    >>> faces.Landmarks.empty(3).found
    array([False, False, False])
    """

    points: np.ndarray  # float32 [N, 5, 2], x and y in the order of `LANDMARKS`; NaN where no face was found
    scores: np.ndarray  # float32 [N], MTCNN's probability of a face, 0–1; 0 = none found
    passes: np.ndarray  # uint8 [N], which of `PASSES` found the face, counted from 1; 0 = none

    @staticmethod
    def empty(count: int) -> "Landmarks":
        """`count` images without a face."""
        points = np.full((count, 5, 2), np.nan, np.float32)
        return Landmarks(points, np.zeros(count, np.float32), np.zeros(count, np.uint8))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def found(self) -> np.ndarray:
        """bool [N]: images with a face."""
        return self.passes > 0

    @property
    def confident(self) -> np.ndarray:
        """bool [N]: found, and with a score of at least .95 where alignment enlarges the face more than 1.7 times."""
        return self.found & ~((self.scales > SMALL_FACE) & (self.scores < CONFIDENCE))

    @property
    def scales(self) -> np.ndarray:
        """float64 [N]: how much alignment enlarges each face; NaN where none was found."""
        return np.array([np.hypot(*transform(face)[:, 0]) if np.isfinite(face).all() else np.nan
                         for face in self.points])

    def take(self, index: np.ndarray) -> "Landmarks":
        """The images of an index array or a mask, in that order."""
        return Landmarks(*(getattr(self, field.name)[index] for field in fields(self)))

    def put(self, index: np.ndarray, part: "Landmarks") -> None:
        """Write the landmarks of `part` at the places of an index array or a mask."""
        for field in fields(self):
            getattr(self, field.name)[index] = getattr(part, field.name)

    def mirrored(self) -> "Landmarks":
        """Landmarks found in mirrored images, as landmarks of the images themselves."""
        points = self.points[:, MIRRORED].copy()
        points[:, :, 0] = SIDE - 1 - points[:, :, 0]
        return Landmarks(points, self.scores, self.passes)


@dataclass(frozen=True)
class DetectorConfig:
    """How one pass prepares the 48-px images for MTCNN and searches them."""

    margin: int = 12  # pixels added on each side
    border: str = "gray"  # what fills them: "gray" (the image's mean), "replicate" or "reflect"
    image_size: int = 144  # side in pixels of the enlarged image
    equalize: bool = False  # equalize the image's histogram first
    thresholds: tuple[float, float, float] = (0.4, 0.5, 0.6)  # as in `Detector`
    min_face_size: float = 20  # in the image's own pixels; smaller faces are bystanders or errors
    mirror: bool = True  # search the mirrored image too and average

    def __post_init__(self) -> None:
        if self.border not in BORDERS:
            raise ValueError(f"border: must be one of {', '.join(BORDERS)}; got {self.border!r}")

    @property
    def scale(self) -> float:
        """Pixels of the enlarged image to one of the original."""
        return self.image_size / (SIDE + 2 * self.margin)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """What MTCNN sees: gray uint8 [N, 48, 48] → RGB uint8 [N, image_size, image_size, 3] with the margin."""
        size, border = (self.image_size, self.image_size), BORDERS[self.border]
        prepared = np.empty((len(images), *size, 3), np.uint8)
        for target, image in zip(prepared, images, strict=True):
            image = np.ascontiguousarray(image)
            image = cv2.equalizeHist(image) if self.equalize else image
            image = cv2.copyMakeBorder(image, *[self.margin] * 4, border, value=float(image.mean()))
            target[:] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)[:, :, None]
        return prepared

    def to_prepared(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in 48-px coordinates → in pixels of the enlarged image."""
        return (points + self.margin + 0.5) * self.scale - 0.5

    def search(self, images: np.ndarray) -> Landmarks:
        """One pass through gray uint8 [N, 48, 48]."""
        smallest = max(self.min_face_size * self.scale, CELL)
        with Detector(min_face_size=smallest, thresholds=self.thresholds, threads=1, fit_to_image=False) as detector:
            result = self._main_faces(detector.detect_batch(self.prepare(images)))
            if not self.mirror:
                return result
            other = self._main_faces(detector.detect_batch(self.prepare(images[:, :, ::-1]))).mirrored()
        same = np.linalg.norm(result.points - other.points, axis=2).mean(axis=1) < MIRROR_ERROR  # False for NaN
        better = (other.scores > result.scores) & ~same
        result.put(better, other.take(better))
        for one, two in ((result.points, other.points), (result.scores, other.scores)):
            one[same] = (one[same] + two[same]) / 2
        return result

    def _main_faces(self, found: list[list[Face]]) -> Landmarks:
        """The main face of each image, in 48-px coordinates."""
        result = Landmarks.empty(len(found))
        for row, candidates in enumerate(found):
            if candidates:
                # FER2013 shows one face a frame: the large and certain one, not a small one beside it.
                face = max(candidates, key=lambda f: f.score * f.box[2] * f.box[3])
                result.points[row] = (face.landmarks + 0.5) / self.scale - 0.5 - self.margin
                result.scores[row], result.passes[row] = face.score, 1
        return result


# In order; each pass searches the images in which those before found no face.
PASSES = (DetectorConfig(), DetectorConfig(image_size=96, equalize=True), DetectorConfig(thresholds=(0.3, 0.3, 0.4)))


def fer_landmarks(images: np.ndarray, *, passes: Sequence[DetectorConfig] = PASSES) -> Landmarks:
    """Find the landmarks of gray faces, uint8 [N, 48, 48], on all cores; about 9 ms an image and core.

    Each of `passes` searches the images in which those before found no face. ImageError for another array.

    Examples
    --------
    >>> faces.fer_landmarks(np.zeros((4, 48, 48), np.uint8)).found.any()
    np.False_
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise ImageError(f"images: must be uint8 [N, {SIDE}, {SIDE}], gray; got {images.dtype} {list(images.shape)}")
    result = Landmarks.empty(len(images))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, config in enumerate(passes, start=1):
            left = np.flatnonzero(~result.found)
            batches = [left[start:start + BATCH] for start in range(0, len(left), BATCH)]
            parts = pool.map(config.search, (images[batch] for batch in batches))
            for batch, part in zip(batches, parts, strict=True):
                result.put(batch, part)
            result.passes[left] *= np.uint8(number)
    return result


def align_all(images: np.ndarray, landmarks: Landmarks) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 48, 48] with the confident ones aligned, the others as they were, and bool [N]: aligned.

    ValueError when images and landmarks differ in number.

    Examples
    --------
    >>> fer = data.load("sample").take(range(5))
    >>> aligned, flags = faces.align_all(fer.images, faces.load_landmarks(fer))
    """
    if len(images) != len(landmarks):
        raise ValueError(f"images, landmarks: must have one length; got {len(images)} and {len(landmarks)}")
    aligned, flags = np.array(images, np.uint8), landmarks.confident
    for row in np.flatnonzero(flags):
        aligned[row] = align(images[row], landmarks.points[row])
    return aligned, flags


def load_landmarks(fer: Fer2013) -> Landmarks:
    """Landmarks of a data set: read from models/landmarks.npz where an image's pixels are known, else found now.

    Any order and any subset of FER2013 matches. What had to be found is kept in the cache folder for the next call.

    Examples
    --------
    >>> fer = data.load("sample").take(range(5))
    >>> faces.load_landmarks(fer).points.shape
    (5, 5, 2)
    """
    hashes, result = image_hashes(fer.images), Landmarks.empty(len(fer.images))
    missing = np.flatnonzero(~_read(FILE, hashes, result))
    if len(missing):
        # The passes are part of the name, so that changed ones do not read what others found.
        name = hashlib.blake2b(repr(PASSES).encode() + hashes[missing].tobytes(), digest_size=12).hexdigest()
        file = paths.cache_dir() / f"landmarks_{name}.npz"
        if not file.exists():
            _write(file, hashes[missing], fer_landmarks(fer.images[missing]))
        _read(file, hashes, result)  # rounded as in the file, so that the first call and the next give the same
    return result


def store_landmarks(fer: Fer2013) -> Path:
    """Find a data set's landmarks again and write models/landmarks.npz, which takes 5 minutes on 2 cores."""
    _write(FILE, image_hashes(fer.images), fer_landmarks(fer.images))
    return FILE


def _write(path: Path, hashes: np.ndarray, landmarks: Landmarks) -> None:
    """float16 keeps 1/64 pixel: far finer than MTCNN is right."""
    points, scores = landmarks.points.astype(np.float16), landmarks.scores.astype(np.float16)
    with paths.atomic(path) as temporary:
        np.savez_compressed(temporary, hashes=hashes, points=points, scores=scores, passes=landmarks.passes)


def _read(path: Path, hashes: np.ndarray, result: Landmarks) -> np.ndarray:
    """Copy what `path` knows of images with these hashes into `result`; bool [N]: known."""
    if not path.exists():
        return np.zeros(len(hashes), bool)
    with np.load(path, allow_pickle=False) as stored:
        order = np.argsort(stored["hashes"])
        place = np.searchsorted(stored["hashes"], hashes, sorter=order).clip(max=len(order) - 1)
        known = stored["hashes"][order[place]] == hashes
        for field in fields(result):
            getattr(result, field.name)[known] = stored[field.name][order[place[known]]]
    return known
