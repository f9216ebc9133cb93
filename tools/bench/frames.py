"""The frames that every contender sees: a real face that sways over a drawn wall, one of it or four.

Four faces stand as four pictures in one, as in a video conference, two of them mirrored, each in its own light. The
face is NASA's portrait of Eileen Collins (public domain, `tools.sample.clip`). A scene is a loop of `PERIOD` frames
without a jump at its end; the same frames come out of every call.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

__all__ = ["FPS", "PERIOD", "SCENES", "Scene", "frame", "read", "write"]

FPS = 25
PERIOD = 40  # frames of a loop: 1.6 s, in which a head sways once from side to side
FACE_HEIGHT = 0.3  # of the picture's height
SWAY, NOD, NEARER, ROLL = 0.05, 0.03, 0.1, 5.0  # shares of width, height, size; degrees
WORDS = {1: "one face", 4: "four faces"}
NOISE = 1.5  # a camera's, standard deviation in gray levels


@dataclass(frozen=True)
class Scene:
    """Pictures of `width` × `height` pixels with `faces` faces (a square number) in each."""

    width: int
    height: int
    faces: int

    @property
    def name(self) -> str:
        return f"{self.width}x{self.height}-{self.faces}"

    @property
    def title(self) -> str:
        return f"{self.width}×{self.height}, {WORDS.get(self.faces, f'{self.faces} faces')}"


SCENES = tuple(Scene(width, height, faces) for width, height in ((640, 480), (1280, 720)) for faces in (1, 4))


def frame(scene: Scene, index: int) -> np.ndarray:
    """Frame `index` of a scene, uint8 [height, width, 3] RGB; the same as frame `index + PERIOD`."""
    index %= PERIOD
    side = round(scene.faces**0.5)
    size = scene.width // side, scene.height // side
    pictures = [_picture(size, index / PERIOD + number / scene.faces, number) for number in range(scene.faces)]
    rows = [np.hstack(pictures[row * side : (row + 1) * side]) for row in range(side)]
    noise = np.random.default_rng((scene.width, scene.faces, index)).standard_normal(
        (scene.height, scene.width, 3), dtype=np.float32
    )
    return np.clip(np.vstack(rows) + NOISE * noise, 0, 255).astype(np.uint8)


def write(scene: Scene, folder: Path) -> Path:
    """The file of a scene's frames, raw bytes one after the other; written unless it is there (0.1 to 0.3 s a frame).

    Its name holds a hash of this file, so that changed frames are never mistaken for these.
    """
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = folder / f"bench-{scene.name}-{version}.rgb"
    if not path.exists():
        from fer_utils import paths

        with paths.atomic(path) as temporary, temporary.open("wb") as file:
            for index in range(PERIOD):
                file.write(frame(scene, index).tobytes())
    return path


def read(path: str | Path, width: int, height: int, index: int) -> np.ndarray:
    """Frame `index` of a written scene. Not mapped into memory: pages of the file would count as the contender's."""
    size = width * height * 3
    pixels = np.fromfile(path, np.uint8, count=size, offset=index % PERIOD * size)
    return pixels.reshape(height, width, 3)


def _picture(size: tuple[int, int], phase: float, number: int) -> np.ndarray:
    """One person before the wall, float32 [height, width, 3]; `phase`: 0–1 is one loop."""
    import cv2

    from tools.sample import clip

    (width, height), turn = size, 2 * np.pi * phase
    x, y, face_width, face_height = clip.FACE
    centre = x + face_width / 2, y + face_height / 2
    scale = FACE_HEIGHT * height / face_height * (1 + NEARER * np.cos(turn))
    matrix = cv2.getRotationMatrix2D(centre, ROLL * np.sin(turn), scale)
    place = width * (0.5 + SWAY * np.sin(turn)), height * (0.4 + NOD * np.sin(2 * turn))
    matrix[:, 2] += np.array(place) - centre
    portrait, mask = _person()
    person = cv2.warpAffine(portrait, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, size)[..., None]
    picture = (person * alpha + _wall(size, number) * (1 - alpha)) * (1.05 - 0.08 * number)
    return picture[:, ::-1] if number % 2 else picture


@lru_cache
def _person() -> tuple[np.ndarray, np.ndarray]:
    """The portrait, float32 [512, 512, 3], and 1 where the person is, 0 where the studio is, float32 [512, 512]."""
    import cv2
    from skimage.data import astronaut

    from tools.sample import clip

    portrait = astronaut()[..., :3].astype(np.float32)
    mask = np.zeros(portrait.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.array(clip.OUTLINE, np.int32)], 1.0)
    mask = cv2.erode(cv2.GaussianBlur(mask, (0, 0), 2.0), np.ones((3, 3), np.uint8))
    mask[-4:] = mask[-5]  # the blur must not fade the person out at the portrait's lower edge
    return portrait, mask


@lru_cache
def _wall(size: tuple[int, int], number: int) -> np.ndarray:
    """A wall in soft light, float32 [height, width, 3], another one for each `number`."""
    import cv2

    rng = np.random.default_rng(number)
    wall = np.full((size[1], size[0], 3), rng.uniform(120, 190, 3), np.float32)
    for cells, strength in ((3, 14), (10, 6), (40, 3)):
        blotches = rng.normal(0, strength, (max(2, cells * 3 // 4), cells)).astype(np.float32)
        wall += cv2.resize(blotches, size, interpolation=cv2.INTER_CUBIC)[..., None]
    left, top, width, height = (np.array((0.06, 0.12, 0.3, 0.35)) * (*size, *size)).astype(int)
    cv2.rectangle(wall, (int(left), int(top)), (int(left + width), int(top + height)), (112.0, 122.0, 118.0), -1)
    return wall
