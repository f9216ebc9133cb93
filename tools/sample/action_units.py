"""Expressions as facial action units: what the drawn faces of the sample move, and by how much.

The units are those of the Facial Action Coding System (Ekman & Friesen 1978). Which of them make up an expression
follows the EMFACS prototypes in the form that Lucey et al. 2010 give for CK+, simplified. Activations run from 0 (at
rest) to 1 (FACS intensity E, the most a face can do).
"""

from __future__ import annotations

import numpy as np

from fer_utils.data import CLASSES

__all__ = ["ACTION_UNITS", "CONFUSIONS", "PROTOTYPES", "random_units"]

ACTION_UNITS: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    25: "lips part",
    26: "jaw drop",
    43: "eye closure",
}

PROTOTYPES: dict[str, tuple[dict[int, float], ...]] = {
    "Angry": (
        {4: 1.0, 5: 0.5, 7: 0.7, 23: 0.9, 17: 0.4},
        {4: 1.0, 5: 0.6, 7: 0.6, 10: 0.5, 16: 0.8, 25: 0.8, 26: 0.3},
    ),
    "Disgust": (
        {9: 1.0, 10: 0.8, 4: 0.5, 7: 0.5, 15: 0.5, 17: 0.5},
        {9: 1.0, 10: 1.0, 4: 0.4, 7: 0.4, 16: 0.4, 25: 0.6},
    ),
    "Fear": (
        {1: 1.0, 2: 0.5, 4: 0.7, 5: 1.0, 20: 0.9, 25: 0.7, 26: 0.2},
        {1: 1.0, 2: 0.4, 4: 0.6, 5: 0.9, 20: 0.7, 25: 0.8, 26: 0.6},
    ),
    "Happy": (
        {6: 0.9, 12: 1.0, 25: 0.9},
        {6: 0.6, 12: 0.9},
        {6: 1.0, 12: 1.0, 25: 1.0, 26: 0.5},
    ),
    "Sad": (
        {1: 0.9, 4: 0.5, 15: 1.0, 17: 0.5, 43: 0.3},
        {1: 0.7, 4: 0.4, 15: 0.8, 43: 0.6},
    ),
    "Surprise": (
        {1: 0.9, 2: 1.0, 5: 0.9, 25: 1.0, 26: 1.0},
        {1: 0.9, 2: 0.9, 5: 0.7, 25: 0.8, 26: 0.5},
    ),
    "Neutral": ({},),
}
"""For each expression the ways to show it; one of them is drawn at random."""

CONFUSIONS: dict[str, dict[str, float]] = {
    "Angry": {"Sad": 0.3, "Neutral": 0.4, "Disgust": 0.2, "Fear": 0.1},
    "Disgust": {"Angry": 0.7, "Sad": 0.2, "Neutral": 0.1},
    "Fear": {"Surprise": 0.5, "Sad": 0.3, "Neutral": 0.2},
    "Happy": {"Neutral": 0.8, "Surprise": 0.2},
    "Sad": {"Neutral": 0.6, "Fear": 0.2, "Angry": 0.2},
    "Surprise": {"Fear": 0.5, "Happy": 0.2, "Neutral": 0.3},
    "Neutral": {"Sad": 0.5, "Angry": 0.3, "Happy": 0.2},
}
"""Where a voter who misses the intended expression lands: the pairs that people mix up on FER2013."""


def random_units(expression: str, rng: np.random.Generator) -> tuple[dict[int, float], float]:
    """One way a person might show `expression`: activations in 0–1 by action unit, and the intensity (0–1) behind them.

    Weak intensities, units left out and stray units make the classes overlap, as they do on real faces.
    Raises ValueError for a name that is not in `CLASSES`.
    """
    if expression not in PROTOTYPES:
        raise ValueError(f"expression must be one of {', '.join(CLASSES)}, got {expression!r}")
    ways = PROTOTYPES[expression]
    way = ways[int(rng.integers(len(ways)))]
    intensity = float(rng.beta(2.2, 1.3))
    jitter, kept = rng.normal(1.0, 0.2, len(ACTION_UNITS)), rng.random(len(ACTION_UNITS))
    stray = np.abs(rng.normal(0.0, 0.22, len(ACTION_UNITS)))
    units = {}
    for i, unit in enumerate(ACTION_UNITS):
        meant = way.get(unit, 0.0) * intensity * jitter[i] if kept[i] > 0.1 else 0.0
        units[unit] = float(np.clip(meant + (stray[i] if kept[i] > 0.85 else 0.0), 0.0, 1.0))
    return units, intensity
