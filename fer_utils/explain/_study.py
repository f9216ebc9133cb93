"""LIME over many faces: where its maps point, whether another seed agrees, whether the model reacts as they say."""

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

STUDY = "lime.npz"
EXPLAINED = ("Angry", "Disgust", "Surprise")
SEEDS, SAMPLES = (2013, 2014), 400  # of the maps of a face, and of each map


@dataclass(frozen=True)
class Study:
    """LIME on N faces, each explained for its own label."""

    rows: np.ndarray  # int [N], row of the face in the split it came from
    labels: np.ndarray  # int [N], classes 0–6
    predictions: np.ndarray  # int [N]
    probability: np.ndarray  # float [N], the model's of the label
    score: np.ndarray  # float [N], R² of LIME's linear model
    spearman: np.ndarray  # float [N], as from `stability`
    top_iou: np.ndarray
    weight: np.ndarray  # float [N, 6], as from `region_weights`
    area: np.ndarray
    share: np.ndarray  # float [K], as from `faithfulness`
    curves: np.ndarray  # float [N, 4, K]: deletion, insertion, and the same at random

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray | slice) -> "Study":
        """The faces of an index array, a mask or a slice."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return Study(**{name: value if name == "share" else value[index] for name, value in kept.items()})


def choose_faces(fer: Fer2013, landmarks: faces.Landmarks, *, classes: Sequence[str] = EXPLAINED,
                 each: int = 40) -> np.ndarray:
    """Rows of `fer`, so many of each class, the same for every model: not blank, frontal, with confident landmarks."""
    usable = landmarks.confident & (fer.images.std((1, 2)) > 0) & [is_frontal(points) for points in landmarks.points]
    random = np.random.default_rng(2013)
    rows = (np.flatnonzero(usable & (fer.labels == CLASSES.index(name))) for name in classes)
    return np.concatenate([np.sort(random.permutation(found)[:each]) for found in rows])


def study(model: Classifier, fer: Fer2013, rows: np.ndarray, landmarks: faces.Landmarks, *,
          samples: int = SAMPLES) -> Study:
    """Explain faces for their labels, aligned if the model wants them so; test and measure the first seed's maps."""
    if not len(rows):
        raise ValueError("rows: must be one or more; got none")
    table, chosen = [], fer.take(rows)
    for row, image, label in zip(rows, model.images_of(chosen), chosen.labels.tolist(), strict=True):
        points = faces.align_points(landmarks.points[row]) if model.aligned else landmarks.points[row]
        maps = [explain(model.predict, image, label=label, seed=seed, samples=samples) for seed in SEEDS]
        first, curves = maps[0], faithfulness(model.predict, maps[0])
        weight, area = region_weights(first, points)
        table.append({"rows": row, "labels": label, "predictions": first.prediction.argmax(), "score": first.score,
                      "probability": first.prediction[label], **stability(maps)._asdict(), "weight": weight,
                      "area": area, "curves": curves.drop(columns="share").to_numpy().T})
        if len(table) % 10 == 0:
            print(f"  {len(table)} of {len(rows)} faces explained", flush=True)
    columns = {name: np.array([face[name] for face in table]) for name in table[0]}
    return Study(**columns, share=curves["share"].to_numpy())


def record_study(name: str, fer: Fer2013) -> Path:
    """Store the `study` of a shipped model on PrivateTest faces of three classes in `models/runs/<run>/lime.npz`."""
    path, private = Run(name).folder / STUDY, fer.split("PrivateTest")
    landmarks = faces.load_landmarks(private)
    with Classifier(name) as model:
        result = study(model, private, choose_faces(private, landmarks), landmarks)
        with paths.atomic(path) as temporary:
            np.savez_compressed(temporary, **vars(result), samples=SAMPLES, model=digest(model.path))
    return path


def read_study(name: str) -> tuple[Study, dict[str, str]]:
    """A stored `study` of a run, and its facts: `samples` of a map, `model`, the ONNX file's SHA-256.

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

    Differences to random and area-adjusted attributions (weight minus pixels) are above 0 where it beats chance.

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


def mean_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """n, mean and 95 % bootstrap interval (low, high) over the faces of `measures` or of a difference; without NaN.

    Examples
    --------
    >>> mean_intervals(measures(after) - measures(before))
    """
    def interval(column: pd.Series) -> pd.Series:
        known = column.dropna().to_numpy()
        drawn = known[np.random.default_rng(2013).integers(0, len(known), (2000, len(known)))].mean(1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return pd.Series({"n": len(known), "mean": known.mean(), "low": low, "high": high})

    return table.apply(interval).T.astype({"n": int})
