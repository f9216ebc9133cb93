"""Labels that FER+'s votes have a say in."""

from __future__ import annotations

import numpy as np

from fer_utils.data.fer2013 import VOTE_CLASSES

__all__ = ["calibrated_votes", "soft_labels"]


def calibrated_votes(
    labels: np.ndarray, votes: np.ndarray | None, answers: np.ndarray | None = None
) -> np.ndarray:
    """What FER2013's label is likely to be, given the FER+ votes, or the answers of networks too, or these alone.

    FER+'s voters and FER2013's annotators name the same face differently (voters hardly ever say Fear or Disgust, and
    their majority agrees with the label on 63 % of the rows). A multinomial logistic regression from vote shares to
    labels, fitted on these very rows, learns that dictionary. With 147 coefficients (196 with answers) for thousands of
    rows it cannot memorize a row's label, so it is a target without FER2013's label noise but with its class
    proportions. The same regression weighs the answers against the votes.

    Parameters
    ----------
    labels : int [N], FER2013's own, 0–6, at least two classes.
    votes : uint8 [N, 10] in FER+'s order, or None.
    answers : log probabilities float [N, 7] by networks that were not trained on the row (`crossfit`), or None.

    Returns
    -------
    float32 [N, 7], rows sum to 1; a class without rows gets 0.
    """
    from sklearn.linear_model import LogisticRegression

    told = [] if answers is None else [answers]
    if votes is not None:
        shares = votes / np.maximum(1, votes.sum(1, keepdims=True, dtype=np.float64))
        told += [shares, np.log(shares + 0.05)]  # one vote of twenty: finer differences are chance
    if not told:
        raise ValueError("votes, answers: at least one must be given; got None, None")
    features = np.hstack(told)
    fitted = LogisticRegression(max_iter=2000).fit(features, labels)
    translated = np.zeros((len(labels), 7), np.float32)
    translated[:, fitted.classes_] = fitted.predict_proba(features)
    return translated


def soft_labels(
    labels: np.ndarray,
    votes: np.ndarray | None,
    *,
    blend: float = 0.3,
    smoothing: float = 0.0,
    translate: bool = False,
    answers: np.ndarray | None = None,
) -> np.ndarray:
    """One-hot labels blended with FER+ votes.

    Parameters
    ----------
    labels : int [N], FER2013's own, 0–6.
    votes : uint8 [N, 10] in FER+'s order (neutral, happiness, surprise, sadness, anger, disgust, fear, contempt,
        unknown, NF) or None. Contempt, unknown and NF have no class here; a row without other votes stays one-hot.
    blend : share of the votes, 0–1.
    smoothing : share spread evenly over all classes, 0–1.
    translate : blend with `calibrated_votes` instead of the votes as they are.
    answers : for `calibrated_votes`, which takes them with or without votes.

    Returns
    -------
    float32 [N, 7], rows sum to 1.
    """
    if not (0 <= blend <= 1 and 0 <= smoothing <= 1):
        raise ValueError(f"blend, smoothing: must lie in [0, 1]; got {blend}, {smoothing}")
    if answers is not None and not translate:
        raise ValueError("answers: only translated votes take them, translate=True; got translate False")
    targets = np.eye(7, dtype=np.float32)[labels]
    if blend and (votes is not None or answers is not None):
        if translate:
            crowd = calibrated_votes(labels, votes, answers)
        else:
            crowd = votes[:, np.argsort(VOTE_CLASSES)].astype(np.float32)  # FER+'s columns in FER2013's class order
            total = crowd.sum(1, keepdims=True)
            crowd = np.divide(crowd, total, out=targets.copy(), where=total > 0)
        targets = (1 - blend) * targets + blend * crowd
    return (1 - smoothing) * targets + np.float32(smoothing / 7)
