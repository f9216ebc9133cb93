"""Can a LIME map be trusted: is it stable from seed to seed, does the model react as it says, where does it point?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fer_utils.explain.lime import Explanation, Predict, ask

__all__ = ["REGIONS", "Faithfulness", "Stability", "face_regions", "faithfulness",
           "frontal", "region_shares", "stability", "where"]

REGIONS = ("brows", "eyes", "nose", "mouth", "rest of the face", "hair, background")


@dataclass(frozen=True)
class Stability:
    """Agreement of maps of one face from several seeds, mean over all pairs of maps.

    spearman: rank correlation of the superpixels' weights, 1 = same order. top_iou: shared share (intersection over
    union) of the top superpixels, 1 = the same ones.
    """

    spearman: float
    top_iou: float
    pairs: int


def stability(explanations: Sequence[Explanation], *, top: int = 5) -> Stability:
    """Compare explanations of one face and class that differ in the seed only.

    Raises ValueError for fewer than two, or when they differ in superpixels or class.
    """
    from scipy.stats import spearmanr

    if len(explanations) < 2:
        raise ValueError(f"explanations: must be two or more; got {len(explanations)}")
    first = explanations[0]
    for other in explanations[1:]:
        if other.label != first.label or not np.array_equal(other.segments, first.segments):
            raise ValueError("explanations: must have the same superpixels and class; got different ones")
    ranks, overlaps = [], []
    for a, b in combinations(explanations, 2):
        ranks.append(spearmanr(a.weights, b.weights).statistic)
        both, either = np.intersect1d(a.top(top), b.top(top)).size, np.union1d(a.top(top), b.top(top)).size
        overlaps.append(both / either if either else 1.0)
    return Stability(float(np.mean(ranks)), float(np.mean(overlaps)), len(ranks))


@dataclass(frozen=True)
class Faithfulness:
    """How the class's probability follows when superpixels are hidden or shown one after the other.

    share: float [K], share of the face's pixels changed, 0 … 1 (nominal: share of superpixels). deletion, insertion:
    float [K], probability while hiding from the whole face, and while showing on the wholly hidden one, in the order
    of LIME's weights. random_deletion, random_insertion: the same in random order (mean of several).
    """

    share: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray

    def area(self, curve: str) -> float:
        """Area under a curve named as above, 0 … 1. Deletion: the lower the better; insertion: the higher."""
        return float(np.trapezoid(getattr(self, curve), self.share))


def faithfulness(
    predict: Predict, explanation: Explanation, *, steps: int = 20, orders: int = 3, seed: int = 2013
) -> Faithfulness:
    """Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421) with superpixels instead of pixels.

    A hidden superpixel takes the face's mean gray here, not its own mean as in LIME's samples: the test must not share
    the assumption of what it tests. `steps` changes along a curve, `orders` random orders to compare with.
    """
    if steps < 1 or orders < 1:
        raise ValueError(f"steps, orders: must be 1 or more; got {steps}, {orders}")
    image = np.repeat(explanation.image[:, :, None], 3, axis=2)
    hidden = np.full_like(image, int(explanation.image.mean().round()))
    segments, n = explanation.segments, len(explanation.weights)
    generator = np.random.default_rng(seed)
    ranks = [np.argsort(np.argsort(-explanation.weights, kind="stable"))]
    ranks += [generator.permutation(n) for _ in range(orders)]
    share = np.arange(steps + 1) / steps
    changed = np.stack([rank[None] < np.round(share * n)[:, None] for rank in ranks])  # [orders + 1, steps + 1, S]
    shown = np.concatenate([~changed, changed]).reshape(-1, n)
    curves = ask(predict, image, hidden, segments, shown)[:, explanation.label].reshape(2, orders + 1, steps + 1)
    return Faithfulness(share, curves[0, 0], curves[1, 0], curves[0, 1:].mean(0), curves[1, 1:].mean(0))


def frontal(landmarks: np.ndarray) -> bool:
    """Whether a face looks at the camera: its eyes lie at least .7 times as far apart as eyes and mouth do.

    `landmarks`: float [5, 2] as in `face_regions`. False for missing ones (NaN). In a profile the parts of a face lie
    over one another, so that `face_regions` means nothing.
    """
    points = np.asarray(landmarks, float)
    down = np.hypot(*(points[3:].mean(0) - points[:2].mean(0)))
    return bool(np.hypot(*(points[1] - points[0])) >= 0.7 * down > 0)


def face_regions(landmarks: np.ndarray, *, shape: tuple[int, int] = (96, 96)) -> np.ndarray:
    """Which part of the face each pixel belongs to.

    Parameters
    ----------
    landmarks : float [5, 2], x and y of left eye, right eye, nose, left and right corner of the mouth (left as seen in
        the image), in 48-pixel coordinates.
    shape : height and width of the result.

    Returns
    -------
    int [H, W], index into REGIONS. The parts are rectangles turned with the face, in an oval for the whole of it;
    their sizes are multiples of the distance of the eyes.

    Raises
    ------
    ValueError for landmarks that are missing (NaN) or fall together.
    """
    points = (np.asarray(landmarks, float) + 0.5) * (shape[1] / 48, shape[0] / 48) - 0.5
    across = points[1] - points[0]
    distance = float(np.hypot(*across))
    if points.shape != (5, 2) or not np.isfinite(points).all() or distance < 1:
        raise ValueError("landmarks: must be five finite points with two distinct eyes; got missing or equal ones")
    u = across / distance
    v = np.array([-u[1], u[0]])
    y, x = np.mgrid[: shape[0], : shape[1]]

    def offset(centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances from a point along and across the face, in distances of the eyes."""
        dx, dy = x - centre[0], y - centre[1]
        return (dx * u[0] + dy * u[1]) / distance, (dx * v[0] + dy * v[1]) / distance

    def within(centre: np.ndarray, side: float, up: float, down: float) -> np.ndarray:
        a, b = offset(centre)
        return (np.abs(a) <= side) & (b >= -up) & (b <= down)

    half = np.hypot(*(points[4] - points[3])) / 2 / distance
    a, b = offset(points[:2].mean(0))
    regions = np.full(shape, REGIONS.index("hair, background"))
    regions[(a / 1.1) ** 2 + ((b - 0.5) / 1.45) ** 2 <= 1] = REGIONS.index("rest of the face")
    regions[within(points[2], 0.30, 0.55, 0.20)] = REGIONS.index("nose")
    regions[within((points[3] + points[4]) / 2, half + 0.15, 0.25, 0.35)] = REGIONS.index("mouth")
    for eye in points[:2]:
        regions[within(eye, 0.35, 0.60, 0.18)] = REGIONS.index("brows")
    for eye in points[:2]:
        regions[within(eye, 0.35, 0.18, 0.22)] = REGIONS.index("eyes")
    return regions


def region_shares(explanation: Explanation, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the map points: share of the positive weight in each of REGIONS, and the share of pixels it has anyway.

    A superpixel's weight counts as often as it has pixels in the region, over its own size. Both float [6], each sums
    to 1 (the first is NaN when no weight is positive). Raises ValueError as `face_regions`.
    """
    regions = face_regions(landmarks, shape=explanation.segments.shape)
    sizes = np.bincount(explanation.segments.ravel(), minlength=len(explanation.weights))
    density = (explanation.weights.clip(min=0) / sizes)[explanation.segments]
    weight = np.bincount(regions.ravel(), density.ravel(), minlength=len(REGIONS))
    area = np.bincount(regions.ravel(), minlength=len(REGIONS)) / regions.size
    total = weight.sum()
    return (weight / total if total > 0 else np.full(len(REGIONS), np.nan)), area


def where(explanation: Explanation, landmarks: np.ndarray, *, n: int = 2) -> str:
    """The n parts of the face that hold most of the positive weight, in words: "mouth 41 % (9 % of the pixels), …".

    Says so when the landmarks are missing (NaN), the face is in profile or no weight is positive.
    """
    if not np.isfinite(landmarks).all():
        return "no landmarks found"
    if not frontal(landmarks):
        return "a profile, its parts cannot be told apart"
    weight, area = region_shares(explanation, landmarks)
    if np.isnan(weight).any():
        return "nothing speaks for the class"
    order = np.argsort(-weight)[:n]
    return ", ".join(f"{REGIONS[i]} {100 * weight[i]:.0f} % ({100 * area[i]:.0f} % of the pixels)" for i in order)
