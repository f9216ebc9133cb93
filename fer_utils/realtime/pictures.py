"""Separate pictures: a file, or the files of a folder."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_utils.realtime.sources import Frame, Source, SourceError, as_frame

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def decode(content: bytes | memoryview) -> np.ndarray | None:
    """An encoded picture (JPEG, PNG …) as uint8 [H, W, 3] RGB; None when it is none, or larger than OpenCV accepts."""
    try:
        # imdecode instead of imread: file names outside ASCII work on Windows too.
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if bgr is None else as_frame(bgr[:, :, ::-1])


class Pictures(Source):
    """A picture, or a folder of them in name order: each stands alone, one a second."""

    still, fps = True, 1.0

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES)
        if not self.files:
            raise SourceError(f"source: the folder {path} holds no picture ({', '.join(PICTURES)})")

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self.files:
            if (image := decode(file.read_bytes())) is not None:
                yield Frame(image, float(index), index, file.name)
                index += 1
            else:
                self.notes.append(f"{file} cannot be read as a picture and was left out")
        if not index:
            raise SourceError(f"source: no picture in {self.title} can be read")
