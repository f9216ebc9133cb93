"""LIME over many faces: where its maps point, whether another seed agrees, whether the network reacts as they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.explain import faithfulness as trust
from fer_utils.explain import lime as explain
from fer_utils.faces import alignment, landmarks

if TYPE_CHECKING:
    import pandas as pd

    from fer_utils.data import Fer2013

__all__ = ["Study", "choose_faces", "intervals", "measures", "study"]

CURVES = ("deletion", "insertion", "random_deletion", "random_insertion")


@dataclass(frozen=True)
class Study:
    """One row a face, explained for its own label.

    rows: int [N], row of the face in the split it came from. labels, predictions: int [N], classes. probability:
    float [N], the network's for the label. score: float [N], R² of LIME's linear model. spearman, top_iou: float [N],
    agreement of the seeds' maps (`trust.Stability`). weight, area: float [N, 6], share of the positive weight and of
    the pixels in each of `trust.REGIONS`; NaN weight where nothing speaks for the label. share: float [K], how much of
    the face is changed. curves: float [N, 4, K], probability of the label along `CURVES` (`trust.Faithfulness`).
    """

    rows: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    probability: np.ndarray
    score: np.ndarray
    spearman: np.ndarray
    top_iou: np.ndarray
    weight: np.ndarray
    area: np.ndarray
    share: np.ndarray
    curves: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray) -> Study:
        """The faces of an index array or a mask."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return Study(**{name: value if name == "share" else value[index] for name, value in kept.items()})

    def areas(self, curve: str) -> np.ndarray:
        """Area under a curve of `CURVES` for each face, float [N]. Deletion: the lower the better."""
        return np.trapezoid(self.curves[:, CURVES.index(curve)], self.share, axis=1)

    def faithfulness(self) -> list[trust.Faithfulness]:
        """The curves as `trust.faithfulness` gives them, one a face."""
        return [trust.Faithfulness(self.share, **dict(zip(CURVES, face, strict=True))) for face in self.curves]


def choose_faces(
    fer: Fer2013, found: landmarks.Landmarks, *, classes: Sequence[str], each: int = 40, seed: int = 2013
) -> np.ndarray:
    """Faces to explain, chosen without asking a network, so that several networks can be compared on the same ones.

    Parameters
    ----------
    fer, found : a split and its landmarks. A chosen face has trusted landmarks and looks at the camera, because the
        parts of a face must be told apart, and is not blank.
    classes : names of the classes. each : faces of a class; fewer when there are not that many.

    Returns
    -------
    int [≤ each × classes], rows of `fer`: class by class, ascending.
    """
    unknown = set(classes) - set(CLASSES)
    if unknown or each < 1:
        raise ValueError(f"classes, each: must be among {', '.join(CLASSES)} and 1 or more; got {classes}, {each}")
    usable = found.confident & (fer.images.std((1, 2)) > 0)
    usable &= np.array([trust.frontal(points) for points in found.points], bool)
    rng, chosen = np.random.default_rng(seed), []
    for name in classes:
        rows = np.flatnonzero(usable & (fer.labels == CLASSES.index(name)))
        chosen.append(np.sort(rng.permutation(rows)[:each]))
    return np.concatenate([np.zeros(0, int), *chosen])


def study(
    predict: explain.Predict,
    fer: Fer2013,
    rows: np.ndarray,
    found: landmarks.Landmarks,
    *,
    aligned: bool = False,
    seeds: Sequence[int] = (2013, 2014),
    samples: int = 400,
    steps: int = 20,
    orders: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> Study:
    """Explain faces for their labels and put the maps to the test.

    Parameters
    ----------
    predict : float32 [N, 96, 96, 3] RGB 0–255 → probabilities [N, 7].
    fer, found : a split and its landmarks. rows : which of its faces (`choose_faces`).
    aligned : whether the network sees aligned faces; the landmarks are moved with the pixels.
    seeds, samples : each face gets a map from every seed (two or more), each from so many partly hidden faces; the
        first seed's map is the one that is tested and measured.
    steps, orders : as in `trust.faithfulness`.
    progress : called with (faces done, all of them).
    """
    if not len(rows):
        raise ValueError("rows: must name at least one face; got none")
    if len(seeds) < 2:
        raise ValueError(f"seeds: must be two or more, to be compared; got {list(seeds)}")
    table = []
    for number, row in enumerate(rows):
        face, points, label = fer.images[row], found.points[row], int(fer.labels[row])
        if aligned:
            face, points = alignment.align(face, points), alignment.align_points(points)
        maps = [explain.explain(predict, face, label=label, seed=seed, samples=samples) for seed in seeds]
        first, agreement = maps[0], trust.stability(maps)
        weight, area = trust.region_shares(first, points)
        test = trust.faithfulness(predict, first, steps=steps, orders=orders)
        table.append({
            "rows": row, "labels": label, "predictions": int(first.prediction.argmax()),
            "probability": first.prediction[label], "score": first.score, "spearman": agreement.spearman,
            "top_iou": agreement.top_iou, "weight": weight, "area": area,
            "curves": np.stack([getattr(test, curve) for curve in CURVES]),
        })
        if progress:
            progress(number + 1, len(rows))
    columns = {name: np.array([told[name] for told in table]) for name in table[0]}
    return Study(**columns, share=np.arange(steps + 1) / steps)


def measures(study: Study) -> dict[str, np.ndarray]:
    """What a study says of each face, by name, float [N] each; NaN where a face says nothing.

    Gains are areas between two curves: how much better LIME's order does than a random one, above 0 if it does. The
    weight minus the pixels of a part is above 0 where the network looks more than chance would; studies of faces that
    fill their pictures differently are compared by that.
    """
    beyond = study.weight - study.area
    return {
        "probability of the label": study.probability,
        "R² of the linear model": study.score,
        "ρ between two seeds": study.spearman,
        "strongest superpixels shared (IoU)": study.top_iou,
        "gain in deletion": study.areas("random_deletion") - study.areas("deletion"),
        "gain in insertion": study.areas("insertion") - study.areas("random_insertion"),
        **{f"weight on {region}": study.weight[:, at] for at, region in enumerate(trust.REGIONS)},
        **{f"weight minus pixels, {region}": beyond[:, at] for at, region in enumerate(trust.REGIONS)},
    }


def intervals(values: Mapping[str, np.ndarray], *, n: int = 2000, seed: int = 2013) -> pd.DataFrame:
    """Means over faces with the 95 % interval of a bootstrap over faces.

    Parameters
    ----------
    values : name → float [N], one number a face (`measures`, or the differences of two of them on the same faces);
        NaN is left out.
    n, seed : of the bootstrap; the same faces are drawn for every name of the same length.

    Returns
    -------
    A row a name: n, mean, low, high.
    """
    import pandas as pd

    rows = {}
    for name, numbers in values.items():
        known = np.asarray(numbers, float)
        known = known[~np.isnan(known)]
        if not len(known):
            raise ValueError(f"values: {name!r} must hold at least one number; got none")
        drawn = known[np.random.default_rng(seed).integers(0, len(known), (n, len(known)))].mean(1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        rows[name] = {"n": len(known), "mean": known.mean(), "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int})
