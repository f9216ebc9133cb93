"""Where a frame's faces are: MTCNN's whole cascade, at once or in a thread of its own, and O-Net at a known place."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np

from fer_utils.faces import TEMPLATE, Box, Closing, Detector, Face, iou
from fer_utils.faces.preprocess import FRAME_SIDE, SIDE
from fer_utils.realtime.sources import Frame

MIN_SIDE = 12  # pixels; P-Net sees nothing in a smaller picture
SMALLEST_FACE = 20  # pixels, in the reduced copy
SAME_FACE = 0.4  # two boxes that overlap more than this (IoU) are one face
SURE = 0.8  # a known face with a lower O-Net score than this is searched for again; in a single picture it is none
DELAY = 2  # frames after which a search in the background takes effect, however fast the machine is


class Search(Closing):
    """Finds faces in frames; a context manager. `threads`: of a search that is waited for; others have one."""

    def __init__(self, *, threads: int) -> None:
        options = {"min_face_size": SMALLEST_FACE, "fit_to_image": False}
        self._detector, self._light = Detector(threads=threads, **options), Detector(threads=1, **options)
        self._pool = ThreadPoolExecutor(1, "search")
        self._pending: Future[list[Face]] | None = None  # what a search that goes on will have found
        self._since: list[Frame] = []  # the frames after the one that it searches

    def now(self, image: np.ndarray, width: int, *, smallest: float | None = None) -> list[Face]:
        """Faces of a picture (uint8 [H, W, 3] RGB) from 20 pixels on in a copy `width` pixels across.

        `smallest`: search the picture itself instead, for faces of so many pixels and for those that the copy shows.
        """
        if smallest is None or min(image.shape[:2]) < MIN_SIDE:
            return self._find(self._detector, image, width, [])
        smallest = min(smallest, SMALLEST_FACE * max(1.0, image.shape[1] / width))
        return self._detector.detect(image, min_face_size=smallest)

    def begin(self, image: np.ndarray, width: int, known: list[Box]) -> bool:
        """Search a picture in the background for faces elsewhere than `known`; False while another search goes on.

        The picture must stay as it is until the search has ended.
        """
        if self._pending is not None:
            return False
        self._pending, self._since = self._pool.submit(self._find, self._light, image, width, known), []
        return True

    def ends(self, frame: Frame, *, live: bool) -> bool:
        """Whether a search counts from this frame on: the second after it began, or (`live`) the first after its end.

        To be asked on every frame: new faces are followed over all of them.
        """
        if self._pending is None:
            return False
        self._since.append(frame)
        return self._pending.done() if live else len(self._since) >= DELAY

    def take(self) -> list[Face]:
        """The new faces that the search found, on the last frame; waits for it if need be."""
        pending, self._pending = self._pending, None
        return [face for face in (self._carried(face, self._since) for face in pending.result()) if face]

    def refine(self, image: np.ndarray, box: Box) -> Face | None:
        """O-Net at a box, on the part of the frame around it: it would convert the whole frame otherwise."""
        x, y, width, height = box
        margin = 0.3 * max(width, height) + MIN_SIDE
        left, top = max(int(x - margin), 0), max(int(y - margin), 0)
        part = image[top : max(int(y + height + margin), 0), left : max(int(x + width + margin), 0)]
        if min(part.shape[:2]) < MIN_SIDE:
            return None
        face = self._light.refine(part, (x - left, y - top, width, height))
        face = face and _moved(face, 1.0, left, top)
        return face if face and inside(face.box, image) else None

    def holds(self, image: np.ndarray, box: Box) -> bool:
        """Whether O-Net finds a face as surely from a little above and below: 93 % of what is none fails there."""
        x, y, width, height = box
        again = [self.refine(image, (x, y + shift * height, width, height)) for shift in (-0.08, 0.08)]
        return all(face and face.score >= SURE for face in again)

    def given(self, image: np.ndarray, box: Box) -> Face:
        """The face in a caller's box (else ValueError), with O-Net's landmarks or, where it fails, most faces'."""
        if len(box) != 4 or not inside(box, image):
            raise ValueError(f"boxes: must be x, y, width, height (pixels) with their middle in the frame; got {box}")
        if face := self.refine(image, box):
            return replace(face, box=tuple(box))
        x, y, width, height = box
        side = FRAME_SIDE * (width + height) / 2
        middle = np.array([x + width / 2, y + height / 2])
        return Face(tuple(box), 0.0, (middle + side * ((TEMPLATE + 0.5) / SIDE - 0.5)).astype(np.float32))

    def forget(self) -> None:
        """Drop a search that goes on: another scene follows."""
        self._pending = None

    def close(self) -> None:
        self._pool.shutdown()
        self._detector.close()
        self._light.close()

    def _find(self, detector: Detector, image: np.ndarray, width: int, known: list[Box]) -> list[Face]:
        scale = min(1.0, width / image.shape[1])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        if min(size) < MIN_SIDE:
            return []
        small = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        reduced = [tuple(value * scale for value in box) for box in known]
        found = [_moved(face, 1 / scale) for face in detector.detect(small, known=reduced)]
        found = [face for face in found if is_new(face, known)]
        if scale < 1.0:  # the full frame shows more: a face must hold there too
            found = [self.refine(image, face.box) for face in found]
        return [face for face in found if face]

    def _carried(self, face: Face, frames: list[Frame]) -> Face | None:
        """Follow a face over frames, each time as far on as it moved before; None when it gets lost."""
        before = face
        for frame in frames:
            (x, y, width, height), (left, top, _, _) = face.box, before.box
            before, face = face, self.refine(frame.image, (2 * x - left, 2 * y - top, width, height))
            if face is None:
                return None
        return face


def is_new(face: Face, known: list[Box]) -> bool:
    """Whether a face is none of those at `known`."""
    return all(iou(face.box, box) < SAME_FACE for box in known)


def inside(box: Box, image: np.ndarray) -> bool:
    """Whether the box's middle lies in the frame: less of a face is not worth a label."""
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return box[2] > 2 and box[3] > 2 and 0 <= x < image.shape[1] and 0 <= y < image.shape[0]


def _moved(face: Face, scale: float, left: int = 0, top: int = 0) -> Face:
    x, y, width, height = (value * scale for value in face.box)
    points = (face.landmarks * scale + (left, top)).astype(np.float32)
    return replace(face, box=(x + left, y + top, width, height), landmarks=points)
