"""Networks: built in Keras, exported to ONNX, opened again where only ONNX Runtime is there.

Importing this room loads NumPy, OpenCV and ONNX Runtime at most; Keras, TensorFlow and onnx when a function needs them.
"""

from fer_utils.models._build import (
    BACKBONES,
    TITLES,
    WeightsError,
    build,
    check_image_size,
    find_weights,
    load,
    macs,
    reestimate_batchnorm,
    title,
    with_probabilities,
)
from fer_utils.models.classifier import Classifier, ModelError, available, manifest

__all__ = [
    "BACKBONES", "TITLES", "Classifier", "ModelError", "WeightsError", "available", "build", "check_image_size",
    "find_weights", "load", "macs", "manifest", "reestimate_batchnorm", "title", "with_probabilities",
]
