"""FER2013 and FER+: loading, classes, sampling, soft labels."""

from fer_utils.data._soft_labels import calibrated_votes, soft_labels
from fer_utils.data.fer2013 import (
    CLASSES, SIDE, SPLITS, VOTE_CLASSES, VOTE_NAMES, DataError, Fer2013, cross_split_duplicates, describe, duplicates,
    image_hashes, load, majority_vote, training_indices,
)
from fer_utils.data.sampling import HYBRID_TARGET, METHODS, resample, resample_before_split
from fer_utils.data.sampling import targets as sampling_targets

__all__ = ["CLASSES", "HYBRID_TARGET", "METHODS", "SIDE", "SPLITS", "VOTE_CLASSES", "VOTE_NAMES", "DataError", "Fer2013",
           "calibrated_votes", "cross_split_duplicates", "describe", "duplicates", "image_hashes", "load", "majority_vote",
           "resample", "resample_before_split", "sampling_targets", "soft_labels", "training_indices"]
