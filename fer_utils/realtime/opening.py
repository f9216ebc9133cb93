"""What a source's name means: a camera, a stream, a video file, pictures or arrays."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fer_utils import data
from fer_utils.realtime.pictures import PICTURES, Pictures
from fer_utils.realtime.sources import CLIP, Capture, Frame, Source, as_frame


def open_source(source: int | str | Path | Iterable[np.ndarray] | Source, *, patience: float = 5.0) -> Source:
    """What `source` (see `pipeline`) names; SourceError when it is missing or unreadable.

    `patience`: seconds to wait for a live frame, and to try to open a device that went away, before giving up.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (int, np.integer)) or (isinstance(source, str) and source.strip().isdecimal()):
        return Capture(int(source), patience=patience)
    if not isinstance(source, (str, Path)):
        return Source("frames", (Frame(as_frame(image), i / Source.fps, i) for i, image in enumerate(source)))
    if source == CLIP:
        return Capture(data.clip_path(), title="the embedded clip", patience=patience)
    if "://" in str(source):
        return Capture(str(source), patience=patience)
    path = Path(source).expanduser()
    is_picture = path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURES)
    return Pictures(path) if is_picture else Capture(path, patience=patience)
