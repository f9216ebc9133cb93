"""FER2013 and FER+: loading, classes, sampling, soft labels, and the embedded sample."""

from fer_utils.data.classes import CLASSES, COLORS, SIDE, SPLITS, VOTE_NAMES, DataError, class_colors
from fer_utils.data.fer2013 import Fer2013, describe, image_hashes, load, majority_vote, training_indices
from fer_utils.data.labels import HYBRID_TARGET, METHODS, calibrated_votes, resample, soft_labels
from fer_utils.data.sample import clip_path, clip_truth

__all__ = ["CLASSES", "COLORS", "HYBRID_TARGET", "METHODS", "SIDE", "SPLITS", "VOTE_NAMES", "DataError", "Fer2013",
           "calibrated_votes", "class_colors", "clip_path", "clip_truth", "describe", "image_hashes", "load",
           "majority_vote", "resample", "soft_labels", "training_indices"]  # fmt: skip
