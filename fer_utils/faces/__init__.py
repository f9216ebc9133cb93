"""Finding faces, aligning them, and making a model's input of them, with onnxruntime, OpenCV and NumPy only."""

from fer_utils.faces._network import Closing, ModelError, open_network, read_network
from fer_utils.faces.alignment import TEMPLATE, align, align_points
from fer_utils.faces.boxes import Box, iou
from fer_utils.faces.landmarks import Landmarks, align_all, fer_landmarks, load_landmarks
from fer_utils.faces.mtcnn import LANDMARKS, Detector, Face
from fer_utils.faces.preprocess import INPUT_SIZE, ImageError, crop_face, to_input, to_inputs

__all__ = ["INPUT_SIZE", "LANDMARKS", "TEMPLATE", "Box", "Closing", "Detector", "Face", "ImageError", "Landmarks",
           "ModelError", "align", "align_all", "align_points", "crop_face", "fer_landmarks", "iou", "load_landmarks",
           "open_network", "read_network", "to_input", "to_inputs"]
