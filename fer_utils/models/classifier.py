"""ONNX classifiers, read and checked in one place: real time, LIME and the notebooks all load a model here.

A model owns its preprocessing: its metadata says whether it wants aligned faces, and `images_of` and `inputs_of` obey.
Needs onnxruntime, OpenCV and NumPy, never TensorFlow.
"""

import hashlib
import json
import os
import re
import timeit
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_utils import faces as face_tools
from fer_utils import paths
from fer_utils.data import CLASSES, Fer2013
from fer_utils.faces import INPUT_SIZE, Face, ModelError
from fer_utils.models._manifest import available, manifest

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
ALIGNED, UNALIGNED = "five landmarks, similarity transform", "none, whole frames"  # `alignment` in the metadata
SMALL_NETWORK = 7_000_000  # bytes of a file
CHUNK = 1024  # faces enlarged at once
# Most suitable first: the first that is there is taken, but for a camera or stream the second on a machine where the
# first needs more than SLOW milliseconds a face, too many for 15 frames a second.
PREFERRED = ("xception", "mobilenet_v3_large", "efficientnet_b0", "resnet18")
SLOW = 50.0
SUMS_TO_1 = "rows sum to 1"  # `output` in the metadata, of probabilities


class Classifier(face_tools.Closing):
    """One exported model: faces in, probabilities out. Use it as a context manager, or call `close()`.

    Parameters
    ----------
    path_or_name : a name such as `"xception"` (then `models/xception.onnx`), or the path of an `.onnx` file. ModelError
        when there is none (it names those there are), when it has been altered or cut off, is not ONNX, or maps
        anything else than float32 [N, 96, 96, 3] → [N, 7], in FER2013's order of classes.
    threads : how many threads compute one batch; 0 lets ONNX Runtime choose (one a core).
    few_faces : batches hold a few faces only; with `threads=0` a small network then gets one thread, which is as fast
        and leaves the other cores free, and a larger one at most four.
    check : compare the file's SHA-256 with the manifest beside it, when it is listed there.
    own : not None: take any K classes and any side S, float32 [N, S, S, 3] → probabilities or logits [N, K]. The names
        of its columns; empty: what its metadata (`classes`) or labels.txt beside it call them.
    merge : classes whose probabilities are summed, each as "Angry+Disgust=Negative"; else ModelError.

    Attributes
    ----------
    classes : tuple of str, names of the output's columns, after merging. `size` : side of the input, pixels.
    aligned : bool, whether the model was trained on aligned faces, and so wants them.
    metadata : dict of str, what the file says of itself: training run, alignment, licence, …
    path : Path of the file.

    Examples
    --------
    >>> with Classifier("xception") as classifier:
    ...     probabilities = classifier.predict_faces(classifier.images_of(fer))
    """

    def __init__(self, path_or_name: str | Path, *, threads: int = 0, few_faces: bool = False, check: bool = True,
                 own: Sequence[str] | None = None, merge: Iterable[str] = ()) -> None:
        if threads < 0:
            raise ValueError(f"threads: must be 0 (automatic) or more; got {threads}")
        self.path = _locate(path_or_name)
        content = face_tools.read_network(self.path)
        if check:
            _verify(self.path, content)
        if few_faces and not threads:
            threads = 1 if len(content) < SMALL_NETWORK else min(4, cv2.getNumberOfCPUs())
        self._session = face_tools.open_network(self.path, content, threads)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        names = own or _class_names(self.path, self.metadata, own is not None)
        self._input, self.size = _check(self.path, self._session, names, own is not None)
        self.classes, self._merge = _merged(names, merge)
        self.aligned = not self.metadata.get("alignment", UNALIGNED).startswith("none")
        self._logits = own is not None and SUMS_TO_1 not in self.metadata.get("output", "") and self._gives_logits()

    def images_of(self, fer: Fer2013) -> np.ndarray:
        """FER2013's N images as the model wants them: uint8 [N, 48, 48], gray.

        For an aligned model they are aligned where a face was found, else as they are.
        """
        return face_tools.align_all(fer.images, face_tools.load_landmarks(fer))[0] if self.aligned else fer.images

    def inputs_of(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """A camera's faces, reduced to what FER2013 shows: float32 [N, size, size, 3], RGB with equal channels, 0–255.

        `image` is uint8 [H, W, 3], RGB; each of N ≥ 0 faces has, in its pixels, a `box` (an unaligned model gets the
        crop in FER2013's framing; ImageError for one outside) and `landmarks` (an aligned one gets the face upright).
        """
        if self.aligned:
            gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            return face_tools.to_inputs((face_tools.align(gray, f.landmarks) for f in faces), size=self.size)
        return face_tools.to_inputs((face_tools.crop_face(image, face.box) for face in faces), size=self.size)

    def predict(self, inputs: np.ndarray, *, batch: int = 64) -> np.ndarray:
        """Probabilities float32 [N, K], columns as in `classes`, of float32 [N, size, size, 3], RGB, 0–255; N may be 0.

        `batch` faces are computed at once, which decides memory, not the result. ValueError for other inputs,
        ModelError when the classifier has been closed.
        """
        if self._session is None:
            raise ModelError(f"the classifier of {self.path.name} has been closed; open it again with Classifier(…)")
        inputs = np.asarray(inputs)
        if inputs.ndim != 4 or inputs.shape[1:] != (self.size, self.size, 3) or inputs.dtype != np.float32:
            wanted = f"float32 [N, {self.size}, {self.size}, 3], as faces.to_inputs makes them"
            raise ValueError(f"inputs: must be {wanted}; got {inputs.dtype} {list(inputs.shape)}")
        if batch < 1:
            raise ValueError(f"batch: must be 1 or more; got {batch}")
        starts, inputs = range(0, len(inputs), batch), np.ascontiguousarray(inputs)
        parts = [self._session.run(None, {self._input: inputs[i : i + batch]})[0] for i in starts]
        found = np.concatenate([np.zeros((0, len(self._merge)), np.float32), *parts])
        if self._logits:
            found = np.exp(found - found.max(axis=1, keepdims=True))
            found /= found.sum(axis=1, keepdims=True)
        return found if len(self.classes) == len(self._merge) else found @ self._merge

    def predict_faces(self, faces: np.ndarray) -> np.ndarray:
        """`predict` of any number of gray faces, uint8 [N, 48, 48], as `images_of` gives them; in 110 MB."""
        starts = range(0, max(1, len(faces)), CHUNK)
        crops = (face_tools.to_inputs(faces[i : i + CHUNK], size=self.size) for i in starts)
        return np.concatenate([self.predict(inputs) for inputs in crops])

    def latency(self, repeats: int, *, batch: int = 1) -> np.ndarray:
        """Milliseconds of a batch on this machine now, float64 [repeats], after a tenth as many that are not timed."""
        faces, warmup = np.full((batch, self.size, self.size, 3), 127, np.float32), -(-repeats // 10)
        seconds = timeit.repeat(lambda: self.predict(faces, batch=batch), number=1, repeat=warmup + repeats)
        return 1000 * np.array(seconds[warmup:])

    def _gives_logits(self) -> bool:
        """Whether noise, dark and bright, gives logits; ModelError when it gives neither these nor probabilities."""
        noise = np.random.default_rng(0).uniform(0, 1, (3, self.size, self.size, 3)).astype(np.float32)
        found = self._session.run(None, {self._input: noise * np.float32([[[[5]]], [[[100]]], [[[255]]]])})[0]
        within = bool(((found >= -1e-4) & (found <= 1 + 1e-4)).all())
        if not np.isfinite(found).all() or (within and np.abs(found.sum(axis=1) - 1).max() > 1e-3):
            sums = ", ".join(f"{row.sum():.3g}" for row in found)
            raise ModelError(f"{self.path} must give logits or probabilities whose rows sum to 1; they sum to {sums}")
        return not within

    def close(self) -> None:
        """Free the model's memory; a second call does nothing."""
        self._session = None


def _locate(path_or_name: str | Path) -> Path:
    text = os.fspath(path_or_name)
    is_name = not text.lower().endswith(".onnx") and Path(text).name == text
    path = paths.models_dir() / f"{text}.onnx" if is_name else Path(text)
    if not path.is_file():
        names = f"{', '.join(available()) or 'none'}; python -m fer_utils.models export RUN makes one"
        raise ModelError("path_or_name: must be the path of an .onnx file or one of the models in "
                         f"{paths.models_dir()} ({names}); found no {path}")
    return path


def _verify(path: Path, content: bytes) -> None:
    entry = manifest(path.parent)["files"].get(path.name)
    if entry is not None and (found := hashlib.sha256(content).hexdigest()) != entry["sha256"]:
        raise ModelError(f"{path} has been altered or is incomplete: sha256 {found[:16]}… ({len(content):,} bytes), "
                         f"the manifest has {entry['sha256'][:16]}… ({entry['bytes']:,} bytes). Restore it with git, "
                         "or pass check=False when you made it yourself")


def _check(path: Path, session: Any, names: Sequence[str], own: bool) -> tuple[str, int]:
    """The input's name and side; ModelError unless the file maps faces to a column for each class."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    ports = [(port.type, list(port.shape[1:]), isinstance(port.shape[0], int)) for port in (*inputs, *outputs)]
    size = inputs[0].shape[1] if own and isinstance(inputs[0].shape[1], int) else INPUT_SIZE
    wanted = [("tensor(float)", [size, size, 3], False), ("tensor(float)", [len(names)], False)]
    if len(inputs) != 1 or ports != wanted:
        got = " → ".join(str([(port.type, port.shape) for port in side]) for side in (inputs, outputs))
        raise ModelError(f"{path} must map float [N, {size}, {size}, 3] → [N, {len(names)}], not {got}")
    return inputs[0].name, size


def _class_names(path: Path, metadata: dict[str, str], own: bool) -> Sequence[str]:
    """What the file, or a list beside an own one, calls its columns; ModelError without it."""
    found = metadata.get("classes")
    if not own and found != json.dumps(CLASSES):
        # A folder loader sorts classes alphabetically, FER2013 does not: without names they could be in any order.
        raise ModelError(f"{path} must name its classes in its metadata: {json.dumps(CLASSES)}; it has {found}")
    if found is None and (file := path.with_name("labels.txt")).is_file():
        found = file.read_text(encoding="utf-8-sig")
    if found is None:
        raise ModelError(f"{path} must name its classes: in its metadata (classes, a JSON list), in labels.txt beside "
                         "it, or by --classes")  # fmt: skip
    try:
        return json.loads(found)
    except ValueError:  # one a line, or with commas
        return re.split(r"\s*[,\n]\s*", found.strip())


def _merged(names: Sequence[str], merge: Iterable[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes that are left, and the float32 [K, classes left] that sums the columns."""
    target = dict(zip(names, names, strict=True))
    for text in merge:
        members, _, new = (part.strip() for part in text.partition("="))
        members = [name.strip() for name in members.split("+")]
        if not new or "=" in new or any(target.get(name) != name for name in members):
            raise ModelError(f"merge: must be like Angry+Disgust=Negative, with {', '.join(names)}; got {text!r}")
        target |= dict.fromkeys(members, new)
    left = tuple(dict.fromkeys(target.values()))
    return left, np.array([[target[name] == new for new in left] for name in names], np.float32)


def preferred() -> list[str]:
    """Names of the classifiers in models/, most suitable first; ModelError when there is none."""
    if there := available():
        return [*(name for name in PREFERRED if name in there), *(name for name in there if name not in PREFERRED)]
    raise ModelError("model: there is no classifier in models/; train one (notebook 04) and export it (notebook 07)")


def suitable(*, live: bool = False, **options: object) -> Classifier:
    """Open the classifier for who names none; `options` as for `Classifier`.

    Examples
    --------
    >>> with suitable(live=True, threads=2) as classifier:
    ...     print(classifier.path.stem)
    """
    first, *others = preferred()
    classifier = Classifier(first, **options)
    if live and others and np.median(classifier.latency(3)) > SLOW:
        classifier.close()
        return Classifier(others[0], **options)
    return classifier


def overview(*, threads: int = 0) -> Iterator[str]:
    """The classifiers in models/, a line each: accuracy on PrivateTest, milliseconds a face measured now, megabytes."""
    yield f"{'model':<24}{'PrivateTest':>12}{'ms a face':>12}{'MB':>8}"
    for name in preferred():
        scores = manifest()["files"].get(f"{name}.onnx", {}).get("private_test", {})
        accuracy = f"{100 * scores['accuracy']:.1f} %" if scores else "–"
        megabytes = (paths.models_dir() / f"{name}.onnx").stat().st_size / 1e6
        with Classifier(name, threads=threads, own=()) as classifier:
            milliseconds = np.median(classifier.latency(20))
        yield f"{name:<24}{accuracy:>12}{milliseconds:>12.1f}{megabytes:>8.1f}"
