"""What training feeds the network: the rows, their soft targets, one epoch's augmented batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_utils import data
from fer_utils.faces import preprocess
from fer_utils.training import crossfit, teacher
from fer_utils.training.augmentation import Augmentation, augment, mixup

if TYPE_CHECKING:
    from fer_utils.data import Fer2013
    from fer_utils.training.config import Config

__all__ = ["Batch", "batches", "prefetch", "shown", "steps", "training_set"]


class Batch(NamedTuple):
    """inputs float32 [B, 96, 96, 3] RGB 0–255; targets float32 [B, 7], rows sum to 1; opinions float32 [B, 7], the
    teacher's logits for these very inputs (zeros without a teacher)."""

    inputs: np.ndarray
    targets: np.ndarray
    opinions: np.ndarray


def training_set(config: Config, fer: Fer2013) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 48, 48] and soft targets float32 [N, 7] of the training rows, resampled where asked."""
    from fer_utils.data import sampling

    rows, answers = data.training_indices(fer), None
    if config.judges:
        answers = crossfit.unseen_answers(config.judges.split("+"), fer.images[rows], fer.labels[rows])
    kept = np.arange(len(rows))
    if config.half is not None:
        kept = np.flatnonzero(crossfit.halves(fer.images[rows]) == config.half)
    if config.rows:
        kept = np.sort(np.random.default_rng(config.seed).permutation(kept)[: config.rows])
    rows, answers = rows[kept], None if answers is None else answers[kept]
    targets = data.soft_labels(
        fer.labels[rows],
        None if fer.votes is None else fer.votes[rows],
        weight=config.votes,
        smoothing=config.smoothing,
        calibrated=config.translate,
    )
    if config.sampling:
        chosen = sampling.resample(fer.labels[rows], config.sampling, target=config.sampling_target, seed=config.seed)
        return fer.images[rows[chosen]], targets[chosen]
    return fer.images[rows], targets


def shown(config: Config, images: np.ndarray, others: np.ndarray, epoch: int) -> np.ndarray:
    """The pictures uint8 [N, 48, 48] that an epoch shows: of a share `config.other` of the faces, `others`.

    Every epoch draws its own share, and the same epoch always draws the same one.
    """
    rng = np.random.default_rng([config.seed, epoch, 1])  # not the numbers that `batches` draws
    return np.where(rng.random(len(images))[:, None, None] < config.other, others, images)


def steps(config: Config, rows: int) -> int:
    """Batches of an epoch over a training set of so many rows."""
    return (config.epoch_rows or rows) // config.batch


def batches(config: Config, images: np.ndarray, targets: np.ndarray, epoch: int) -> Iterator[Batch]:
    """One epoch's batches; the same epoch always gives the same ones, so a resumed run repeats none.

    With a teacher, the epochs take turns with its `config.views` views, judged once and stored (`teacher.opinions`).
    Every second turn shows them mirrored: the teacher was trained on both and says nearly the same of either.
    """
    rng = np.random.default_rng([config.seed, epoch])
    strengths = Augmentation(**config.augmentation)
    alpha = config.mixup if epoch < config.mixup_until * config.epochs else 0.0
    count = steps(config, len(images))
    rounds = max(1, -(-count * config.batch // len(images)))
    order = np.concatenate([rng.permutation(len(images)) for _ in range(rounds)])
    nothing = np.zeros((config.batch, targets.shape[1]), np.float32)
    if config.teacher:
        turn, judged = divmod(epoch, config.views)
        views = teacher.view(images, judged, strengths, seed=config.seed)
        views = views[..., ::-1] if turn % 2 else views
        opinions = teacher.opinions(config.teacher, images, judged, strengths, seed=config.seed)
    for number in range(count):
        rows = order[number * config.batch : (number + 1) * config.batch]
        if config.teacher:
            yield Batch(preprocess.to_inputs(views[rows]), targets[rows], opinions[rows])
        else:
            faces = preprocess.to_inputs(augment(images[rows], strengths, rng))
            yield Batch(*mixup(faces, targets[rows], alpha, rng), nothing)


def prefetch(source: Iterator[Batch], depth: int = 4) -> Iterator[Batch]:
    """Make batches in a thread while the network works (OpenCV and NumPy release the GIL)."""
    from concurrent.futures import ThreadPoolExecutor

    done = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(next, source, done) for _ in range(depth)]
        while (batch := waiting.pop(0).result()) is not done:
            waiting.append(pool.submit(next, source, done))
            yield batch
