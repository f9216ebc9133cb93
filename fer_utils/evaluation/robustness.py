"""Robustness: accuracy on corrupted images, each corruption in severities 1 to 5.

In the manner of ImageNet-C (Hendrycks and Dietterich 2019), with what a webcam does to a face: it is rotated, out of
focus, noisy, dark, compressed, and partly covered. Everything works on FER2013's own 48 × 48 pixels.

Examples
--------
>>> robustness.record_robustness("xception", data.load(), count=600)
>>> robustness.read_robustness("xception").groupby("corruption").accuracy.min()
"""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from fer_utils.data import Fer2013
from fer_utils.evaluation.metrics import summary
from fer_utils.evaluation.runs import Run, digest, stored_study, write_json
from fer_utils.models import Classifier

SEVERITIES = (1, 2, 3, 4, 5)
EYES, MOUTH = (0.24, 0.50), (0.62, 0.92)  # top and bottom, as parts of the face's height
ROBUSTNESS = "robustness.json"
# A value for each severity, and what it means. Sigmas are px of 48 and gray levels.
CORRUPTIONS = {
    "rotation": ((8, 16, 24, 32, 45), "{}°"),
    "blur": ((0.6, 1.0, 1.5, 2.0, 3.0), "σ {} px"),
    "noise": ((8, 16, 26, 38, 54), "σ {}"),
    "low light": ((0.6, 0.4, 0.25, 0.15, 0.08), "{:.0%}"),
    "JPEG": ((40, 25, 15, 10, 6), "quality {}"),
    "eyes covered": ((0.2, 0.4, 0.6, 0.8, 1.0), "{:.0%}"),
    "mouth covered": ((0.2, 0.4, 0.6, 0.8, 1.0), "{:.0%}"),
}


def corrupt(images: np.ndarray, corruption: str, severity: int, *, seed: int = 2013) -> np.ndarray:
    """Corrupted copies of gray faces, uint8 [N, S, S]; severity 1 is hardly visible, 5 is hard for people too."""
    if corruption not in CORRUPTIONS or severity not in SEVERITIES:
        allowed = f"one of {', '.join(CORRUPTIONS)}, and 1–5"
        raise ValueError(f"corruption, severity: must be {allowed}; got {corruption!r}, {severity!r}")
    value, side, rng = CORRUPTIONS[corruption][0][severity - 1], images.shape[1], np.random.default_rng(seed)
    match corruption:
        case "rotation":
            centre, pairs = ((side - 1) / 2,) * 2, zip(images, rng.choice([-1, 1], len(images)), strict=True)
            turns = {sign: cv2.getRotationMatrix2D(centre, float(sign * value), 1) for sign in (-1, 1)}
            found = [cv2.warpAffine(image, turns[sign], (side, side), borderMode=cv2.BORDER_REPLICATE)
                     for image, sign in pairs]
        case "blur":
            found = [cv2.GaussianBlur(image, (0, 0), value) for image in images]
        case "noise" | "low light":  # a sensor's noise does not shrink with the light
            light, sigma = (1, value) if corruption == "noise" else (value, 2)
            noise = rng.normal(0, sigma, images.shape).astype(np.float32)
            found = np.rint(np.clip(images * np.float32(light) + noise, 0, 255))
        case "JPEG":
            files = (cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, value])[1] for image in images)
            found = [cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files]
        case _:  # a gray bar over the eyes or the mouth, grown from a random side
            top, bottom = (round(part * side) for part in (EYES if corruption == "eyes covered" else MOUTH))
            found, width = images.copy(), round(value * side)
            for image, from_left in zip(found, rng.random(len(found)) < 0.5, strict=True):
                image[top:bottom, slice(0, width) if from_left else slice(side - width, side)] = 128
    return np.asarray(found, np.uint8).reshape(images.shape)


def record_robustness(name: str, fer: Fer2013, *, count: int | None = None, seed: int = 2013) -> Path:
    """Store a shipped model's scores on PrivateTest, as it is and corrupted, and then aligned if it wants it so.

    `count`: so many images, randomly sampled by `seed`, which also decides the corruptions; default all.
    """
    path, private = Run(name).folder / ROBUSTNESS, fer.split("PrivateTest")
    if count is not None and not 1 <= count <= len(private):
        raise ValueError(f"count: must lie in 1–{len(private)}; got {count}")
    chosen = private.take(np.sort(np.random.default_rng(seed).permutation(len(private))[:count]))
    kinds = [("none", 0, "original")]
    kinds += [(corruption, severity, form.format(value)) for corruption, (values, form) in CORRUPTIONS.items()
              for severity, value in zip(SEVERITIES, values, strict=True)]
    kept = ["n", *(f"{name}{end}" for name in ("accuracy", "macro_f1") for end in ("", "_low", "_high")), "predictions"]
    rows = []
    with Classifier(name) as model:
        for corruption, severity, setting in kinds:
            images = corrupt(chosen.images, corruption, severity, seed=seed) if severity else chosen.images
            probabilities = model.predict_faces(model.images_of(dataclasses.replace(chosen, images=images)))
            # Classes as a text of digits: JSON would give each number of a list a line.
            found = summary(chosen.labels, probabilities) | {"predictions": "".join(map(str, probabilities.argmax(1)))}
            rows.append({"corruption": corruption, "severity": severity, "setting": setting,
                         **{key: found[key] for key in kept}})
        facts = {"model": digest(model.path), "seed": seed, "labels": "".join(map(str, chosen.labels))}
    write_json(path, facts | {"results": rows})
    return path


def read_robustness(name: str) -> pd.DataFrame:
    """Scores and predictions int [n], a row for each corruption and severity; `attrs`: labels, model (its SHA-256)."""
    stored = json.loads(stored_study(name, ROBUSTNESS, "evaluation robustness").read_text(encoding="utf-8"))
    table = pd.DataFrame(stored["results"])
    table["predictions"] = [np.array([*map(int, digits)]) for digits in table["predictions"]]
    # A list, since pandas compares attributes when it joins tables.
    table.attrs |= {"model": stored["model"], "labels": [*map(int, stored["labels"])]}
    return table
