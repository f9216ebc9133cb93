"""What training feeds the network: images and soft targets, and one epoch's augmented batches.

Augmentation works on the 48-px images in OpenCV, before `faces.to_inputs` enlarges them: a few microseconds an image,
the same for every backbone. Evaluation skips it and goes the same way otherwise.
"""

import os
from collections.abc import Mapping

import cv2
import keras
import numpy as np

from fer_utils import data, faces
from fer_utils.training.config import AUGMENTATION, TrainConfig


def training_set(config: TrainConfig, fer: data.Fer2013) -> tuple[np.ndarray, np.ndarray]:
    """The images to train on, uint8 [N, 48, 48], and their soft targets, float32 [N, 7].

    Training without duplicates of test images, resampled if asked; `fer` is already aligned if the run wants that.
    """
    indices = data.training_indices(fer)
    if config.vote_weight and fer.votes is None:
        raise ValueError(f"vote_weight: must be 0 without FER+ votes (FER_PLUS names them); got {config.vote_weight}")
    targets = data.soft_labels(fer.labels[indices], None if fer.votes is None else fer.votes[indices],
                               weight=config.vote_weight, smoothing=config.label_smoothing)
    if config.sampling:
        method, _, target = config.sampling.partition(":")
        chosen = data.resample(fer.labels[indices], method, target=int(target) if target else None, seed=config.seed)
        indices, targets = indices[chosen], targets[chosen]
    return fer.images[indices], targets


def _warp(image: np.ndarray, strengths: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    size = image.shape[0]
    scale = 1 + rng.uniform(-1, 1) * strengths["zoom"]
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2,) * 2, rng.uniform(-1, 1) * strengths["rotation"], scale)
    matrix[:, 2] += rng.uniform(-1, 1, 2) * strengths["shift"] * size
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _jitter(image: np.ndarray, strengths: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    contrast = 1 + rng.uniform(-1, 1) * strengths["contrast"]
    shift = rng.uniform(-1, 1) * strengths["brightness"] * 128
    mean = float(image.mean())
    return np.clip((image - mean) * contrast + mean + shift, 0, 255)


def _erase(image: np.ndarray, rng: np.random.Generator) -> None:
    """Fill a random rectangle of 2 to 20 % of the area with noise, in place (Zhong et al. 2020)."""
    size = image.shape[0]
    area, ratio = rng.uniform(0.02, 0.20) * size * size, np.exp(rng.uniform(-1, 1) * np.log(3.0))
    height, width = (int(np.clip(np.sqrt(value), 1, size)) for value in (area * ratio, area / ratio))
    y, x = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
    image[y : y + height, x : x + width] = rng.uniform(0, 255, (height, width))


def augment(images: np.ndarray, strengths: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    """Change each image at random: flip, rotation, shift, zoom, brightness, contrast, random erasing.

    `images`: uint8 [N, 48, 48], gray; so is what is returned. `strengths`: changes to `AUGMENTATION`; 0 turns one off.

    Examples
    --------
    >>> augment(np.zeros((1, 48, 48), np.uint8), {"rotation": 30}, np.random.default_rng(0)).shape
    (1, 48, 48)
    """
    strengths, out = {**AUGMENTATION, **strengths}, images.copy()
    for index, image in enumerate(out):
        if rng.random() < strengths["flip"]:
            image = image[:, ::-1]
        if strengths["rotation"] or strengths["shift"] or strengths["zoom"]:
            image = _warp(np.ascontiguousarray(image), strengths, rng)
        image = _jitter(image.astype(np.float32), strengths, rng)
        if rng.random() < strengths["erasing"]:
            _erase(image, rng)
        out[index] = np.rint(image)
    return out


def mixup(inputs: np.ndarray, targets: np.ndarray, alpha: float,
          rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Blend each image with another of the batch, pixels and targets alike (Zhang et al. 2018)."""
    if alpha <= 0:
        return inputs, targets
    share = rng.beta(alpha, alpha, len(inputs)).astype(np.float32)
    share = np.maximum(share, 1 - share)[:, None]
    other, pixels = rng.permutation(len(inputs)), share[:, :, None, None]
    return inputs * pixels + inputs[other] * (1 - pixels), targets * share + targets[other] * (1 - share)


class Batches(keras.utils.PyDataset):
    """An epoch's batches for `fit`, of images uint8 [N, 48, 48] and targets float32 [N, 7]; `epoch` says which epoch.

    Batch i of epoch e is made from (seed, e, i) alone, so a resumed run sees what an unbroken one would have seen.
    """

    def __init__(self, images: np.ndarray, targets: np.ndarray, config: TrainConfig, *,
                 class_weights: np.ndarray | None = None) -> None:
        super().__init__(workers=max(1, (os.cpu_count() or 1) - 2), max_queue_size=16)
        self.images, self.targets, self.config, self.class_weights = images, targets, config, class_weights
        self.epoch, self._order = 0, (-1, np.zeros(0, int))

    def __len__(self) -> int:
        return self.config.steps_per_epoch or max(1, len(self.images) // self.config.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Inputs float32 [B, 96, 96, 3] RGB 0–255, targets float32 [B, 7], and sample weights float32 [B] if any."""
        return self.make(self.epoch, index)

    def make(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """Batch `index` of epoch `epoch`, both from 0; the same arrays each time."""
        config, rng = self.config, np.random.default_rng([self.config.seed, epoch, index])
        indices = self._indices(epoch, index)
        inputs = faces.to_inputs(augment(self.images[indices], config.augmentation, rng))
        inputs, targets = mixup(inputs, self.targets[indices], config.mixup_alpha, rng)
        return (inputs, targets) if self.class_weights is None else (inputs, targets, targets @ self.class_weights)

    def _indices(self, epoch: int, index: int) -> np.ndarray:
        """The epoch's order, kept for its other batches; several times through small sets."""
        size, (known, order) = self.config.batch_size, self._order
        if known != epoch:
            rng = np.random.default_rng([self.config.seed, epoch])
            rounds = -(-len(self) * size // len(self.images))
            order = np.concatenate([rng.permutation(len(self.images)) for _ in range(rounds)])
            self._order = epoch, order
        return order[index * size : (index + 1) * size]
