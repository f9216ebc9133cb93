"""The names that everything shares. Imports nothing heavy: real time starts with it."""

from __future__ import annotations

__all__ = ["CLASSES", "COLORS", "SIDE", "SPLITS", "VOTE_CLASSES", "VOTE_NAMES", "DataError"]

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
"""The seven classes in FER2013's order; a label is an index into it."""

SPLITS = ("Training", "PublicTest", "PrivateTest")
"""FER2013's splits; `Fer2013.usage` holds indices into it."""

SIDE = 48
"""Pixels along each side of an image of FER2013."""

VOTE_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""FER+'s ten columns in its order (Barsoum et al. 2016); NF: not a face."""

VOTE_CLASSES = (6, 3, 5, 4, 0, 1, 2)
"""Index into CLASSES of FER+'s first seven columns; contempt, unknown and NF have none."""

COLORS = {
    "Angry": "#D55E00", "Disgust": "#009E73", "Fear": "#8C5BA8", "Happy": "#E69F00",
    "Sad": "#0072B2", "Surprise": "#56B4E9", "Neutral": "#7F7F7F",
}
"""A colour (hex RGB) for each class, safe for colour-blind readers (Okabe & Ito 2008)."""


class DataError(ValueError):
    """Data is missing or broken; the message names the file, the line, and what was expected.

    Examples
    --------
    >>> issubclass(DataError, ValueError)
    True
    """
