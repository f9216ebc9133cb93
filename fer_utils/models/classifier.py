"""ONNX classifiers, read and checked in one place: realtime, LIME and the notebooks all load a model here.

Needs onnxruntime and NumPy, never TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import INPUT_SIZE, to_inputs

__all__ = ["Classifier", "ModelError", "available", "manifest"]

MANIFEST = "manifest.json"
INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
CHUNK = 1024  # faces enlarged at once
# MTCNN's three networks lie in the same folder and name no expression.
NOT_CLASSIFIERS = "mtcnn_"


class ModelError(ValueError):
    """A model file that is missing, damaged, altered, or not what this project feeds and reads."""


def manifest(folder: str | Path | None = None) -> dict[str, Any]:
    """What `manifest.json` says of a folder's files.

    Parameters
    ----------
    folder : where the manifest lies; default `models/`.

    Returns
    -------
    `{"format": 1, "files": {file name: {"sha256", "bytes", …}}}`; no files when there is no manifest.

    Raises
    ------
    ModelError when the manifest is there but cannot be read.
    """
    path = Path(folder or paths.models_dir()) / MANIFEST
    if not path.is_file():
        return {"format": 1, "files": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["files"], dict):
            raise TypeError("files is not an object")
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a manifest ({error}); restore it with git") from None
    return content


def available(folder: str | Path | None = None) -> list[str]:
    """Names of the classifiers that `Classifier(name)` can open, in alphabetical order."""
    found = Path(folder or paths.models_dir()).glob("*.onnx")
    return sorted(path.stem for path in found if not path.name.startswith((NOT_CLASSIFIERS, ".")))


class Classifier:
    """One exported model: faces in, probabilities out. Use it as a context manager, or call `close()`.

    Parameters
    ----------
    path_or_name : a name such as `"xception"` (then `models/xception.onnx`), or the path of an `.onnx` file.
    threads : how many threads compute one batch; 0 lets ONNX Runtime choose (one a core).
    check : compare the file's SHA-256 with the manifest beside it, when it is listed there.

    Attributes
    ----------
    classes : class names in the order of the output's columns.
    metadata : what the file says of itself (training run, alignment, licence, …), all strings.
    path : the file that was opened.

    Raises
    ------
    ModelError when there is no such file (it names those there are), when it has been altered or cut off, is not ONNX,
    or maps anything else than float32 [N, 96, 96, 3] → [N, 7].
    """

    def __init__(self, path_or_name: str | Path, *, threads: int = 0, check: bool = True) -> None:
        if threads < 0:
            raise ValueError(f"threads: must be 0 (automatic) or more; got {threads}")
        self.path = _locate(path_or_name)
        content = self.path.read_bytes()
        if check:
            _verify(self.path, content)
        self._session = _session(self.path, content, threads)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._input, self._output = _check_shapes(self.path, self._session)
        self.classes = _classes(self.path, self.metadata)

    def predict(self, inputs: np.ndarray, *, batch: int = 64) -> np.ndarray:
        """Probabilities of a stack of faces.

        Parameters
        ----------
        inputs : float32 [N, 96, 96, 3], RGB, 0–255, as `preprocess.to_inputs` makes them; N may be 0.
        batch : faces computed at once; decides memory, not the result.

        Returns
        -------
        float32 [N, 7]; each row sums to 1, columns as in `classes`.

        Raises
        ------
        ValueError for another shape or dtype or a batch below 1, ModelError when the classifier has been closed.
        """
        if self._session is None:
            raise ModelError(f"the classifier of {self.path.name} has been closed; open it again with Classifier(…)")
        inputs = np.asarray(inputs)
        if inputs.ndim != 4 or inputs.shape[1:] != (INPUT_SIZE, INPUT_SIZE, 3) or inputs.dtype != np.float32:
            raise ValueError(
                f"inputs: must be float32 [N, {INPUT_SIZE}, {INPUT_SIZE}, 3], as preprocess.to_inputs makes them; "
                f"got {inputs.dtype} {list(inputs.shape)}"
            )
        if batch < 1:
            raise ValueError(f"batch: must be 1 or more; got {batch}")
        if not len(inputs):
            return np.zeros((0, len(self.classes)), np.float32)
        parts = [self._run(inputs[start : start + batch]) for start in range(0, len(inputs), batch)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict_faces(self, faces: np.ndarray) -> np.ndarray:
        """`predict` of gray faces uint8 [N, 48, 48], any number: enlarged a thousand at a time, in 110 MB."""
        starts = range(0, max(1, len(faces)), CHUNK)
        return np.concatenate([self.predict(to_inputs(faces[start : start + CHUNK])) for start in starts])

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        return self._session.run([self._output], {self._input: np.ascontiguousarray(inputs)})[0]

    def close(self) -> None:
        """Free the model's memory; a second call does nothing."""
        self._session = None

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _locate(path_or_name: str | Path) -> Path:
    text = os.fspath(path_or_name)
    is_name = not text.endswith(".onnx") and Path(text).name == text
    path = paths.models_dir() / f"{text}.onnx" if is_name else Path(text)
    if not path.is_file():
        names = ", ".join(available()) or "none"
        raise ModelError(
            f"path_or_name: no model at {path}; must be the path of an .onnx file or one of the models in "
            f"{paths.models_dir()}: {names} (python -m fer_utils.models.onnx_export RUN makes one from a recorded run)"
        )
    return path


def _verify(path: Path, content: bytes) -> None:
    entry = manifest(path.parent)["files"].get(path.name)
    if entry is None:
        return
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise ModelError(
            f"{path} has been altered or is incomplete: sha256 {found[:16]}… ({len(content):,} bytes), the manifest "
            f"has {entry['sha256'][:16]}… ({entry['bytes']:,} bytes). Restore it with git, or pass check=False when "
            "you made it yourself"
        )


def _session(path: Path, content: bytes, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Spinning threads would take the core that reads the camera and draws.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exception types share no public base
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{path} is not a readable ONNX model ({len(content):,} bytes): {reason}") from None


def _check_shapes(path: Path, session: Any) -> tuple[str, str]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    got = f"{[(i.name, i.type, i.shape) for i in inputs]} → {[(o.name, o.type, o.shape) for o in outputs]}"
    wanted = f"float [N, {INPUT_SIZE}, {INPUT_SIZE}, 3] → float [N, {len(CLASSES)}], N free"
    good = (
        len(inputs) == len(outputs) == 1
        and inputs[0].type == outputs[0].type == "tensor(float)"
        and list(inputs[0].shape[1:]) == [INPUT_SIZE, INPUT_SIZE, 3]
        and not isinstance(inputs[0].shape[0], int)
        and list(outputs[0].shape[1:]) == [len(CLASSES)]
    )
    if not good:
        raise ModelError(f"{path} must map {wanted}; it maps {got}")
    return inputs[0].name, outputs[0].name


def _classes(path: Path, metadata: dict[str, str]) -> tuple[str, ...]:
    # A folder loader sorts classes alphabetically, FER2013 does not: without names the columns could be in any order.
    try:
        found = tuple(json.loads(metadata["classes"]))
    except (KeyError, ValueError, TypeError):
        raise ModelError(f"{path} does not name its classes in its metadata; fer_utils.models.onnx_export writes them") from None
    if found != CLASSES:
        raise ModelError(f"{path} has the classes {', '.join(map(str, found))}; expected {', '.join(CLASSES)}")
    return found
