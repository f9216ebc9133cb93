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
from fer_utils.faces.boxes import Box, iou
from fer_utils.faces.detector import LANDMARKS, Detector, Face
from fer_utils.faces.landmarks import ATTEMPTS, Attempt, Landmarks, fer_landmarks, load_landmarks, search
from fer_utils.faces.preprocess import (
           INPUT_SIZE,
           ImageError,
           crop_face,
           frame_of,
           to_gray48,
           to_input,
           to_inputs,
           to_uint8,
)

__all__ = ["ATTEMPTS", "INPUT_SIZE", "LANDMARKS", "TEMPLATE", "Attempt", "Box", "Detector", "Face", "ImageError", "Landmarks",
           "align", "align_all", "align_points", "crop_face", "fer_landmarks", "frame_of", "iou", "load_landmarks", "roll",
           "scales", "search", "similarity", "to_gray48", "to_input", "to_inputs", "to_uint8", "transform", "trusted"]
