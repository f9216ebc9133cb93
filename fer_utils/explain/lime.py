"""LIME on faces, and how far its maps can be trusted: same answer from another seed, and does the model agree?

LIME (Ribeiro et al. 2016, arXiv:1602.04938) hides random sets of superpixels, asks the model each time, and fits a
linear model to the answers: a superpixel's weight is how much showing it raises the probability of one class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.faces import to_input

__all__ = [
    "SAMPLES", "SEGMENTS", "Explanation", "Predict", "ask", "choose", "explain", "explain_classes", "superpixels",
]

# float32 [N, 96, 96, 3] RGB 0–255 → float32 [N, 7], such as inference.Classifier.predict
Predict = Callable[[np.ndarray], np.ndarray]

SEGMENTS = 50  # superpixels asked for: about 14 × 14 pixels each, an eye or half a mouth
COMPACTNESS = 10.0
SAMPLES = 1000
BATCH = 64


@dataclass(frozen=True)
class Explanation:
    """One face, explained for one class.

    image: uint8 [96, 96], gray, as the model saw it. segments: int [96, 96], superpixel of each pixel, 0 … S-1.
    weights: float64 [S], what showing a superpixel adds to the probability of `label`. label: index into CLASSES, the
    class explained. prediction: float32 [7], the model's probabilities for the whole face. score: R² of the linear
    model on its samples, 1 = it follows the network exactly. seed: the one its samples were drawn from.
    """

    image: np.ndarray
    segments: np.ndarray
    weights: np.ndarray
    label: int
    prediction: np.ndarray
    score: float
    seed: int

    @property
    def heat(self) -> np.ndarray:
        """float64 [96, 96]: each pixel's superpixel weight."""
        return self.weights[self.segments]

    def top(self, n: int = 5) -> np.ndarray:
        """int [≤ n]: superpixels with the largest positive weights, the largest first."""
        order = np.argsort(-self.weights, kind="stable")[:n]
        return order[self.weights[order] > 0]

    def mask(self, n: int = 5) -> np.ndarray:
        """bool [96, 96]: pixels of the top n superpixels."""
        return np.isin(self.segments, self.top(n))


def superpixels(image: np.ndarray, *, n: int = SEGMENTS, compactness: float = COMPACTNESS) -> np.ndarray:
    """int [H, W]: SLIC superpixels of a uint8 [H, W, 3] RGB image, numbered 0 … S-1 (S ≤ about `n`). Deterministic.

    LIME's own choice (quickshift) finds eight superpixels on a face of 96 pixels, too coarse to tell eye from brow.
    """
    from skimage.segmentation import slic

    found = slic(image, n_segments=n, compactness=compactness, start_label=0)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def explain(
    predict: Predict,
    face: np.ndarray,
    *,
    label: int,
    seed: int = 2013,
    samples: int = SAMPLES,
    segments: np.ndarray | None = None,
) -> Explanation:
    """Explain one class of one face; see `explain_classes`."""
    return explain_classes(predict, face, labels=(label,), seed=seed, samples=samples, segments=segments)[0]


def explain_classes(
    predict: Predict,
    face: np.ndarray,
    *,
    labels: Sequence[int],
    seed: int = 2013,
    samples: int = SAMPLES,
    segments: np.ndarray | None = None,
) -> list[Explanation]:
    """Explain several classes of one face from the same samples: what spoke for Fear, what for Surprise?

    Parameters
    ----------
    predict : float32 [N, 96, 96, 3] RGB 0–255 → float32 [N, 7] probabilities.
    face : what `preprocess.to_input` takes, usually uint8 [48, 48] gray.
    labels : indices into CLASSES of the classes to explain, usually the predicted one.
    seed : decides which superpixels are hidden in each sample.
    samples : how many partly hidden faces the model is asked about; at least 10.
    segments : int [96, 96] superpixels; default `superpixels` of the face. A hidden one takes its own mean gray.

    Returns
    -------
    One Explanation for each label, in their order. Same arguments, same result.
    """
    if not labels or not all(0 <= label < len(CLASSES) for label in labels):
        raise ValueError(f"labels: must be one or more numbers from 0 to {len(CLASSES) - 1}; got {list(labels)}")
    if samples < 10:
        raise ValueError(f"samples: must be 10 or more; got {samples}")
    image = to_input(face).astype(np.uint8)
    segments = superpixels(image) if segments is None else np.asarray(segments)
    if segments.shape != image.shape[:2]:
        raise ValueError(f"segments: must be {list(image.shape[:2])}; got {list(segments.shape)}")
    prediction = np.asarray(predict(image[None].astype(np.float32)))[0]
    answers: dict[int, np.ndarray] = {}
    found = []
    for label in labels:
        weights, score = _lime(predict, image, segments, label, seed, samples, answers)
        found.append(Explanation(image[:, :, 0], segments, weights, label, prediction, score, seed))
    return found


def _lime(
    predict: Predict,
    image: np.ndarray,
    segments: np.ndarray,
    label: int,
    seed: int,
    samples: int,
    answers: dict[int, np.ndarray],
) -> tuple[np.ndarray, float]:
    """LIME's weights and R² for one class; `answers` keeps the model's answers for the next class."""
    from lime.lime_image import LimeImageExplainer

    n = int(segments.max()) + 1

    class Explainer(LimeImageExplainer):
        # LIME's own loop draws a progress bar that cannot be switched off and masks one superpixel at a time.
        def data_labels(self, image, fudged_image, segments, classifier_fn, num_samples, batch_size=BATCH, **_):
            shown = self.random_state.randint(0, 2, (num_samples, n))
            shown[0] = 1
            if seed not in answers:
                answers[seed] = ask(predict, image, fudged_image, segments, shown.astype(bool))
            return shown, answers[seed]

    # A new explainer each time: its random state moves on with every use (lime #477).
    result = Explainer(random_state=seed).explain_instance(
        image, None, labels=(label,), top_labels=None, num_features=n, num_samples=samples,
        segmentation_fn=lambda _: segments, random_seed=seed,
    )
    weights = np.zeros(n)
    for segment, weight in result.local_exp[label]:
        weights[segment] = weight
    return weights, float(result.score)


def ask(
    predict: Predict, image: np.ndarray, hidden: np.ndarray, segments: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """Probabilities float32 [N, 7] of N faces that show the superpixels `shown` (bool [N, S]) and hide the others.

    `image` and `hidden` (what stands where a superpixel is hidden): uint8 [96, 96, 3].
    """
    parts = []
    for rows in np.split(shown, range(BATCH, len(shown), BATCH)):
        visible = rows[:, segments][..., None]
        parts.append(predict(np.where(visible, image, hidden).astype(np.float32)))
    return np.concatenate(parts)


def choose(
    labels: np.ndarray, probabilities: np.ndarray, *, label: int, correct: int = 3, wrong: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Faces of one class worth explaining: those recognized with most confidence, and the most confident mistakes.

    Parameters
    ----------
    labels, probabilities : int [N] and float [N, 7] of the same rows.
    label : the class, index into CLASSES. correct, wrong : how many of each; fewer when there are not that many.

    Returns
    -------
    int [≤ correct] and int [≤ wrong]: rows, the most confident first. Equal probabilities (an image that stands twice)
    are taken once.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)

    def best(candidates: np.ndarray, n: int) -> np.ndarray:
        rows = np.flatnonzero(candidates)
        rows = rows[np.sort(np.unique(confidence[rows], return_index=True)[1])]
        return rows[np.argsort(-confidence[rows], kind="stable")][:n]

    mine = np.asarray(labels) == label
    return best(mine & (predicted == label), correct), best(mine & (predicted != label), wrong)
