"""Networks: built in Keras, exported to ONNX, opened again where only ONNX Runtime is there.

Importing this room loads NumPy and OpenCV at most; Keras, TensorFlow and onnx when a function needs them.
"""

from fer_utils.faces import ModelError
from fer_utils.models._build import BACKBONES, TITLES, WeightsError, build, load, macs, reestimate_batchnorm, title
from fer_utils.models._manifest import available, manifest, update_manifest
from fer_utils.models._quantize import quantize
from fer_utils.models.classifier import Classifier, overview, suitable
from fer_utils.models.onnx_export import export_onnx, latency, probabilities

__all__ = ["BACKBONES", "TITLES", "Classifier", "ModelError", "WeightsError", "available", "build", "export_onnx",
           "latency", "load", "macs", "manifest", "overview", "probabilities", "quantize", "reestimate_batchnorm",
           "suitable", "title", "update_manifest"]
