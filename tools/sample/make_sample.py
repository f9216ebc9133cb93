"""The synthetic sample: drawn faces in FER2013's form, with its class proportions, its faults and FER+-like votes."""

from __future__ import annotations

import lzma
from pathlib import Path

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES, SPLITS, VOTE_NAMES
from tools.sample.action_units import CONFUSIONS, random_units
from tools.sample.faces import draw, random_look

__all__ = ["FER2013_COUNTS", "draw_sample", "write"]

FER2013_COUNTS = np.array(
    (
        (3995, 436, 4097, 7215, 4830, 3171, 4965),
        (467, 56, 496, 895, 653, 415, 607),
        (491, 55, 528, 879, 594, 416, 626),
    )
)
"""Images in FER2013 by split (Training, PublicTest, PrivateTest) and class."""

FER_PLUS = ("Neutral", "Happy", "Surprise", "Sad", "Angry", "Disgust", "Fear", "Contempt", "Unknown", "NF")
"""FER+'s ten columns in FER2013's words, in FER+'s order (`VOTE_NAMES`)."""


def draw_sample(*, seed: int = 2013, n: int = 3600) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw `n` faces (at least 100): images uint8 [n, 48, 48], labels int8 [n], usage int8 [n], votes uint8 [n, 10].

    Training rows come first; every class occurs in every split (80/10/10 %). Like FER2013 the sample holds exact
    copies across splits (a few under another label) and blank images. The same arguments give the same arrays with
    the same versions of NumPy and OpenCV.
    """
    rng = np.random.default_rng((seed, n))
    labels, usage = _labels(n, rng)
    images, intensity = np.empty((n, 48, 48), np.uint8), np.empty(n)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # OpenCV's threads cost more than they bring on images this small
    try:
        for i, label in enumerate(labels):
            face_rng = np.random.default_rng((seed, i))
            units, intensity[i] = random_units(CLASSES[label], face_rng)
            images[i] = draw(units, random_look(face_rng), face_rng)
    finally:
        cv2.setNumThreads(threads)
    votes = _votes(labels, intensity, rng)
    _copy_across_splits(images, votes, labels, usage, rng)
    blank = rng.choice(np.flatnonzero(usage == 0), 1 + n // 2000, replace=False)
    images[blank], votes[blank] = 0, 10 * np.eye(len(FER_PLUS), dtype=np.uint8)[-1]
    return images, labels, usage, votes


def write(folder: Path) -> list[Path]:
    """Draw the sample and write it in the forms of fer2013.csv and fer2013new.csv, xz-compressed."""
    images, labels, usage, votes = draw_sample()
    faces = (
        f"{label},{' '.join(map(str, image.ravel()))},{SPLITS[split]}"
        for image, label, split in zip(images, labels, usage, strict=True)
    )
    crowd = (
        f"{SPLITS[split]},fer{row:07d}.png,{','.join(map(str, counts))}"
        for row, (split, counts) in enumerate(zip(usage, votes, strict=True))
    )
    tables = {
        "sample.csv.xz": ["emotion,pixels,Usage", *faces],
        "sample_votes.csv.xz": [f"Usage,Image name,{','.join(VOTE_NAMES)}", *crowd],
    }
    for name, lines in tables.items():
        with paths.atomic(folder / name) as temporary:
            temporary.write_bytes(lzma.compress("\n".join([*lines, ""]).encode(), preset=9 | lzma.PRESET_EXTREME))
    return [folder / name for name in tables]


def _labels(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and usage in FER2013's proportions: largest remainders, and no class missing from a split."""
    exact = FER2013_COUNTS.ravel() * (n / FER2013_COUNTS.sum())
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact)[: n - counts.sum()]] += 1
    counts[np.argmax(counts)] -= (counts == 0).sum()
    counts = np.maximum(counts, 1).reshape(FER2013_COUNTS.shape)
    labels = [rng.permutation(np.repeat(np.arange(7), row)) for row in counts]
    usage = np.repeat(np.arange(3), counts.sum(1))
    return np.concatenate(labels).astype(np.int8), usage.astype(np.int8)


def _votes(labels: np.ndarray, intensity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ten votes a face: the stronger the expression, the more of them name it; the rest mix it up as people do."""
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


def _copy_across_splits(images, votes, labels, usage, rng: np.random.Generator) -> None:
    """Put exact copies of Training faces into the test splits: 1 % of those rows, every fifth under another label."""
    test = np.flatnonzero(usage > 0)
    for k, row in enumerate(rng.choice(test, max(2, len(test) // 50), replace=False)):
        same = (labels == labels[row]) == (k % 5 > 0)
        twin = rng.choice(np.flatnonzero((usage == 0) & same))
        images[row], votes[row] = images[twin], votes[twin]
