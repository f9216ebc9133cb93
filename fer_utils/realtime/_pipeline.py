"""One frame in, its faces with ids and probabilities out: detect, follow, crop, classify, smooth. Every stage is timed.

MTCNN's cascade searches a reduced copy of every k-th frame (a detection frame), and of the next one when a face is
lost, in a thread of its own: no frame with a face waits for it. O-Net alone follows each face at full size from frame
to frame.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np

from fer_utils.faces import Box, Closing, Face, to_inputs
from fer_utils.models import Classifier, suitable
from fer_utils.realtime.search import SMALLEST_FACE, SURE, Search, inside, is_new
from fer_utils.realtime.sources import Frame
from fer_utils.realtime.tracker import MAX_GAP, Track, Tracker

STAGES = ("detect", "refine", "track", "crop", "classify")


@dataclass(frozen=True)
class Settings:
    """How a pipeline works; a value out of its range raises ValueError.

    Examples
    --------
    >>> light = Settings(model="mobilenet_v3_large", detect_every=5)
    >>> summary = run("talk.mp4", settings=light)
    """

    model: str | None = None  # name of a model in models/ or path of an .onnx file; None: the most suitable there is
    classes: Sequence[str] = ()  # names of its columns; empty: those that the file, or a list beside it, tells
    merge: Sequence[str] = ()  # classes whose probabilities are summed, each as "Angry+Disgust=Negative"
    detect_every: int = 10  # every k-th frame is a detection frame, which is searched for faces (1: each is)
    detect_width: int = 320  # pixels across the reduced copy, searched for faces from 20 pixels on; thrice for pictures
    half_life: float = 0.4  # seconds after which an old probability counts half; 0 switches smoothing off
    min_confidence: float = 0.4  # 0–1; a smoothed probability below this is shown as "uncertain"
    sample_every: float = 0  # seconds from one frame that is looked at, and searched, to the next; 0: every frame
    threads: int = 0  # of the networks; 0: as many as this process may use cores, at most 4
    blur: bool = False  # make faces unrecognizable: every frame is searched at full size, whatever `detect_every` says
    blur_min_face: float = 40  # pixels across the smallest face that is then searched for
    crops: bool = False  # each picture is an already cropped face, which is classified as it is

    def __post_init__(self) -> None:
        lows = {"detect_every": 1, "detect_width": 64, "half_life": 0, "sample_every": 0, "threads": 0,
                "blur_min_face": SMALLEST_FACE}
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


class Pipeline(Closing):
    """Call it with one frame after the other; a context manager. ModelError when a network is not usable.

    `live`: without a model named, take one that follows a camera on this machine.

    Examples
    --------
    >>> with Pipeline(Settings(model="resnet18")) as pipe:
    ...     result = pipe(Frame(image, time=0.0, index=0))
    """

    def __init__(self, settings: Settings | None = None, *, live: bool = False) -> None:
        self.settings = settings = settings or Settings()
        threads = settings.threads or min(4, cv2.getNumberOfCPUs())
        options = {"threads": settings.threads, "few_faces": True, "own": settings.classes, "merge": settings.merge}
        named = settings.model
        # Reading Xception's 80 MB and starting MTCNN's networks overlap.
        with ThreadPoolExecutor(1) as pool:
            search = pool.submit(Search, threads=threads)
            self.classifier = Classifier(named, **options) if named else suitable(live=live, **options)
            self.search = search.result()
        self.tracker = Tracker(half_life=settings.half_life, min_confidence=settings.min_confidence,
                               classes=self.classifier.classes, max_gap=max(MAX_GAP, 2.5 * settings.sample_every))
        self._since = 0  # frames since the last detection frame
        self._shape: tuple[int, ...] = ()  # of the last frame

    def __call__(self, frame: Frame, *, boxes: Sequence[Box] | None = None, still: bool = False,
                 live: bool = False) -> Result:
        """Find, follow and classify the faces of a frame.

        Parameters
        ----------
        frame : its image must stay as it is for the next two calls.
        boxes : where the faces are (x, y, width, height in pixels): nothing is searched, and each box gets a track;
            ValueError for one outside the frame.
        still : the frame has nothing to do with the one before.
        live : what a search found counts as soon as it is done; otherwise two frames after it began, so that results do
            not depend on the machine's speed. First frames, stills, frames in which no face is followed, and with
            `blur`, `sample_every` or `detect_every=1` all frames wait for their search.
        """
        if still:
            self.reset()
        if self.settings.crops:
            boxes = [(0, 0, *frame.image.shape[1::-1])] if min(frame.image.shape[:2]) > 2 else []
        spent = dict.fromkeys(STAGES, 0.0)
        if boxes is not None:
            with _timed(spent, "refine"):
                faces = [self.search.given(frame.image, box) for box in boxes]
            found = self._classify(frame, faces, spent)
            return self._result(frame, faces, [None] * len(faces), found, spent, sure=True)
        always = self.settings.blur or self.settings.sample_every or self.settings.detect_every == 1
        waits = bool(always) or frame.image.shape != self._shape
        ends = not waits and self.search.ends(frame, live=live)
        due = self._since >= self.settings.detect_every
        # As early as can be: the search has two frames' time.
        begin, width = self.search.begin, self.settings.detect_width
        expected = [track.predicted(frame.time) for track in self.tracker.visible]
        begins = due and not waits and begin(frame.image, width, expected)
        with _timed(spent, "refine"):
            faces, owners = self._follow(frame)
        waits |= not faces  # nothing is late while there is nothing to show
        due |= len(faces) < len(self.tracker.visible) or bool(self.tracker.lost)
        known, found = [face.box for face in faces], []
        # Before a search is waited for: its thread works meanwhile.
        probabilities = self._classify(frame, faces, spent)
        if waits or ends:
            with _timed(spent, "detect"):
                found = self._search_now(frame.image, still) if waits else self.search.take()
            new = [face for face in found if inside(face.box, frame.image) and is_new(face, known)]
            # No second frame will confirm a face of a still picture.
            new = [face for face in new if self.search.holds(frame.image, face.box)] if still else new
            faces += new
            probabilities = np.concatenate([probabilities, self._classify(frame, new, spent)])
        if due and not waits and not begins:
            begins = begin(frame.image, width, [face.box for face in faces])
        self._since = 1 if waits or begins else self._since + 1
        owners += [None] * (len(faces) - len(owners))
        hidden = [face.box for face in found] if self.settings.blur else []
        return self._result(frame, faces, owners, probabilities, spent, sure=still, hidden=hidden,
                            searched=waits or begins)

    def _classify(self, frame: Frame, faces: list[Face], spent: dict[str, float]) -> np.ndarray:
        """Probabilities of faces, float32 [N, K]."""
        with _timed(spent, "crop"):
            whole, size = [frame.image] * len(faces), self.classifier.size
            inputs = (to_inputs(whole, size=size) if self.settings.crops
                      else self.classifier.inputs_of(frame.image, faces))
        with _timed(spent, "classify"):
            return self.classifier.predict(inputs)

    def _result(self, frame: Frame, faces: list[Face], owners: list[Track | None], probabilities: np.ndarray,
                spent: dict[str, float], *, sure: bool, hidden: Sequence[Box] = (), searched: bool = False) -> Result:
        """Give faces their tracks and labels."""
        with _timed(spent, "track"):
            seen = self.tracker.update(faces, frame.time, owners=owners, sure=sure)
            rows = [next(i for i, face in enumerate(faces) if face.box is track.box) for track in seen]
            self.tracker.classify(seen, probabilities[rows], frame.time)
        covered = [track.covered(frame.time) for track in self.tracker.hidden]
        return Result(frame, [copy.copy(track) for track in seen], [*covered, *hidden], searched, spent)

    def _search_now(self, image: np.ndarray, still: bool) -> list[Face]:
        self.search.forget()
        self._shape = image.shape
        smallest = self.settings.blur_min_face if self.settings.blur else None
        return self.search.now(image, self.settings.detect_width * (3 if still else 1), smallest=smallest)

    def _follow(self, frame: Frame) -> tuple[list[Face], list[Track | None]]:
        """Look for each face where its track expects it."""
        faces, owners = [], []
        for track in self.tracker.visible:
            face = self.search.refine(frame.image, track.predicted(frame.time))
            # Two tracks on one face: the older one keeps it.
            if face and face.score >= SURE and is_new(face, [other.box for other in faces]):
                faces.append(face)
                owners.append(track)
        return faces, owners

    def reset(self) -> None:
        """Forget all faces: another scene follows. Ids go on counting."""
        self.tracker.reset()
        self.search.forget()
        self._shape = ()

    def close(self) -> None:
        """Free the networks."""
        self.search.close()
        self.classifier.close()


@contextmanager
def _timed(spent: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    spent[stage] += (time.perf_counter() - start) * 1000
