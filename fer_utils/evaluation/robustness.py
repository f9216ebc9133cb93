"""Robustness: accuracy on corrupted images, each corruption in severities 1 to 5.

In the manner of ImageNet-C (Hendrycks and Dietterich 2019), with what a webcam does to a face: it is rotated, out of
focus, noisy, dark, compressed, and partly covered. Everything works on FER2013's own 48 × 48 pixels.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from fer_utils.data import Fer2013
from fer_utils.evaluation.metrics import summary
from fer_utils.evaluation.runs import Run, digest, stored_study, write_json
from fer_utils.models import Classifier

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupt", "read_robustness", "record_robustness"]

SEVERITIES = (1, 2, 3, 4, 5)
EYES, MOUTH = (0.24, 0.50), (0.62, 0.92)  # top and bottom, as parts of the face's height
ROBUSTNESS = "robustness.json"


def _rotate(images: np.ndarray, degrees: int, rng: np.random.Generator) -> list[np.ndarray]:
    size = images.shape[1:]
    turns = {sign: cv2.getRotationMatrix2D(((size[0] - 1) / 2,) * 2, float(sign * degrees), 1) for sign in (-1, 1)}
    pairs = zip(images, rng.choice([-1, 1], len(images)), strict=True)
    return [cv2.warpAffine(image, turns[sign], size, borderMode=cv2.BORDER_REPLICATE) for image, sign in pairs]


def _blur(images: np.ndarray, sigma: float, _: np.random.Generator) -> list[np.ndarray]:
    return [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]


def _add_noise(images: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return np.rint(np.clip(images + rng.normal(0, sigma, images.shape).astype(np.float32), 0, 255))


def _darken(images: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    return _add_noise(images * np.float32(factor), 2, rng)  # a sensor's noise does not shrink with the light


def _compress(images: np.ndarray, quality: int, _: np.random.Generator) -> list[np.ndarray]:
    files = (cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for image in images)
    return [cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files]


def _cover(images: np.ndarray, part: float, rng: np.random.Generator, *, rows: tuple[float, float]) -> np.ndarray:
    """A gray bar over these rows, grown from a random side."""
    out, side = images.copy(), images.shape[1]
    top, bottom, width = round(rows[0] * side), round(rows[1] * side), round(part * side)
    for image, from_left in zip(out, rng.random(len(out)) < 0.5, strict=True):
        image[top:bottom, slice(0, width) if from_left else slice(side - width, side)] = 128
    return out


# Function, its value for each severity, and what the value means. Sigmas are px of 48 and gray levels.
CORRUPTIONS = {
    "rotation": (_rotate, (8, 16, 24, 32, 45), "{}°"),
    "blur": (_blur, (0.6, 1.0, 1.5, 2.0, 3.0), "σ {} px"),
    "noise": (_add_noise, (8, 16, 26, 38, 54), "σ {}"),
    "low light": (_darken, (0.6, 0.4, 0.25, 0.15, 0.08), "{:.0%}"),
    "JPEG": (_compress, (40, 25, 15, 10, 6), "quality {}"),
    "eyes covered": (partial(_cover, rows=EYES), (0.2, 0.4, 0.6, 0.8, 1.0), "{:.0%}"),
    "mouth covered": (partial(_cover, rows=MOUTH), (0.2, 0.4, 0.6, 0.8, 1.0), "{:.0%}"),
}


def corrupt(images: np.ndarray, corruption: str, severity: int, *, seed: int = 2013) -> np.ndarray:
    """Corrupted copies of gray faces, uint8 [N, S, S].

    `corruption`: one of CORRUPTIONS; `severity`: 1 (hardly visible) to 5 (hard for people too); `seed`: of noise,
    directions and sides, which are the same in every severity.

    Examples
    --------
    >>> corrupt(np.zeros((3, 48, 48), np.uint8), "blur", 2).shape
    (3, 48, 48)
    """
    if corruption not in CORRUPTIONS:
        raise ValueError(f"corruption: must be one of {', '.join(CORRUPTIONS)}; got {corruption!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity: must be one of {SEVERITIES}; got {severity!r}")
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
        raise ValueError(f"images: must be uint8 [N, S, S]; got {images.dtype} {list(images.shape)}")
    change, values, _ = CORRUPTIONS[corruption]
    return np.asarray(change(images, values[severity - 1], np.random.default_rng(seed)), np.uint8).reshape(images.shape)


def _scores(predict: Callable, images: np.ndarray, labels: np.ndarray, seed: int) -> pd.DataFrame:
    """What `record_robustness` stores; `predict`: uint8 [N, 48, 48] → probabilities [N, 7]."""
    kept = ["n", *(f"{score}{end}" for score in ("accuracy", "macro_f1") for end in ("", "_low", "_high"))]
    kinds = [("none", 0, "original")]
    kinds += [(name, severity, form.format(values[severity - 1]))
              for name, (_, values, form) in CORRUPTIONS.items() for severity in SEVERITIES]
    rows = []
    for name, severity, setting in kinds:
        probabilities = predict(corrupt(images, name, severity, seed=seed) if severity else images)
        found = summary(labels, probabilities)
        rows.append({"corruption": name, "severity": severity, "setting": setting, **{key: found[key] for key in kept},
                     "predictions": probabilities.argmax(1)})
    return pd.DataFrame(rows)


def record_robustness(name: str, fer: Fer2013, *, count: int | None = None, seed: int = 2013) -> Path:
    """Store a shipped model's scores on PrivateTest, as it is and corrupted, in `models/runs/<run>/robustness.json`.

    A model of aligned faces has them found and aligned in the corrupted images, as in use. `count`: so many images,
    randomly sampled by `seed`, which also decides the corruptions: every model sees the same; default all.

    Examples
    --------
    >>> record_robustness("xception", data.load(), count=600)
    """
    path, private = Run(name).folder / ROBUSTNESS, fer.split("PrivateTest")
    if count is not None and not 1 <= count <= len(private):
        raise ValueError(f"count: must lie in 1–{len(private)}; got {count}")
    chosen = private.take(np.sort(np.random.default_rng(seed).permutation(len(private))[:count]))
    with Classifier(name) as model:
        def predict(images: np.ndarray) -> np.ndarray:
            return model.predict_faces(model.images_of(dataclasses.replace(chosen, images=images)))

        table = _scores(predict, chosen.images, chosen.labels, seed)
        facts = {"model": digest(model.path), "seed": seed, "labels": _digits(chosen.labels)}
    results = table.assign(predictions=[_digits(row) for row in table.predictions]).to_dict(orient="records")
    write_json(path, facts | {"results": results})
    return path


def read_robustness(name: str) -> pd.DataFrame:
    """What `record_robustness` stored: a row for the images as they are, and for every corruption and severity.

    Columns: corruption ("none" in the first row), severity (0 there), setting (what the severity means), n, accuracy
    and macro_f1 with their 95 % intervals (_low, _high), predictions (int [n]). `attrs` has the labels (list of int)
    and model, the ONNX file's SHA-256.

    Examples
    --------
    >>> read_robustness("xception").groupby("corruption").accuracy.min()
    """
    stored = json.loads(stored_study(name, ROBUSTNESS, "evaluation robustness").read_text(encoding="utf-8"))
    table = pd.DataFrame(stored["results"])
    table["predictions"] = [np.array([*map(int, digits)]) for digits in table["predictions"]]
    # A list, since pandas compares attributes when it joins tables.
    table.attrs |= {"model": stored["model"], "labels": [*map(int, stored["labels"])]}
    return table


def _digits(classes: np.ndarray) -> str:
    """Classes as a text of digits: JSON would give each a line."""
    return "".join(map(str, classes))
