"""Pictures with known faces in them for the tests of detection and alignment, all made from what scikit-image ships."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import skimage.data

FACE = (slice(20, 200), slice(140, 320))  # the astronaut's head in the 512 × 512 portrait


def portrait() -> np.ndarray:
    """NASA's portrait of Eileen Collins, uint8 [512, 512, 3] RGB, public domain: one face."""
    return skimage.data.astronaut()


def crowd(count: int, *, seed: int = 0) -> np.ndarray:
    """`count` copies of the face, of different sizes, side by side on a noisy 640 × 480 wall; uint8 RGB."""
    rng = np.random.default_rng(seed)
    wall = np.clip(rng.normal(110, 12, (480, 640, 3)), 0, 255).astype(np.uint8)
    face, column = portrait()[FACE], 640 // count
    for place in range(count):
        side = int(rng.integers(min(80, column - 1), min(150, column)))
        y = int(rng.integers(0, 480 - side))
        small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        wall[y:y + side, place * column:place * column + side] = small[:, ::-1] if place % 2 else small
    return wall


def people(*, columns: int = 6, rows: int = 4, start: int = 0) -> np.ndarray:
    """Many different people: a mosaic of Labeled Faces in the Wild's 25-px faces (scikit-image's subset), enlarged."""
    faces = skimage.data.lfw_subset()[start:start + columns * rows]
    tiles = [cv2.resize((255 * face).astype(np.uint8), (100, 100), interpolation=cv2.INTER_CUBIC) for face in faces]
    lines = [np.hstack(tiles[row * columns:(row + 1) * columns]) for row in range(rows)]
    return cv2.cvtColor(np.vstack(lines), cv2.COLOR_GRAY2RGB)


def group(*, size: int, seed: int = 0) -> np.ndarray:
    """15 people of Labeled Faces in the Wild in three rows before a wall, each about `size` pixels; uint8 RGB."""
    rng, cell = np.random.default_rng(seed), int(1.6 * size)
    wall = cv2.resize(skimage.data.brick(), (5 * cell, 3 * cell), interpolation=cv2.INTER_AREA)
    for place, face in enumerate(rng.permutation(skimage.data.lfw_subset()[:100])[:15]):
        side = int(size * rng.uniform(0.8, 1.2))
        tile = cv2.resize((255 * face).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
        mask = cv2.ellipse(np.zeros((side, side), np.float32), ((side / 2, side / 2), (0.96 * side, side), 0), 1, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.03 * side)
        y, x = (int(rng.uniform(0, cell - side)) + cell * step for step in divmod(place, 5))
        part = wall[y:y + side, x:x + side]
        part[:] = part * (1 - mask) + tile * mask
    return cv2.cvtColor(wall, cv2.COLOR_GRAY2RGB)


def texture(seed: int) -> np.ndarray:
    """Coins, a cat, grass or gravel, turned and enlarged at random: uint8 [360, 480, 3] RGB, no face."""
    rng, name = np.random.default_rng(seed), ("coins", "chelsea", "grass", "gravel")[seed % 4]
    image = getattr(skimage.data, name)()
    image = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    middle = rng.uniform(0, image.shape[1]), rng.uniform(0, image.shape[0])
    turn = cv2.getRotationMatrix2D(middle, rng.uniform(0, 360), np.exp(rng.uniform(-0.9, 1.6)))
    return cv2.warpAffine(image, turn, (480, 360), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """67 pictures: one face, several, none, small, turned, cut off at the border, dark, noisy; name and uint8 RGB."""
    whole = portrait()
    yield "whole", whole
    for scale in (0.15, 0.25, 0.4, 0.6, 0.8, 1.3):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        yield f"scaled {scale}", cv2.resize(whole, None, fx=scale, fy=scale, interpolation=method)
    for angle in (-60, -40, -25, -10, 10, 25, 40, 90, 180):
        turn = cv2.getRotationMatrix2D((225, 110), angle, 1)
        yield f"turned {angle}", cv2.warpAffine(whole, turn, (450, 300))
    for light in (0.05, 0.1, 0.25, 0.5):
        yield f"dark {light}", (whole[:300] * light).astype(np.uint8)
    rng = np.random.default_rng(7)
    for number in range(14):
        (x, y), (w, h) = rng.integers(0, 200, 2), rng.integers(90, 312, 2)
        yield f"crop {number}", whole[y:y + h, x:x + w].copy()
    for x in range(150, 270, 20):
        yield f"cut off at {x}", whole[30:240, x:x + 240].copy()
    for count in (1, 2, 2, 3, 3, 4, 4):
        yield f"crowd of {count}", crowd(count, seed=rng.integers(1000))
    for start in range(0, 100, 24):
        yield f"people from {start}", people(start=start)
    for level in (10, 30, 60):
        noisy = whole[:300] + rng.normal(0, level, (300, 512, 3))
        yield f"noise {level}", np.clip(noisy, 0, 255).astype(np.uint8)
    yield "gray", cv2.cvtColor(cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    for name in ("coffee", "chelsea", "rocket"):
        yield name, cv2.resize(getattr(skimage.data, name)(), (400, 300), interpolation=cv2.INTER_AREA)
    yield "not faces", people(start=104)
    yield "only noise", rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    yield "black", np.zeros((200, 300, 3), np.uint8)
    yield "white", np.full((200, 300, 3), 255, np.uint8)
    yield "narrow", cv2.resize(whole, (40, 300))
    yield "flat", cv2.resize(whole, (300, 40))
    yield "tiny", cv2.resize(whole, (24, 24), interpolation=cv2.INTER_AREA)
    yield "smallest", cv2.resize(whole, (12, 12), interpolation=cv2.INTER_AREA)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
