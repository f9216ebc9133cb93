"""Finding faces, aligning them, and making a model's input of them.

`Detector` finds faces with five landmarks; `align` turns a face upright by them; `fer_landmarks` and `load_landmarks`
do it for FER2013; `crop_face` and `to_inputs` lead to the network. Needs onnxruntime, OpenCV and NumPy only.
"""

from fer_utils.faces.alignment import TEMPLATE, align, align_points, roll, transform
from fer_utils.faces.boxes import Box, iou
from fer_utils.faces.landmarks import PASSES, DetectorConfig, Landmarks, align_all, fer_landmarks, load_landmarks
from fer_utils.faces.mtcnn import LANDMARKS, Detector, Face
from fer_utils.faces.preprocess import INPUT_SIZE, ImageError, crop_face, to_gray48, to_input, to_inputs, to_uint8

__all__ = ["INPUT_SIZE", "LANDMARKS", "PASSES", "TEMPLATE", "Box", "Detector", "DetectorConfig", "Face", "ImageError",
           "Landmarks", "align", "align_all", "align_points", "crop_face", "fer_landmarks", "iou", "load_landmarks",
           "roll", "to_gray48", "to_input", "to_inputs", "to_uint8", "transform"]
