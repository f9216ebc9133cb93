"""Ensembles of stored runs, and test-time augmentation: means of probabilities, unweighted or with fitted weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_utils import faces, paths
from fer_utils.data import Fer2013
from fer_utils.evaluation.runs import Run, digest, stored_study
from fer_utils.models import Classifier

__all__ = ["CROPS", "crops", "fit_weights", "log_losses", "read_tta", "record_tta", "stacked"]

ROUNDS = 2000  # of expectation-maximization; the last half of them gains less than 1e-6 of log loss
CROPS = 12
SHIFT = 2  # px of 48; of 1, 2, 3 the one with the lowest log loss of MobileNetV3-Large on PublicTest
TTA = "tta.npz"


def stacked(runs: Sequence[Run], split: str = "private", *, tta: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Stored probabilities of runs on the same images, float32 [runs, N, 7], and the labels, int [N].

    `split`: "private" or "public"; `tta`: the means over 12 crops (`read_tta`, PrivateTest only) instead of a single
    crop's. Raises ValueError for no run, or runs that were not tested on the same images.

    Examples
    --------
    >>> weights = fit_weights(*stacked(runs, "public"))
    >>> probabilities = np.average(stacked(runs)[0], axis=0, weights=weights)
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


def _fit(likelihoods: np.ndarray) -> np.ndarray:
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(ROUNDS):
        parts = weights[:, None] * likelihoods
        weights = (parts / parts.sum(0)).mean(1)
    return weights


def fit_weights(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights of the mean under which the labels are most likely, float64 [models], by expectation-maximization.

    There is one optimum, for the models stay as they are (stacked density estimation, Smyth and Wolpert 1999).
    `probabilities`: float [models, N, 7]; `labels`: int [N], of images that no model was trained on: PublicTest.

    Examples
    --------
    >>> fit_weights(*stacked(runs, "public")).round(2)
    """
    return _fit(_likelihoods(probabilities, labels))


def log_losses(probabilities: np.ndarray, labels: np.ndarray, *, folds: int = 10, seed: int = 2013) -> dict[str, float]:
    """Log loss in nats of the best single model (best_single), the unweighted mean and the one with fitted weights.

    Parameters are those of `fit_weights`; fitted weights are cross-validated in `folds`, which `seed` decides.

    Examples
    --------
    >>> log_losses(*stacked(runs, "public"))["fitted"]
    """
    likelihoods = _likelihoods(probabilities, labels)
    fold, fitted = np.random.default_rng(seed).permutation(len(labels)) % folds, np.zeros(len(labels))
    for held_out in (fold == number for number in range(folds)):
        fitted[held_out] = _fit(likelihoods[:, ~held_out]) @ likelihoods[:, held_out]
    best = likelihoods[np.log(likelihoods).sum(1).argmax()]
    found = {"best_single": best, "unweighted": likelihoods.mean(0), "fitted": fitted}
    return {name: -float(np.log(values).mean()) for name, values in found.items()}


def crops(images: np.ndarray, others: np.ndarray, *, shift: int = SHIFT) -> np.ndarray:
    """Twelve crops of each face, uint8 [12, N, S, S]: centre, four corners, the other preprocessing; and mirrored.

    As in Krizhevsky et al. 2012, but as large as the face itself, out of the face with its border repeated: a smaller
    crop, enlarged again, is blurred and costs light models accuracy. A model errs on other faces when it sees an
    unaligned face aligned (or the other way round); that crop adds as much as all four corners.

    `images`: uint8 [N, S, S], gray faces as the model was trained on them, aligned or not; `others`: the same faces
    preprocessed the other way; `shift`: pixels from the centre to a corner crop, along both axes, less than S.

    Examples
    --------
    >>> crops(fer.images, faces.align_all(fer.images, faces.load_landmarks(fer))[0]).shape
    (12, 3589, 48, 48)
    """
    side = images.shape[-1]
    if not images.shape == others.shape == (len(images), side, side) or not 0 <= shift < side:
        raise ValueError(f"images: must be [N, S, S] as others, S > shift; got {images.shape}, {others.shape}, {shift}")
    wide = np.pad(images, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    corners = [(shift, shift), (0, 0), (0, 2 * shift), (2 * shift, 0), (2 * shift, 2 * shift)]
    six = np.stack([*(wide[:, y : y + side, x : x + side] for y, x in corners), others])
    return np.concatenate([six, six[..., ::-1]])


def record_tta(name: str, fer: Fer2013) -> Path:
    """Store a shipped model's mean probabilities over `crops` of PrivateTest in `models/runs/<run>/tta.npz`.

    PublicTest is left out: it chose the crops.

    Examples
    --------
    >>> record_tta("xception", data.load())
    """
    path, private = Run(name).folder / TTA, fer.split("PrivateTest")
    aligned = faces.align_all(private.images, faces.load_landmarks(private))[0]
    with Classifier(name) as model:
        both = (aligned, private.images) if model.aligned else (private.images, aligned)
        found = np.mean([model.predict_faces(crop) for crop in crops(*both)], axis=0, dtype=np.float64)
        with paths.atomic(path) as temporary:
            np.savez_compressed(temporary, private=found.astype(np.float32), model=digest(model.path))
    return path


def read_tta(name: str) -> dict[str, np.ndarray]:
    """What `record_tta` stored: private, float32 [N, 7] in sample order, and model, the ONNX file's SHA-256.

    Examples
    --------
    >>> read_tta("xception")["private"].shape
    (3589, 7)
    """
    with np.load(stored_study(name, TTA, "evaluation tta"), allow_pickle=False) as file:
        return dict(file)
