"""LIME over many faces: where its maps point, whether another seed agrees, whether the model reacts as they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from fer_utils import faces, paths
from fer_utils.data import CLASSES, Fer2013
from fer_utils.evaluation.runs import Run, digest, stored_study
from fer_utils.explain._faithfulness import REGIONS, faithfulness, is_frontal, region_weights, stability
from fer_utils.explain._lime import explain
from fer_utils.models import Classifier

__all__ = ["Study", "choose_faces", "mean_intervals", "measures", "read_study", "record_study", "study"]

STUDY = "lime.npz"
EXPLAINED = ("Angry", "Disgust", "Surprise")
CURVES = ("deletion", "insertion", "random_deletion", "random_insertion")


@dataclass(frozen=True)
class Study:
    """LIME on N faces, each explained for its own label.

    Attributes
    ----------
    rows : int [N], row of the face in the split it came from.
    labels, predictions : int [N], classes 0–6.
    probability : float [N], the model's of the label.
    score : float [N], R² of LIME's linear model.
    spearman, top_iou : float [N], agreement of the seeds' maps (`Stability`).
    weight, area : float [N, 6], as from `region_weights`.
    share, curves : float [K] and [N, 4, K], as from `faithfulness`: deletion, insertion, and the same at random.

    Examples
    --------
    >>> read_study("xception")[0].take(slice(10)).curves.shape
    (10, 4, 21)
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

    def take(self, index: np.ndarray | slice) -> Study:
        """The faces of an index array, a mask or a slice."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return Study(**{name: value if name == "share" else value[index] for name, value in kept.items()})


def choose_faces(
    fer: Fer2013, landmarks: faces.Landmarks, *, classes: Sequence[str] = EXPLAINED, each: int = 40, seed: int = 2013
) -> np.ndarray:
    """Faces to explain, chosen without a model, so that several models are compared on the same: int, rows of `fer`.

    A chosen face has confident landmarks and looks at the camera, so that its parts can be told apart, and is not
    blank. `classes`: names; `each`: faces of a class, randomly sampled by `seed`, fewer when there are not that many.

    Examples
    --------
    >>> choose_faces(private, faces.load_landmarks(private), classes=("Happy",), each=5)
    """
    if not set(classes) <= set(CLASSES) or each < 1:
        raise ValueError(f"classes, each: must be among {', '.join(CLASSES)} and 1 or more; got {classes}, {each}")
    usable = landmarks.confident & (fer.images.std((1, 2)) > 0) & [is_frontal(points) for points in landmarks.points]
    random = np.random.default_rng(seed)
    rows = (np.flatnonzero(usable & (fer.labels == CLASSES.index(name))) for name in classes)
    return np.concatenate([np.zeros(0, int), *(np.sort(random.permutation(found)[:each]) for found in rows)])


def study(
    model: Classifier, fer: Fer2013, rows: np.ndarray, landmarks: faces.Landmarks, *,
    seeds: Sequence[int] = (2013, 2014), samples: int = 400, steps: int = 20, orders: int = 3, verbose: bool = False,
) -> Study:
    """Explain faces for their labels, and test the maps.

    Parameters
    ----------
    model : sees the faces aligned if it wants them so.
    fer, landmarks : a split and its landmarks.
    rows : which of its faces (`choose_faces`).
    seeds, samples : each face gets a map from every seed (two or more), each from so many partly hidden faces; the
        first seed's map is the one that is tested and measured.
    steps, orders : as in `faithfulness`.
    verbose : print the progress.

    Examples
    --------
    >>> result = study(classifier, private, choose_faces(private, landmarks), landmarks)
    """
    if not len(rows) or len(seeds) < 2:
        raise ValueError(f"rows, seeds: must be one or more and two or more; got {len(rows)} and {list(seeds)}")
    table, chosen = [], fer.take(rows)
    for row, image, label in zip(rows, model.images_of(chosen), chosen.labels.tolist(), strict=True):
        points = faces.align_points(landmarks.points[row]) if model.aligned else landmarks.points[row]
        maps = [explain(model.predict, image, label=label, seed=seed, samples=samples) for seed in seeds]
        first, agreement = maps[0], stability(maps)
        weight, area = region_weights(first, points)
        curves = faithfulness(model.predict, first, steps=steps, orders=orders)
        table.append({
            "rows": row, "labels": label, "predictions": first.prediction.argmax(), "score": first.score,
            "probability": first.prediction[label], **agreement._asdict(), "weight": weight, "area": area,
            "curves": curves[[*CURVES]].to_numpy().T,
        })
        if verbose and len(table) % 10 == 0:
            print(f"  {len(table)} of {len(rows)} faces explained", flush=True)
    columns = {name: np.array([face[name] for face in table]) for name in table[0]}
    return Study(**columns, share=curves["share"].to_numpy())


def record_study(name: str, fer: Fer2013, *, each: int = 40, samples: int = 400, verbose: bool = False) -> Path:
    """Store the `study` of a shipped model on PrivateTest faces of three classes in `models/runs/<run>/lime.npz`.

    Parameters are those of `choose_faces` and `study`.

    Examples
    --------
    >>> record_study("xception", data.load())
    """
    path, private = Run(name).folder / STUDY, fer.split("PrivateTest")
    landmarks = faces.load_landmarks(private)
    rows = choose_faces(private, landmarks, each=each)
    with Classifier(name) as model:
        result = study(model, private, rows, landmarks, samples=samples, verbose=verbose)
        with paths.atomic(path) as temporary:
            np.savez_compressed(temporary, **vars(result), samples=samples, model=digest(model.path))
    return path


def read_study(name: str) -> tuple[Study, dict[str, str]]:
    """What `record_study` stored, and its facts: `samples` of a map, `model`, the ONNX file's SHA-256.

    Examples
    --------
    >>> found, facts = read_study("xception")
    """
    with np.load(stored_study(name, STUDY, "explain"), allow_pickle=False) as file:
        content = dict(file)
    facts = {key: str(content.pop(key)) for key in ("samples", "model")}
    return Study(**content), facts


def measures(study: Study) -> pd.DataFrame:
    """What a study says of each face, a row a face; NaN where nothing raises the label.

    A difference to random is above 0 where LIME's order is better; an area-adjusted attribution (weight minus pixels)
    where the model looks more than chance would. Compare by it studies of faces that fill their images differently.

    Examples
    --------
    >>> measures(read_study("xception")[0]).mean()
    """
    deletion, insertion, random_deletion, random_insertion = np.trapezoid(study.curves, study.share, axis=2).T
    adjusted = study.weight - study.area
    return pd.DataFrame({
        "probability of the label": study.probability, "R² of the linear model": study.score,
        "rank correlation of two seeds": study.spearman, "top-5 IoU of two seeds": study.top_iou,
        "deletion AUC, difference to random": random_deletion - deletion,
        "insertion AUC, difference to random": insertion - random_insertion,
        **{f"attribution to {name}": study.weight[:, at] for at, name in enumerate(REGIONS)},
        **{f"area-adjusted attribution to {name}": adjusted[:, at] for at, name in enumerate(REGIONS)},
    })


def mean_intervals(table: pd.DataFrame, *, n: int = 2000, seed: int = 2013) -> pd.DataFrame:
    """Mean of each column over faces, with the 95 % interval of a bootstrap over faces: n, mean, low, high.

    `table`: a row for each face (`measures`, or the differences of two on the same faces); NaN is left out.

    Examples
    --------
    >>> mean_intervals(measures(after) - measures(before))
    """
    def interval(column: pd.Series) -> pd.Series:
        known = column.dropna().to_numpy()
        drawn = known[np.random.default_rng(seed).integers(0, len(known), (n, len(known)))].mean(1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return pd.Series({"n": len(known), "mean": known.mean(), "low": low, "high": high})

    return table.apply(interval).T.astype({"n": int})
