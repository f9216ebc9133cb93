"""Ensembles of stored runs, and test-time augmentation: means of probabilities, unweighted or with fitted weights.

Examples
--------
>>> weights = ensemble.fit_weights(*ensemble.stacked(runs, "public"))
>>> probabilities = np.average(ensemble.stacked(runs)[0], axis=0, weights=weights)
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_utils import faces, paths
from fer_utils.data import Fer2013
from fer_utils.evaluation.runs import Run, digest, stored_study
from fer_utils.models import Classifier

ROUNDS = 2000  # of expectation-maximization; the last half of them gains less than 1e-6 of log loss
CROPS = 12
TTA = "tta.npz"


def stacked(runs: Sequence[Run], split: str = "private", *, tta: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Stored probabilities of runs on the same images, float32 [runs, N, 7], and the labels, int [N].

    `split`: "private" or "public"; `tta`: means over 12 crops (`read_tta`, PrivateTest only) instead of a single crop.
    """
    labels = [run.predictions[f"{split}_labels"] for run in runs]
    if not runs or any(not np.array_equal(labels[0], other) for other in labels):
        raise ValueError(f"runs: must be one or more, tested on the same images; got {[run.name for run in runs]}")
    return np.stack([(read_tta(run.name) if tta else run.predictions)[split] for run in runs]), labels[0].astype(int)


def _likelihoods(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each model's probability of the right class: float64 [models, N], never 0."""
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 3 or not probabilities.size or probabilities.shape[1] != len(labels):
        raise ValueError(f"probabilities: must be [models, {len(labels)}, 7]; got {list(probabilities.shape)}")
    return np.maximum(probabilities[:, np.arange(len(labels)), labels], 1e-12)


def fit_weights(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights of the mean under which the labels are most likely, float64 [models], by expectation-maximization.

    One optimum, for the models stay as they are (stacked density estimation, Smyth and Wolpert 1999).
    `probabilities`: float [models, N, 7]; `labels`: int [N], of images that no model was trained on: PublicTest.
    """
    likelihoods = _likelihoods(probabilities, labels)
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(ROUNDS):
        parts = weights[:, None] * likelihoods
        weights = (parts / parts.sum(0)).mean(1)
    return weights


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Log loss (nats) of the best_single model, the unweighted mean, and fitted weights in 10-fold cross-validation."""
    likelihoods = _likelihoods(probabilities, labels)
    fold, fitted = np.random.default_rng(2013).permutation(len(labels)) % 10, np.zeros(len(labels))
    for held_out in (fold == number for number in range(10)):
        fitted[held_out] = fit_weights(probabilities[:, ~held_out], labels[~held_out]) @ likelihoods[:, held_out]
    best = likelihoods[np.log(likelihoods).sum(1).argmax()]
    found = {"best_single": best, "unweighted": likelihoods.mean(0), "fitted": fitted}
    return {name: -float(np.log(values).mean()) for name, values in found.items()}


def crops(images: np.ndarray, others: np.ndarray, *, shift: int = 2) -> np.ndarray:
    """Twelve crops of each face, uint8 [12, N, S, S]: centre, four corners, the other preprocessing; and mirrored.

    As in Krizhevsky et al. 2012, but of the face's own size, its border repeated: a smaller crop, enlarged again, is
    blurred and costs light models accuracy. `images`: gray faces as the model was trained on them, aligned or not;
    `others`: the same faces preprocessed the other way, which adds as much as all four corners; `shift`: pixels to a
    corner crop (of 1, 2, 3 the one with the lowest log loss of MobileNetV3-Large on PublicTest).
    """
    side = images.shape[-1]
    if not images.shape == others.shape == (len(images), side, side) or not 0 <= shift < side:
        raise ValueError(f"images: must be [N, S, S] as others, S > shift; got {images.shape}, {others.shape}, {shift}")
    wide = np.pad(images, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    corners = [(shift, shift), (0, 0), (0, 2 * shift), (2 * shift, 0), (2 * shift, 2 * shift)]
    six = np.stack([*(wide[:, y : y + side, x : x + side] for y, x in corners), others])
    return np.concatenate([six, six[..., ::-1]])


def record_tta(name: str, fer: Fer2013) -> Path:
    """Store a shipped model's mean probabilities over `crops` of PrivateTest; PublicTest chose the crops."""
    path, private = Run(name).folder / TTA, fer.split("PrivateTest")
    aligned = faces.align_all(private.images, faces.load_landmarks(private))[0]
    with Classifier(name) as model:
        both = (aligned, private.images) if model.aligned else (private.images, aligned)
        found = np.mean([model.predict_faces(crop) for crop in crops(*both)], axis=0, dtype=np.float64)
        with paths.atomic(path) as temporary:
            np.savez_compressed(temporary, private=found.astype(np.float32), model=digest(model.path))
    return path


def read_tta(name: str) -> dict[str, np.ndarray]:
    """What `record_tta` stored: private, float32 [N, 7] in sample order, and model, the ONNX file's SHA-256."""
    with np.load(stored_study(name, TTA, "evaluation tta"), allow_pickle=False) as file:
        return dict(file)
