"""The names that everything shares. Imports nothing heavy: real time starts with it."""

from collections.abc import Sequence
from itertools import cycle

# The seven classes in FER2013's order; a label is an index into it.
CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")

# FER2013's splits; `Fer2013.usage` holds indices into it.
SPLITS = ("Training", "PublicTest", "PrivateTest")

SIDE = 48  # pixels along each side of an image of FER2013

# FER+'s ten columns in its order (Barsoum et al. 2016); NF: not a face.
VOTE_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
VOTE_CLASSES = (6, 3, 5, 4, 0, 1, 2)  # index into CLASSES of the first seven; the others have none

# A colour (hex RGB) for each class, safe for colour-blind readers (Okabe & Ito 2008).
COLORS = {
    "Angry": "#D55E00", "Disgust": "#009E73", "Fear": "#8C5BA8", "Happy": "#E69F00",
    "Sad": "#0072B2", "Surprise": "#56B4E9", "Neutral": "#7F7F7F",
}


def class_colors(classes: Sequence[str]) -> dict[str, str]:
    """A colour (hex RGB) for each of a model's classes: FER2013's have their own, others get what these leave."""
    free = cycle([color for name, color in COLORS.items() if name not in classes] or COLORS.values())
    return {name: COLORS.get(name) or next(free) for name in classes}


class DataError(ValueError):
    """Data is missing or broken; the message names the file, the line, and what was expected."""
