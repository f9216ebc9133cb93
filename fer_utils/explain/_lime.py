"""LIME (Ribeiro et al. 2016, arXiv:1602.04938) on faces: which superpixels raise the probability of a class?

LIME hides random sets of superpixels, asks the model each time, and fits a linear model to its predictions: a
superpixel's weight is how much showing it raises the probability of one class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.faces import to_input

Predict = Callable[[np.ndarray], np.ndarray]  # float32 [N, 96, 96, 3] RGB 0–255 → float32 [N, 7], as Classifier.predict
BATCH = 64
KERNEL_WIDTH = 0.25  # of LIME's image explainer


@dataclass(frozen=True)
class Explanation:
    """One face, explained for one class."""

    image: np.ndarray  # uint8 [96, 96], gray, as the model saw it
    segments: np.ndarray  # int [96, 96], superpixel of each pixel, 0 … S-1
    weights: np.ndarray  # float64 [S], what showing a superpixel adds to the probability of the label
    label: int  # the class explained, 0–6
    prediction: np.ndarray  # float32 [7], the model's probabilities for the whole face
    score: float  # R² of the linear model on its samples; 1 = it follows the network exactly
    error: float = 0.0  # standard error of a weight, where several seeds tell it

    @property
    def heat(self) -> np.ndarray:
        """float64 [96, 96], each pixel's weight; NaN where it is not above the noise, three standard errors."""
        return np.where(np.abs(self.weights) > 3 * self.error, self.weights, np.nan)[self.segments]

    def top(self, k: int = 5) -> np.ndarray:
        """int [≤ k]: superpixels with the largest positive weights, the largest first."""
        order = np.argsort(-self.weights, kind="stable")[:k]
        return order[self.weights[order] > 0]


def superpixels(image: np.ndarray, *, count: int = 50, compactness: float = 10.0) -> np.ndarray:
    """SLIC superpixels, int [H, W], 0 … S-1 (S about `count`), of an RGB image uint8 [H, W, 3].

    50 on 96 × 96 pixels are about an eye or half a mouth each; LIME's own choice, quickshift, finds eight.

    Examples
    --------
    >>> superpixels(faces.to_input(fer.images[0]).astype(np.uint8)).max()
    """
    from skimage.segmentation import slic

    found = slic(image, n_segments=count, compactness=compactness, start_label=0)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def explain(predict: Predict, face: np.ndarray, *, label: int, **options: object) -> Explanation:
    """Explain one class of one face; `options` as in `explain_classes`.

    Examples
    --------
    >>> explain(classifier.predict, fer.images[0], label=3, samples=400).top(5)
    """
    return explain_classes(predict, face, labels=(label,), **options)[0]


def explain_classes(predict: Predict, face: np.ndarray, *, labels: Sequence[int], seed: int = 2013,
                    samples: int = 1000) -> list[Explanation]:
    """Explain several classes of one face from the same samples: what raised Fear, what Surprise?

    `predict`: as Classifier.predict, float32 [N, 96, 96, 3] RGB 0–255 → probabilities [N, 7]. `face`: uint8 [48, 48].
    `labels`: the classes to explain, 0–6, else ValueError. `samples`: partly hidden faces that the model is asked
    about, at least 10, else ValueError. `seed` decides which superpixels each hides; they take their mean gray.

    Examples
    --------
    >>> fear, surprise = explain_classes(classifier.predict, fer.images[0], labels=(2, 5))
    """
    from lime.lime_base import LimeBase

    if not labels or not all(0 <= label < len(CLASSES) for label in labels):
        raise ValueError(f"labels: must be one or more numbers from 0 to {len(CLASSES) - 1}; got {list(labels)}")
    if samples < 10:
        raise ValueError(f"samples: must be 10 or more; got {samples}")
    image = to_input(face).astype(np.uint8)
    segments = superpixels(image)
    sizes = np.bincount(segments.ravel())
    means = (np.bincount(segments.ravel(), image[:, :, 0].ravel()) / sizes).astype(np.uint8)
    hidden = np.repeat(means[segments][:, :, None], 3, axis=2)
    # What follows is LimeImageExplainer.explain_instance, whose progress bar cannot be switched off.
    random = np.random.RandomState(seed)
    shown = random.randint(0, 2, (samples, len(sizes)))
    shown[0] = 1
    predictions = ask(predict, image, hidden, segments, shown.astype(bool))
    distances = 1 - np.sqrt(shown.mean(1))  # cosine distance to the whole face
    base, found = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / KERNEL_WIDTH**2)), random_state=random), []
    for label in labels:
        _, pairs, score, _ = base.explain_instance_with_data(shown, predictions, distances, label, len(sizes),
                                                             feature_selection="none")
        weights = np.array([weight for _, weight in sorted(pairs)])
        found.append(Explanation(image[:, :, 0], segments, weights, label, predictions[0], float(score)))
    return found


def explain_averaged(predict: Predict, face: np.ndarray, *, labels: Sequence[int],
                     seeds: Sequence[int] = (2013, 2014, 2015), samples: int = 300) -> list[Explanation]:
    """Mean of several seeds' explanations, which also tell how far chance moves a weight (`Explanation.error`).

    The spread between seeds is pooled over a map's superpixels. `seeds`: two or more, else ValueError; `samples`: of
    each; the rest as in `explain_classes`.

    Examples
    --------
    >>> (happy,) = explain_averaged(classifier.predict, fer.images[0], labels=(3,))
    """
    if len(seeds) < 2:
        raise ValueError(f"seeds: must be two or more; got {list(seeds)}")
    runs = [explain_classes(predict, face, labels=labels, seed=seed, samples=samples) for seed in seeds]
    found = []
    for same in zip(*runs, strict=True):
        weights = np.array([each.weights for each in same])
        error = float(np.sqrt(weights.var(0, ddof=1).mean() / len(seeds)))
        score = float(np.mean([each.score for each in same]))
        found.append(replace(same[0], weights=weights.mean(0), score=score, error=error))
    return found


def ask(predict: Predict, image: np.ndarray, hidden: np.ndarray, segments: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Probabilities float32 [N, 7] of N faces: `image` in the superpixels `shown` (bool [N, S]), `hidden` elsewhere."""
    batches = (shown[start : start + BATCH] for start in range(0, len(shown), BATCH))
    inputs = (np.where(rows[:, segments][..., None], image, hidden).astype(np.float32) for rows in batches)
    return np.concatenate([predict(batch) for batch in inputs])


def choose_examples(labels: np.ndarray, probabilities: np.ndarray, *, label: int, correct: int = 3,
                    wrong: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Faces of class `label` worth explaining: most confidently given that label, and the most confident mistakes.

    Indices int [≤ correct] and int [≤ wrong] into labels int [N] and probabilities float [N, 7], the most confident
    first; an image that occurs twice is taken once.

    Examples
    --------
    >>> right, wrong = choose_examples(private.labels, probabilities, label=3)
    """
    own = np.asarray(labels) == label

    def best(candidates: np.ndarray, confidence: np.ndarray, count: int) -> np.ndarray:
        rows = np.flatnonzero(candidates)
        return rows[np.unique(-confidence[rows], return_index=True)[1]][:count]

    mistaken = own & (probabilities.argmax(1) != label)
    return best(own, probabilities[:, label], correct), best(mistaken, probabilities.max(1), wrong)
