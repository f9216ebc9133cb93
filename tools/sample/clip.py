"""A short clip with a real face whose place is known in every frame.

The pixels are NASA's portrait of the astronaut Eileen Collins, in the public domain, which scikit-image ships as
`skimage.data.astronaut()`. She is cut out along a traced outline and moved over a drawn wall: she comes nearer, leaves
the picture to the right, and comes back from the left, smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.data.sample import ClipTruth

__all__ = ["FACE", "FPS", "FRAMES", "HEIGHT", "LABEL", "OUTLINE", "WIDTH", "clip_frames", "write"]

Box = tuple[float, float, float, float]

WIDTH, HEIGHT, FPS, FRAMES = 640, 480, 25, 200
LABEL = "Happy"  # she smiles

FACE = (182.0, 64.0, 84.0, 108.0)
"""The face in the portrait, pixels (x, y, width, height), as MTCNN frames it."""

OUTLINE = (
    (24, 512), (22, 440), (30, 370), (40, 310), (55, 262), (85, 228), (108, 207), (113, 194),
    (125, 173), (137, 159), (153, 151), (183, 148), (183, 138), (174, 125), (158, 105), (153, 77),
    (157, 57), (173, 43), (193, 28), (213, 18), (237, 15), (260, 21), (280, 36), (294, 55),
    (301, 77), (301, 97), (291, 117), (277, 133), (268, 137), (263, 153), (256, 173), (270, 182),
    (287, 197), (300, 217), (304, 236), (323, 243), (340, 263), (353, 290), (358, 320), (362, 352),
    (395, 344), (430, 347), (462, 365), (485, 400), (496, 445), (500, 480), (500, 512),
)  # fmt: skip
"""Hair, neck ring, suit and helmet, traced by hand, pixels of the portrait."""

PATH = (  # seconds, the face's centre x and y in the frame, size of the portrait, roll in degrees
    (0.0, 200, 230, 0.75, -3),
    (1.4, 330, 200, 0.95, 4),
    (2.6, 300, 235, 1.65, -2),
    (3.8, 330, 205, 1.10, 3),
    (4.3, 400, 205, 1.05, 2),
    (4.9, 1060, 215, 1.00, 0),
    (5.5, 1060, 225, 0.80, 0),
    (5.52, -420, 225, 0.80, 0),
    (6.1, 250, 225, 0.80, -3),
    (7.0, 400, 215, 0.70, 4),
    (8.0, 310, 205, 0.90, 0),
)


def clip_frames() -> Iterator[tuple[np.ndarray, ClipTruth]]:
    """The clip's 200 frames (8 s at 25 frames/s) in order, uint8 [480, 640, 3] RGB, with the truth about each."""
    portrait, mask, wall = _portrait(), _mask(), _wall()
    for i in range(FRAMES):
        time = i / FPS
        yield _compose(portrait, mask, wall, *_at(time), light=1 + 0.08 * np.sin(1.7 * time)), _truth(time)


def write(folder: Path) -> list[Path]:
    """Write clip.mp4 (MPEG-4 Part 2, which every build of OpenCV decodes) and the truth by frame, clip_truth.csv.

    Raises OSError when OpenCV has no encoder for mp4.
    """
    video, table = folder / "clip.mp4", folder / "clip_truth.csv"
    rows = ["frame,x,y,width,height,visible,label"]
    with paths.atomic(video) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
        try:
            if not writer.isOpened():
                raise OSError(f"this OpenCV ({cv2.__version__}) cannot write mp4 video to {video}")
            for i, (frame, truth) in enumerate(clip_frames()):
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
                box = ",".join(f"{v:.2f}" for v in truth.box) if truth.box else ",,,"
                rows.append(f"{i},{box},{truth.visible:.3f},{truth.label or ''}")
        finally:
            writer.release()
    with paths.atomic(table) as temporary:
        temporary.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return [video, table]


def _truth(time: float) -> ClipTruth:
    """The face's box, not cut at the frame's edge, and the share of it inside the frame; no box when that is 0."""
    x, y, size, _ = _at(time)
    box = (x - size * FACE[2] / 2, y - size * FACE[3] / 2, size * FACE[2], size * FACE[3])
    visible = _inside(box)
    return ClipTruth(box, LABEL, visible) if visible > 0 else ClipTruth()


@lru_cache
def _portrait() -> np.ndarray:
    from skimage.data import astronaut

    return np.ascontiguousarray(astronaut()[..., :3])


@lru_cache
def _mask() -> np.ndarray:
    """float32 [512, 512]: 1 on the person, 0 on the studio's backdrop, soft between."""
    mask = np.zeros((512, 512), np.uint8)
    cv2.fillPoly(mask, [np.array(OUTLINE, np.int32)], 255, cv2.LINE_AA)
    mask = cv2.erode(cv2.GaussianBlur(mask, (0, 0), 2.0), np.ones((3, 3), np.uint8))
    mask[-2:] = mask[-3]
    return mask.astype(np.float32) / 255


@lru_cache
def _wall() -> np.ndarray:
    """uint8 [480, 640, 3] RGB: a plaster wall in soft light, a board and a door frame; no picture of anything."""
    rng = np.random.default_rng(11)
    wall = np.empty((HEIGHT, WIDTH, 3), np.float32)
    wall[:] = (158, 166, 170)
    for cells, strength in ((3, 14), (10, 5), (60, 2.5)):
        blotches = rng.normal(0, strength, (cells * 3 // 4, cells)).astype(np.float32)
        wall += cv2.resize(blotches, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    cv2.rectangle(wall, (430, -10), (600, 500), (138, 122, 104), -1)
    cv2.rectangle(wall, (446, 10), (584, 500), (150, 134, 116), -1)
    cv2.rectangle(wall, (60, 60), (300, 210), (118, 128, 122), -1)
    cv2.rectangle(wall, (60, 60), (300, 210), (182, 180, 172), 5)
    wall = cv2.GaussianBlur(wall, (0, 0), 5)
    light = np.linspace(1.1, 0.8, WIDTH, dtype=np.float32)[None, :, None]
    return np.clip(wall * light + rng.normal(0, 1.5, wall.shape), 0, 255).astype(np.uint8)


def _at(time: float) -> tuple[float, float, float, float]:
    """Centre, size and roll at `time`: smooth steps from one point of `PATH` to the next."""
    k = max(i for i, point in enumerate(PATH[:-1]) if point[0] <= time)
    start, end = np.array(PATH[k]), np.array(PATH[k + 1])
    t = (time - start[0]) / (end[0] - start[0])
    x, y, size, roll = (start + (end - start) * t * t * (3 - 2 * t))[1:]
    return float(x), float(y), float(size), float(roll)


def _compose(portrait, mask, wall, x: float, y: float, size: float, roll: float, *, light: float) -> np.ndarray:
    """The portrait over the wall, its face's centre at (x, y)."""
    centre = (FACE[0] + FACE[2] / 2, FACE[1] + FACE[3] / 2)
    matrix = cv2.getRotationMatrix2D(centre, roll, size)
    matrix[:, 2] += np.array((x, y)) - centre
    person = cv2.warpAffine(portrait, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, (WIDTH, HEIGHT))
    return cv2.convertScaleAbs(cv2.blendLinear(person, wall, alpha, 1 - alpha), alpha=light)


def _inside(box: Box) -> float:
    """Share of a box's area that is inside the frame."""
    x, y, w, h = box
    across = max(0.0, min(x + w, WIDTH) - max(x, 0.0))
    down = max(0.0, min(y + h, HEIGHT) - max(y, 0.0))
    return min(1.0, across * down / (w * h))
