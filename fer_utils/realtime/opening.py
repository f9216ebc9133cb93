"""What a source's name means: a camera, a stream, a video file, pictures, arrays, or several of them."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np

from fer_utils import data
from fer_utils.realtime.captures import Capture, IsPicture
from fer_utils.realtime.pictures import Pictures, decode, is_picture
from fer_utils.realtime.sources import ALLOWED, CLIP, Frame, Source, SourceError, as_frame

Name = int | str | Path
NAMES = Name | np.integer
AnySource = Name | np.ndarray | Sequence[Name] | Sequence[np.ndarray] | Iterable[np.ndarray] | Source


def open_source(source: AnySource, *, patience: float = 5.0, recursive: bool = False, width: int | None = None,
                without: Path | None = None) -> Source:
    """What `source` (see `pipeline`) names; SourceError when it is missing or unreadable.

    `patience`: seconds to wait for a live frame, and to try to open a device that went away, before giving up.
    `recursive`: read a folder's subfolders too; `without`: but this one. `width`: pixels that are enough of a picture.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, NAMES):
        source = [source]
    elif hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        source = list(array) if (array := np.asarray(source)).ndim == 4 else [array]
    if not isinstance(source, list | tuple):
        return Source("frames", (Frame(as_frame(image), i / Source.fps, i) for i, image in enumerate(source)))
    if source and all(isinstance(item, NAMES) for item in source):
        return _open_names(source, patience, recursive, width, without and without.absolute())
    return Pictures("pictures", {str(i): np.asarray(image) for i, image in enumerate(source)})


class Several(Source):
    """Sources one after the other, each opened at its turn; a frame without a name gets its source's.

    A source that cannot be read ends up in `left_out`; when none can, SourceError.
    """

    def __init__(self, title: str, parts: Mapping[str, Callable[[], Source]]) -> None:
        super().__init__(title)
        self._parts, self._part = parts, Source("")

    def __iter__(self) -> Iterator[Frame]:
        read = 0
        for name, opened in self._parts.items():
            try:
                with opened() as part:
                    self._part, self.still, self.live = part, part.still, part.live
                    self.fps, self.total, part.left_out = part.fps, part.total, self.left_out
                    part.notes[:0] = self.notes
                    self.notes = part.notes
                    for frame in part:
                        yield frame if frame.name else replace(frame, name=name)
                    read += 1
            except SourceError as error:
                self.left_out[name] = str(error).removeprefix("source: ").partition("; must be")[0]
            if self.stopped:
                return
        if not read:
            raise SourceError(f"source: none of {self.title} can be read")

    def stop(self) -> None:
        super().stop()
        self._part.stop()

    def close(self) -> None:
        self._part.close()


def _open_names(names: Sequence[Name], patience: float, recursive: bool, width: int | None,
                without: Path | None) -> Source:
    pictures, videos, roots, notes = [], [], [], []
    for name in map(_parsed, names):
        if not isinstance(name, Path):
            videos.append(name)
            continue
        root, files = _files(name, recursive, notes)
        roots.append(root.absolute())
        for file in files:
            if file != name and without not in (None, roots[-1]) and without in file.absolute().parents:
                continue
            # What lies in a folder was not named: a video among its pictures would be a surprise.
            (pictures if root == name or is_picture(file) else videos).append(file)
    root = os.path.commonpath(roots) if roots else ""
    named = {_called(file, root): file for file in pictures}
    title = str(names[0]) if len(names) == 1 else f"{len(named)} pictures and {len(set(videos))} videos"
    if not named and not videos:
        raise SourceError("; ".join([f"source: {title} holds no picture that can be read", *notes]))
    if len(videos) == 1 and not named:
        return _open_one(videos[0], patience)
    still = Pictures(title, named, width=width)
    parts = {"pictures": lambda: still} if named else {}
    parts |= {_called(video, root): partial(_open_one, video, patience) for video in videos}
    source = Several(title, parts) if videos else still
    source.notes += notes
    return source


def _parsed(name: Name) -> Name:
    """A camera's number, an address or the clip as it is, and the path that everything else is."""
    if isinstance(name, int | np.integer) or (isinstance(name, str) and name.strip().removeprefix("-").isdecimal()):
        return int(name)
    if str(name).startswith("file://"):
        from urllib.request import url2pathname

        return Path(url2pathname(urlsplit(name).path))
    return Path(name).expanduser() if isinstance(name, Path) or not (name == CLIP or "://" in str(name)) else name


def _called(source: Name, root: str) -> str:
    """What a source is called in tables: a path from `root`, with slashes; anything else as it is."""
    return Path(os.path.relpath(source, root)).as_posix() if isinstance(source, Path) else str(source)


def _open_one(name: Name, patience: float) -> Source:
    """A camera (its number), what is behind an address, the clip, or a video file (its path)."""
    if name == CLIP:
        return Capture(data.clip_path(), title="the embedded clip", patience=patience)
    try:
        return Capture(name, patience=patience)
    except IsPicture as found:
        if (image := decode(*found.args)) is None:
            raise SourceError(f"source: {name} is a kind of picture that is read from files only") from None
    return Pictures(name, {PurePosixPath(unquote(urlsplit(name).path)).name: image})


def _files(path: Path, recursive: bool, notes: list[str]) -> tuple[Path, list[Path]]:
    """The files that a path names (its own, a folder's, a pattern's), in order, and the folder they are named from."""
    if path.exists() and not path.is_dir():
        return path.parent, [path]
    if path.is_dir():
        inside = sorted(path.glob("**/*" if recursive else "*"))
        seen = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        files = [file for file in seen if not file.is_dir()]
        if not recursive and len(files) < len(seen):
            notes.append(f"{len(seen) - len(files)} folders in {path} were left out; --recursive reads them")
        return path, files
    if not (files := [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if os.path.isfile(name)]):
        raise SourceError(f"source: there is no file {path}; must be {ALLOWED}")
    return Path(*takewhile(lambda part: not glob.has_magic(part), path.parts)), files
