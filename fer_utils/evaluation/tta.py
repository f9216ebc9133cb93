"""Test-time augmentation: a face judged in twelve views, six pictures and their mirror images, probabilities averaged.

Five crops as in Krizhevsky et al. 2012, the middle and the corners, but as large as the face itself, out of the face
with its border repeated: cropped smaller and enlarged again, faces are blurred and larger than a network knows them,
and light networks lose accuracy (model card). The sixth picture is the face as the network was not trained to see it:
aligned where it knows whole frames, the whole frame where it knows aligned faces. Alone that one is judged worse than
the five; it adds as much as all four corners (EfficientNet-B0 on PublicTest, model card), for the network errs on other
faces there. Rows of a table that use this must say so: it costs twelve passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["COUNT", "SHIFT", "predict", "views"]

Judge = Callable[[np.ndarray], np.ndarray]
COUNT = 12
SHIFT = 2  # px of 48; of 1, 2, 3 the one with the lowest log loss of MobileNetV3-Large on PublicTest


def views(images: np.ndarray, others: np.ndarray, *, shift: int = SHIFT) -> np.ndarray:
    """Twelve views of each face, uint8 [12, N, S, S]: as it is, moved to the four corners, the other picture of it;
    then the same six mirrored.

    Parameters
    ----------
    images : uint8 [N, S, S], gray, as the network was trained to see them (whole frames, or aligned).
    others : uint8 [N, S, S], the same faces the other way (aligned, or whole frames).
    shift : how far the face is moved along both axes, in pixels; 0 gives the face itself five times.

    Raises
    ------
    ValueError for another shape or dtype, or a shift that is negative or as large as the face.
    """
    images, others = np.asarray(images), np.asarray(others)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
        raise ValueError(f"images: must be uint8 [N, S, S]; got {images.dtype} {list(images.shape)}")
    if others.shape != images.shape or others.dtype != images.dtype:
        raise ValueError(
            f"others: must be uint8 {list(images.shape)}, as images; got {others.dtype} {list(others.shape)}"
        )
    side = images.shape[1]
    if not 0 <= shift < side:
        raise ValueError(f"shift: must lie in 0 … {side - 1}; got {shift}")
    wide = np.pad(images, ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    corners = [(shift, shift), (0, 0), (0, 2 * shift), (2 * shift, 0), (2 * shift, 2 * shift)]
    six = np.stack([*(wide[:, y : y + side, x : x + side] for y, x in corners), others])
    return np.concatenate([six, six[..., ::-1]])


def predict(judges: Sequence[Judge], images: np.ndarray, others: np.ndarray, *, shift: int = SHIFT) -> np.ndarray:
    """Mean probabilities of one or several classifiers over the twelve views, float32 [N, 7].

    `judges` : each maps faces uint8 [N, 48, 48] to probabilities [N, 7], e.g. `lambda faces:
    classifier.predict(to_inputs(faces))`. Several of them make an ensemble with equal weights. The rest as in `views`.
    """
    if not judges:
        raise ValueError("judges: must name at least one classifier; got none")
    parts = [judge(faces) for faces in views(images, others, shift=shift) for judge in judges]
    return np.mean(parts, axis=0, dtype=np.float64).astype(np.float32)
