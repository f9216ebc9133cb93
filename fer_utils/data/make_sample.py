"""The embedded sample, for when there is no FER2013: drawn faces in its form, and a short clip with a real face.

Nothing is downloaded and nobody's picture is stored: the faces come from `drawn_faces`, the clip from a public-domain
portrait that scikit-image ships (`clip`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import cv2
import numpy as np

from fer_utils.data.clip import CLIP_LABEL, FPS, ClipFrame, clip_frames, clip_path
from fer_utils.data.fer2013 import CLASSES, Fer2013
from fer_utils.data.drawn_faces import draw, random_look
from fer_utils.data.facial_actions import CONFUSIONS, random_units

__all__ = ["CLIP_LABEL", "FPS", "ClipFrame", "clip_frames", "clip_path", "faces"]

FER2013_COUNTS = np.array(
    (
        (3995, 436, 4097, 7215, 4830, 3171, 4965),
        (467, 56, 496, 895, 653, 415, 607),
        (491, 55, 528, 879, 594, 416, 626),
    )
)
"""Images in FER2013 by split (Training, PublicTest, PrivateTest) and class."""

FER_PLUS = ("Neutral", "Happy", "Surprise", "Sad", "Angry", "Disgust", "Fear", "Contempt", "Unknown", "NF")
"""FER+'s ten columns in FER2013's words, in FER+'s order (`data.VOTE_NAMES`)."""

MIN_N, MAX_N = 100, 35_887


def faces(*, seed: int = 2013, n: int = 3600) -> Fer2013:
    """A drawn data set in FER2013's form: the same splits (80/10/10 %), class proportions, faults and FER+-like votes.

    Returns `Fer2013`: images uint8 [n, 48, 48], labels int8 [n], split int8 [n], votes uint8 [n, 10], Training rows first.
    Like FER2013 it holds some exact copies across splits (a few under another label) and blank images. Every class
    stands in every split. The same `seed` and `n` give the same bytes with the same versions of NumPy and OpenCV.
    Raises ValueError for a seed that is not a whole number from 0, or n outside 100–35,887.
    """
    for name, value, low, high in (("seed", seed, 0, 2**32 - 1), ("n", n, MIN_N, MAX_N)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
            raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    images, labels, split, votes = (part.copy() for part in _drawn(int(seed), int(n)))
    return Fer2013(
        images=images,
        labels=labels,
        usage=split,
        votes=votes,
        origin=f"the embedded drawn sample (seed {seed}, {n:,} faces)",
        is_sample=True,
        official_splits=True,
        rows=np.arange(n, dtype=np.int32),
    )


@lru_cache(maxsize=2)
def _drawn(seed: int, n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng((seed, n))
    labels, split = _labels(n, rng)
    images, intensity = np.empty((n, 48, 48), np.uint8), np.empty(n)
    with _one_thread():
        for i, label in enumerate(labels):
            face_rng = np.random.default_rng((seed, i))
            units, intensity[i] = random_units(CLASSES[label], face_rng)
            images[i] = draw(units, random_look(face_rng), face_rng)
    votes = _votes(labels, intensity, rng)
    _copy_across_splits(images, votes, labels, split, rng)
    blank = rng.choice(np.flatnonzero(split == 0), 1 + n // 2000, replace=False)
    images[blank], votes[blank] = 0, 10 * np.eye(len(FER_PLUS), dtype=np.uint8)[-1]
    return images, labels, split, votes


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV's threads cost more than they bring on pictures this small."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _labels(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and splits in FER2013's proportions: largest remainders, and no class missing from a split."""
    exact = FER2013_COUNTS.ravel() * (n / FER2013_COUNTS.sum())
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact)[: n - counts.sum()]] += 1
    counts[np.argmax(counts)] -= (counts == 0).sum()
    counts = np.maximum(counts, 1).reshape(FER2013_COUNTS.shape)
    labels = [rng.permutation(np.repeat(np.arange(7), row)) for row in counts]
    split = np.repeat(np.arange(3), counts.sum(1))
    return np.concatenate(labels).astype(np.int8), split.astype(np.int8)


def _votes(labels: np.ndarray, intensity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ten voters a face: the stronger the expression, the more of them name it; the rest mix it up as people do."""
    chance = np.zeros((len(labels), len(FER_PLUS)))
    sure = np.where(labels == CLASSES.index("Neutral"), 0.6, 0.15 + 0.6 * intensity)
    for k, name in enumerate(CLASSES):
        rows = np.flatnonzero(labels == k)
        others = np.array([CONFUSIONS[name].get(vote, 0.0) for vote in FER_PLUS])
        chance[rows] = (1 - sure[rows, None]) * 0.9 * others
        chance[rows, FER_PLUS.index(name)] += sure[rows]
        chance[rows, -3] += (1 - sure[rows]) * 0.06
        chance[rows, -2] += (1 - sure[rows]) * 0.04
    return rng.multinomial(10, chance / chance.sum(1, keepdims=True)).astype(np.uint8)


def _copy_across_splits(images, votes, labels, split, rng: np.random.Generator) -> None:
    """Put exact copies of Training faces into the test splits: 1 % of those rows, every fifth under another label."""
    test = np.flatnonzero(split > 0)
    for k, row in enumerate(rng.choice(test, max(2, len(test) // 50), replace=False)):
        same = (labels == labels[row]) == (k % 5 > 0)
        twin = rng.choice(np.flatnonzero((split == 0) & same))
        images[row], votes[row] = images[twin], votes[twin]
