"""Everything about finding and aligning faces, under one name.

`Detector` finds faces with five landmarks; `align` turns a face upright by them; `fer_landmarks` and `load_landmarks`
do it for FER2013. Needs onnxruntime, OpenCV and NumPy; TensorFlow is imported only for `Detector(backend="mtcnn")`.
"""

from __future__ import annotations

from fer_utils.faces.alignment import (
           TEMPLATE,
           align,
           align_all,
           align_points,
           roll,
           scales,
           similarity,
           transform,
           trusted,
)
from fer_utils.faces.detector import LANDMARKS, Detector, Face
from fer_utils.faces.landmarks import ATTEMPTS, Attempt, Landmarks, fer_landmarks, load_landmarks, search

__all__ = ["ATTEMPTS", "LANDMARKS", "TEMPLATE", "Attempt", "Detector", "Face", "Landmarks", "align", "align_all",
           "align_points", "fer_landmarks", "load_landmarks", "roll", "scales", "search", "similarity", "transform",
           "trusted"]
