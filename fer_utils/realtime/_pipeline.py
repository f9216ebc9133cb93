"""One frame in, its faces with ids and probabilities out: detect, follow, crop, classify, smooth. Every stage is timed.

MTCNN's cascade runs on a reduced copy of every k-th frame (a detection frame), and at once when a face is lost; on the
tracking frames in between, O-Net alone follows each face at full size.
"""

import copy
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from fer_utils.faces import Box, Detector, Face, iou
from fer_utils.models import Classifier, ModelError, available
from fer_utils.realtime.sources import Closing, Frame
from fer_utils.realtime.tracker import Track, Tracker

PREFERRED = ("xception", "mobilenet_v3_large", "efficientnet_b0", "resnet18")
STAGES = ("detect", "refine", "track", "crop", "classify")
MIN_SIDE = 12  # pixels; P-Net sees nothing in a smaller picture
SMALLEST_FACE = 20  # pixels, in the reduced copy
SAME_FACE = 0.4  # two boxes that overlap more than this (IoU) are one face
REFINE_SCORE = 0.8  # a followed face with a lower O-Net score than this makes its frame a detection frame


@dataclass(frozen=True)
class Settings:
    """How a pipeline works; a value out of its range raises ValueError.

    Parameters
    ----------
    model : name of a model in models/ or path of an .onnx file; None: the most accurate there is.
    detect_every : every k-th frame is a detection frame, which is searched for faces (1: each is).
    detect_width : pixels across the reduced copy that is searched for faces from 20 pixels on; thrice for pictures.
    half_life : seconds after which an old probability counts half; 0 switches smoothing off.
    min_confidence : a smoothed probability below this is shown as "uncertain"; 0–1.
    threads : threads of the networks; 0: as many as this process may use cores, at most 4.
    blur : faces are to be made unrecognizable: every frame is searched at full size, whatever `detect_every` says.
    blur_min_face : pixels across the smallest face that is then searched for.

    Examples
    --------
    >>> light = Settings(model="mobilenet_v3_large", detect_every=5)
    >>> summary = run("talk.mp4", settings=light)
    """

    model: str | None = None
    detect_every: int = 10
    detect_width: int = 320
    half_life: float = 0.4
    min_confidence: float = 0.4
    threads: int = 0
    blur: bool = False
    blur_min_face: float = 40

    def __post_init__(self) -> None:
        lows = {"detect_every": 1, "detect_width": 64, "half_life": 0, "threads": 0, "blur_min_face": SMALLEST_FACE}
        for name, low in lows.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"{name}: must be {low} or more; got {getattr(self, name)}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence: must lie in 0–1; got {self.min_confidence}")


@dataclass(frozen=True)
class Result:
    """What a frame holds."""

    frame: Frame
    tracks: list[Track]  # its faces by id, classified; copies that later frames do not change
    hidden: list[Box]  # to blur besides the tracks: faces not confirmed yet, and where faces were a moment ago
    is_detection_frame: bool  # whether the whole frame was searched
    milliseconds: dict[str, float] = field(default_factory=dict)  # by stage; `pipeline` adds `read`


def best_model() -> str:
    """Name of the most accurate classifier in models/; ModelError when there is none."""
    there = available()
    if preferred := [name for name in (*PREFERRED, *there) if name in there]:
        return preferred[0]
    raise ModelError("model: there is no classifier in models/; train one (notebook 04) and export it (notebook 07)")


class Pipeline(Closing):
    """Call it with one frame after the other; a context manager. ModelError when a network is not usable.

    Examples
    --------
    >>> with Pipeline(Settings(model="resnet18")) as pipe:
    ...     result = pipe(Frame(image, time=0.0, index=0))
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        threads = self.settings.threads or min(4, cv2.getNumberOfCPUs())
        # Reading Xception's 80 MB and starting MTCNN's three networks overlap.
        with ThreadPoolExecutor(1) as pool:
            detector = pool.submit(Detector, min_face_size=SMALLEST_FACE, threads=threads, fit_to_image=False)
            self.classifier = Classifier(self.settings.model or best_model(), threads=threads)
            self.detector = detector.result()
        self.tracker = Tracker(half_life=self.settings.half_life, min_confidence=self.settings.min_confidence)
        self._since = self.settings.detect_every  # frames since the last detection frame

    def __call__(self, frame: Frame, *, still: bool = False) -> Result:
        """Find, follow and classify the faces of a frame; `still`: it has nothing to do with the frame before."""
        if still:
            self.tracker.reset()
        spent = dict.fromkeys(STAGES, 0.0)
        with _timed(spent, "refine"):
            faces, owners = self._follow(frame)
        lost = len(faces) < len(self.tracker.visible) or bool(self.tracker.lost)
        detect = lost or not faces or self._since >= self.settings.detect_every or self.settings.blur
        found: list[Face] = []
        if detect:
            with _timed(spent, "detect"):
                found = self._detect(frame.image, still)
                new = [face for face in found if _inside(face.box, frame.image) and _is_new(face, faces)]
            self._since = 0
            faces, owners = faces + new, owners + [None] * len(new)
        self._since += 1
        with _timed(spent, "track"):
            seen = self.tracker.update(faces, frame.time, owners=owners, sure=still)
        with _timed(spent, "crop"):
            # A track has what a Face has; O-Net finds its landmarks anew on every tracking frame.
            inputs = self.classifier.inputs_of(frame.image, seen)
        with _timed(spent, "classify"):
            self.tracker.classify(seen, self.classifier.predict(inputs), frame.time)
        hidden = [track.covered(frame.time) for track in self.tracker.hidden]
        hidden += [face.box for face in found] if self.settings.blur else []
        return Result(frame, [copy.copy(track) for track in seen], hidden, detect, spent)

    def _follow(self, frame: Frame) -> tuple[list[Face], list[Track | None]]:
        """Look for each face where its track expects it."""
        faces, owners = [], []
        for track in self.tracker.visible:
            face = self._refine(frame.image, track.predicted(frame.time))
            # Two tracks on one face: the older one keeps it.
            if face and face.score >= REFINE_SCORE and _is_new(face, faces):
                faces.append(face)
                owners.append(track)
        return faces, owners

    def _detect(self, image: np.ndarray, still: bool) -> list[Face]:
        scale = min(1.0, self.settings.detect_width * (3 if still else 1) / image.shape[1])
        if self.settings.blur and min(image.shape[:2]) >= MIN_SIDE:
            return self.detector.detect(image, min_face_size=min(self.settings.blur_min_face, SMALLEST_FACE / scale))
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        if min(size) < MIN_SIDE:
            return []
        small = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = (_moved(face, 1 / scale) for face in self.detector.detect(small))
        if scale < 1.0:  # the full frame shows more: a face must hold there too
            found = (self._refine(image, face.box) for face in found)
        return [face for face in found if face]

    def _refine(self, image: np.ndarray, box: Box) -> Face | None:
        """O-Net at a box, on the part of the frame around it: it would convert the whole frame otherwise."""
        x, y, width, height = box
        margin = 0.3 * max(width, height) + MIN_SIDE
        left, top = max(int(x - margin), 0), max(int(y - margin), 0)
        part = image[top : max(int(y + height + margin), 0), left : max(int(x + width + margin), 0)]
        if min(part.shape[:2]) < MIN_SIDE:
            return None
        face = self.detector.refine(part, (x - left, y - top, width, height))
        face = face and _moved(face, 1.0, left, top)
        return face if face and _inside(face.box, image) else None

    def close(self) -> None:
        """Free both networks."""
        self.classifier.close()
        self.detector.close()


@contextmanager
def _timed(spent: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    spent[stage] += (time.perf_counter() - start) * 1000


def _is_new(face: Face, known: list[Face]) -> bool:
    return all(iou(face.box, other.box) < SAME_FACE for other in known)


def _moved(face: Face, scale: float, left: int = 0, top: int = 0) -> Face:
    x, y, width, height = (value * scale for value in face.box)
    points = (face.landmarks * scale + (left, top)).astype(np.float32)
    return replace(face, box=(x + left, y + top, width, height), landmarks=points)


def _inside(box: Box, image: np.ndarray) -> bool:
    """Whether the box's middle lies in the frame: less of a face is not worth a label."""
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return box[2] > 2 and box[3] > 2 and 0 <= x < image.shape[1] and 0 <= y < image.shape[0]
