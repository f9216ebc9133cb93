"""ONNX classifiers, read and checked in one place: real time, LIME and the notebooks all load a model here.

A model owns its preprocessing: its metadata says whether it wants aligned faces, and `images_of` and `inputs_of` obey.
Needs onnxruntime, OpenCV and NumPy, never TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from fer_utils import faces as face_tools
from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import INPUT_SIZE, ModelError
from fer_utils.models._manifest import available, manifest

if TYPE_CHECKING:
    from fer_utils.data import Fer2013
    from fer_utils.faces import Face

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
ALIGNED, UNALIGNED = "five landmarks, similarity transform", "none, whole frames"  # `alignment` in the metadata
CHUNK = 1024  # faces enlarged at once


class Classifier(AbstractContextManager):
    """One exported model: faces in, probabilities out. Use it as a context manager, or call `close()`.

    Parameters
    ----------
    path_or_name : a name such as `"xception"` (then `models/xception.onnx`), or the path of an `.onnx` file. ModelError
        when there is none (it names those there are), when it has been altered or cut off, is not ONNX, or maps
        anything else than float32 [N, 96, 96, 3] → [N, 7].
    threads : how many threads compute one batch; 0 lets ONNX Runtime choose (one a core).
    check : compare the file's SHA-256 with the manifest beside it, when it is listed there.

    Attributes
    ----------
    classes : tuple of str, names of the output's columns.
    aligned : bool, whether the model was trained on aligned faces, and so wants them.
    metadata : dict of str, what the file says of itself: training run, alignment, licence, …
    path : Path of the file.

    Examples
    --------
    >>> with Classifier("xception") as classifier:
    ...     probabilities = classifier.predict_faces(classifier.images_of(fer))
    """

    def __init__(self, path_or_name: str | Path, *, threads: int = 0, check: bool = True) -> None:
        if threads < 0:
            raise ValueError(f"threads: must be 0 (automatic) or more; got {threads}")
        self.path = _locate(path_or_name)
        content = face_tools.read_network(self.path)
        if check:
            _verify(self.path, content)
        self._session = face_tools.open_network(self.path, content, threads)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        _check(self.path, self._session, self.metadata)
        self._input, self.classes = self._session.get_inputs()[0].name, CLASSES
        self.aligned = not self.metadata.get("alignment", UNALIGNED).startswith("none")

    def images_of(self, fer: Fer2013) -> np.ndarray:
        """FER2013's N images as the model wants them: uint8 [N, 48, 48], gray.

        For an aligned model they are aligned where a face was found, else as they are.
        """
        return face_tools.align_all(fer.images, face_tools.load_landmarks(fer))[0] if self.aligned else fer.images

    def inputs_of(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """A camera's faces, reduced to what FER2013 shows: float32 [N, 96, 96, 3], RGB with equal channels, 0–255.

        `image` is uint8 [H, W, 3], RGB; each of N ≥ 0 faces has, in its pixels, a `box` (an unaligned model gets the
        crop in FER2013's framing; ImageError for one outside) and `landmarks` (an aligned one gets the face upright).
        """
        if self.aligned:
            gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            return face_tools.to_inputs(face_tools.align(gray, face.landmarks) for face in faces)
        return face_tools.to_inputs(face_tools.crop_face(image, face.box) for face in faces)

    def predict(self, inputs: np.ndarray, *, batch: int = 64) -> np.ndarray:
        """Probabilities float32 [N, 7], columns as in `classes`, of float32 [N, 96, 96, 3], RGB, 0–255; N may be 0.

        `batch` faces are computed at once, which decides memory, not the result. ValueError for other inputs,
        ModelError when the classifier has been closed.
        """
        if self._session is None:
            raise ModelError(f"the classifier of {self.path.name} has been closed; open it again with Classifier(…)")
        inputs = np.asarray(inputs)
        if inputs.ndim != 4 or inputs.shape[1:] != (INPUT_SIZE, INPUT_SIZE, 3) or inputs.dtype != np.float32:
            raise ValueError(
                f"inputs: must be float32 [N, {INPUT_SIZE}, {INPUT_SIZE}, 3], as faces.to_inputs makes them; "
                f"got {inputs.dtype} {list(inputs.shape)}"
            )
        if batch < 1:
            raise ValueError(f"batch: must be 1 or more; got {batch}")
        starts, inputs = range(0, len(inputs), batch), np.ascontiguousarray(inputs)
        parts = [self._session.run(None, {self._input: inputs[i : i + batch]})[0] for i in starts]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *parts])

    def predict_faces(self, faces: np.ndarray) -> np.ndarray:
        """`predict` of any number of gray faces, uint8 [N, 48, 48], as `images_of` gives them; in 110 MB."""
        starts = range(0, max(1, len(faces)), CHUNK)
        return np.concatenate([self.predict(face_tools.to_inputs(faces[i : i + CHUNK])) for i in starts])

    def close(self) -> None:
        """Free the model's memory; a second call does nothing."""
        self._session = None

    def __exit__(self, *_: object) -> None:
        self.close()


def _locate(path_or_name: str | Path) -> Path:
    text = os.fspath(path_or_name)
    is_name = not text.lower().endswith(".onnx") and Path(text).name == text
    path = paths.models_dir() / f"{text}.onnx" if is_name else Path(text)
    if not path.is_file():
        raise ModelError(
            f"path_or_name: must be the path of an .onnx file or one of the models in {paths.models_dir()} "
            f"({', '.join(available()) or 'none'}; python -m fer_utils.models export RUN makes one); found no {path}"
        )
    return path


def _verify(path: Path, content: bytes) -> None:
    entry = manifest(path.parent)["files"].get(path.name)
    if entry is not None and (found := hashlib.sha256(content).hexdigest()) != entry["sha256"]:
        raise ModelError(
            f"{path} has been altered or is incomplete: sha256 {found[:16]}… ({len(content):,} bytes), the manifest "
            f"has {entry['sha256'][:16]}… ({entry['bytes']:,} bytes). Restore it with git, or pass check=False when "
            "you made it yourself"
        )


def _check(path: Path, session: Any, metadata: dict[str, str]) -> None:
    """ModelError unless the file maps faces to probabilities of the classes in FER2013's order."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    ports = [(port.type, list(port.shape[1:]), isinstance(port.shape[0], int)) for port in (*inputs, *outputs)]
    wanted = [("tensor(float)", [INPUT_SIZE, INPUT_SIZE, 3], False), ("tensor(float)", [len(CLASSES)], False)]
    if len(inputs) != 1 or ports != wanted:
        got = " → ".join(str([(port.type, port.shape) for port in side]) for side in (inputs, outputs))
        raise ModelError(f"{path} must map float [N, {INPUT_SIZE}, {INPUT_SIZE}, 3] → [N, {len(CLASSES)}], not {got}")
    # A folder loader sorts classes alphabetically, FER2013 does not: without names the columns could be in any order.
    if (found := metadata.get("classes")) != json.dumps(CLASSES):
        raise ModelError(f"{path} must name its classes in its metadata: {json.dumps(CLASSES)}; it has {found}")
