"""Is a LIME map stable from seed to seed, does the model react as it says, to which part of a face does it point?"""

from collections import namedtuple
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from fer_utils.explain._lime import Explanation, Predict, ask

REGIONS = ("brows", "eyes", "nose", "mouth", "rest of the face", "hair, background")
Stability = namedtuple("Stability", ("spearman", "top_iou"))  # floats, at most 1


def stability(explanations: Sequence[Explanation], *, top: int = 5) -> Stability:
    """Compare two or more explanations of one face and class (else ValueError) that differ in the seed only.

    Means over all pairs: spearman, rank correlation of the superpixels' weights, and top_iou, IoU of the `top` ones.

    Examples
    --------
    >>> stability([explain(predict, face, label=3, seed=seed) for seed in (1, 2, 3)])
    """
    alike = {(e.label, e.segments.tobytes()) for e in explanations}
    if len(explanations) < 2 or len(alike) > 1:
        raise ValueError(f"explanations: must be two or more, of one class and superpixels; got {len(explanations)}")
    found = []
    for a, b in combinations(explanations, 2):
        both, either = np.intersect1d(a.top(top), b.top(top)).size, np.union1d(a.top(top), b.top(top)).size
        found.append((spearmanr(a.weights, b.weights).statistic, both / either if either else 1.0))
    return Stability(*map(float, np.mean(found, axis=0)))


def faithfulness(predict: Predict, explanation: Explanation, *, steps: int = 20, orders: int = 3) -> pd.DataFrame:
    """Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421) with superpixels instead of pixels.

    A hidden superpixel takes the face's mean gray here, not its own mean as in LIME's samples: the test must not share
    the assumption of what it tests. Returns steps + 1 rows: share (of the superpixels changed, 0–1) and the class's
    probability while they are hidden from the whole face (deletion: the lower the better) and shown on the hidden one
    (insertion: the higher the better) in LIME's order; random_deletion and random_insertion: means of random `orders`.

    Examples
    --------
    >>> curves = faithfulness(classifier.predict, explanation)
    >>> np.trapezoid(curves.deletion, curves.share)
    """
    if steps < 1 or orders < 1:
        raise ValueError(f"steps, orders: must be 1 or more; got {steps}, {orders}")
    image = np.repeat(explanation.image[:, :, None], 3, axis=2)
    hidden = np.full_like(image, int(explanation.image.mean().round()))
    n, generator = len(explanation.weights), np.random.default_rng(2013)
    ranks = [np.argsort(np.argsort(-explanation.weights, kind="stable"))]
    ranks += [generator.permutation(n) for _ in range(orders)]
    share = np.arange(steps + 1) / steps
    changed = np.stack([rank < np.round(share * n)[:, None] for rank in ranks])  # [orders + 1, steps + 1, S]
    shown = np.concatenate([~changed, changed]).reshape(-1, n)
    found = ask(predict, image, hidden, explanation.segments, shown)[:, explanation.label]
    deletion, insertion = found.reshape(2, orders + 1, steps + 1)
    return pd.DataFrame({"share": share, "deletion": deletion[0], "insertion": insertion[0],
                         "random_deletion": deletion[1:].mean(0), "random_insertion": insertion[1:].mean(0)})


def is_frontal(landmarks: np.ndarray) -> bool:
    """Whether a face looks at the camera; landmarks float [5, 2], NaN where none was found.

    The eyes are at least .7 as far apart as eyes and mouth, the nose is at most .15 of that off the middle.

    Examples
    --------
    >>> is_frontal(faces.TEMPLATE)
    True
    """
    left, right, nose, *mouth = np.asarray(landmarks, float) @ [1, 1j]
    middle, apart = (left + right) / 2, abs(right - left)
    if not apart >= 0.7 * abs(np.mean(mouth) - middle) > 0:
        return False
    return bool(abs(((nose - middle) / (right - left)).real) <= 0.15)  # along the line of the eyes


def face_regions(landmarks: np.ndarray, *, shape: tuple[int, int] = (96, 96)) -> np.ndarray:
    """Which of REGIONS each pixel belongs to, int [H, W]: rectangles in an oval, in units of the eyes' distance."""
    points = (np.asarray(landmarks, float) + 0.5) * (shape[1] / 48, shape[0] / 48) - 0.5
    unit = complex(*(points[1] - points[0]))
    if points.shape != (5, 2) or not np.isfinite(points).all() or abs(unit) < 1:
        raise ValueError("landmarks: must be five finite points with two distinct eyes; got missing or equal ones")
    # Complex numbers turn with the face: the real axis runs from eye to eye, in distances of the eyes.
    y, x = np.indices(shape)
    places, corners = (x + 1j * y) / unit, points @ [1, 1j] / unit

    def within(centre: complex, side: float, up: float, down: float) -> np.ndarray:
        offset = places - centre
        return (np.abs(offset.real) <= side) & (offset.imag >= -up) & (offset.imag <= down)

    eyes, mouth, half = corners[:2].mean(), corners[3:].mean(), abs(corners[4] - corners[3]) / 2
    oval = (places - eyes).real ** 2 / 1.1**2 + ((places - eyes).imag - 0.5) ** 2 / 1.45**2 <= 1
    parts = [("rest of the face", oval), ("nose", within(corners[2], 0.30, 0.55, 0.20)),
             ("mouth", within(mouth, half + 0.15, 0.25, 0.35)),
             *(("brows", within(eye, 0.35, 0.60, 0.18)) for eye in corners[:2]),
             *(("eyes", within(eye, 0.35, 0.18, 0.22)) for eye in corners[:2])]
    regions = np.full(shape, REGIONS.index("hair, background"))
    for name, mask in parts:
        regions[mask] = REGIONS.index(name)
    return regions


def region_weights(explanation: Explanation, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part of the positive weight in each of REGIONS (NaN without any), and of the pixels: float [6], the sum 1.

    `landmarks`: float [5, 2], `faces.LANDMARKS` in 48-px coordinates; ValueError when missing (NaN) or coincident.

    Examples
    --------
    >>> weight, area = region_weights(explanation, landmarks)
    >>> REGIONS[(weight - area).argmax()]
    """
    regions = face_regions(landmarks, shape=explanation.segments.shape).ravel()
    positive = explanation.weights.clip(min=0) / np.bincount(explanation.segments.ravel())
    weight = np.bincount(regions, positive[explanation.segments].ravel(), minlength=len(REGIONS))
    area = np.bincount(regions, minlength=len(REGIONS)) / regions.size
    return weight / weight.sum() if weight.any() else np.full(len(REGIONS), np.nan), area
