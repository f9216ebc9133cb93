"""From a stored run to what models/ ships: exported, checked, measured, listed; and its int8 copy."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from fer_utils import data, evaluation, faces, models, paths
from fer_utils.models import onnx_export

CHECKED = 256  # faces on which Keras and ONNX are compared
CALIBRATION_IMAGES = 512  # training images that int8's ranges are read off
INT8_LOSS = 0.005  # of PublicTest accuracy; an int8 copy that loses more is not shipped


def _scores(name: str | Path, split: data.Fer2013) -> dict[str, Any]:
    """Accuracy and macro-F1 of a file of models/ on a split, prepared as that model wants it."""
    with models.Classifier(name) as classifier:
        scores = evaluation.summary(split.labels, classifier.predict_faces(classifier.images_of(split)))
    return {key: scores[key] for key in ("n", "accuracy", "macro_f1")}


def publish(run: str, fer: data.Fer2013) -> dict[str, Any]:
    """Export a stored run to `models/<run>.onnx`, check, measure and list it, and delete its training state.

    Returns the file's entry in the manifest; FileNotFoundError for a run without weights. `fer`: the data that it was
    trained on, unaligned; 256 PrivateTest faces check Keras against ONNX (ModelError above 1e-4; the former file
    stays), all of them measure the file.

    Examples
    --------
    >>> publish("mobilenet_v3_large", data.load())["parity"] < 1e-4
    True
    """
    stored, private = evaluation.Run(run), fer.split("PrivateTest")
    images = faces.align_all(private.images, faces.load_landmarks(private))[0] if stored.aligned else private.images
    onnx_export.export_run(run, faces.to_inputs(images[:CHECKED]))
    models.update_manifest(facts={f"{run}.onnx": {"private_test": _scores(run, private)}})
    shutil.rmtree(paths.checkpoint_dir() / run, ignore_errors=True)
    return models.manifest()["files"][f"{run}.onnx"]


def publish_int8(run: str, fer: data.Fer2013) -> dict[str, Any]:
    """Write and list `models/<run>_int8.onnx`; ModelError if it loses more than half a point of PublicTest accuracy."""
    source, file = paths.models_dir() / f"{run}.onnx", f"{run}_int8.onnx"
    indices = data.training_indices(fer)
    chosen = np.random.default_rng(2013).permutation(indices)[:CALIBRATION_IMAGES]
    with models.Classifier(run) as classifier:
        inputs = faces.to_inputs(classifier.images_of(fer.take(chosen)))
    with paths.atomic(paths.models_dir() / file) as temporary:
        models.quantize(source, temporary, inputs)
        public = fer.split("PublicTest")
        loss = _scores(run, public)["accuracy"] - _scores(temporary, public)["accuracy"]
        if loss > INT8_LOSS:
            raise models.ModelError(f"run: int8 may cost {INT8_LOSS:.1%} of PublicTest accuracy, not {loss:.1%}")
        private_test = _scores(temporary, fer.split("PrivateTest"))
    models.update_manifest(facts={file: {"run": run, "public_loss": loss, "private_test": private_test}})
    return models.manifest()["files"][file]
