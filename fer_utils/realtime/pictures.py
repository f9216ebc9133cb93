"""Pictures in, annotated pictures out: each stands alone. A file is a picture by its first bytes, whatever its name."""

import io
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from itertools import islice
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.realtime.sinks import Output, SinkError
from fer_utils.realtime.sources import Frame, Source, SourceError, as_frame

# JPEG, PNG, GIF, BMP, TIFF, WebP, PNM and PFM, JPEG 2000, Radiance, Sun raster; AVIF and HEIC.
SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM|II\*\0|MM\0\*|RIFF....WEBP|P[1-7Ff]\s|\0\0\0\x0cjP  |\xff\x4f\xff\x51|#\?R|"
    rb"\x59\xa6\x6a\x95|(?P<heif>....ftyp(?:avi[fs]|he[iv][cfmsx]|mi[af]1|msf1))", re.DOTALL,
)  # fmt: skip
HEAD = 16  # bytes that a signature lies in
MOTION_JPEG = (".mjpeg", ".mjpg")  # a video, though it begins as a JPEG does
JPEG = b"\xff\xd8"
HALF = cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB  # OpenCV has no name for it
WIDE = 1920  # pixels; reduced pictures stay at least so wide, for the smallest faces that are searched for
LOSSLESS = (".bmp", ".gif", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff")  # become PNG, all others JPEG
# Kinds that are written, and how.
JPEG_OPTIONS = [cv2.IMWRITE_JPEG_QUALITY, 90]
OPTIONS = {".jpg": JPEG_OPTIONS, ".jpeg": JPEG_OPTIONS, ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3]}
THREADS, AHEAD = 2, 2  # pictures are read, and written, beside the work: each takes 36 MB at 12 megapixels


def is_picture(path: Path) -> bool:
    """Whether a file's first bytes are a picture's, or cannot be read at all."""
    if not path.is_file() or path.suffix.lower() in MOTION_JPEG:
        return False
    with suppress(OSError), path.open("rb") as file:
        return bool(SIGNATURE.match(file.read(HEAD)))
    return True


def decode(content: bytes | memoryview, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray | None:
    """An encoded picture (JPEG, PNG …), upright, as uint8 [H, W, 3] RGB; None when it is none that OpenCV reads."""
    try:
        # imdecode instead of imread: file names outside ASCII work on Windows too.
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None


def read_picture(path: Path, width: int | None = None) -> tuple[np.ndarray, float]:
    """A file's picture, upright, as uint8 [H, W, 3] RGB, and how many of its pixels one of the array's stands for.

    Where `width` pixels are enough, a JPEG at least twice as wide is read at half its size, in half the time.
    SourceError with the reason for what is no picture, OSError for what cannot be read at all.
    """
    if not path.is_file():
        raise SourceError("not a file")
    with path.open("rb") as file:
        head = file.read(HEAD)
        if not (signature := SIGNATURE.match(head)):
            raise SourceError(f"not a picture ({os.fstat(file.fileno()).st_size:,} bytes)")
        content = head + file.read()
    if width and head.startswith(JPEG) and (half := decode(content, HALF)) is not None:
        if half.shape[1] >= max(width, WIDE):
            return half, 2.0
    heif = signature["heif"]  # OpenCV leaves some of them lying on their side
    first, second = (_by_pillow, decode) if heif else (decode, _by_pillow)
    if (image := first(content)) is None and (image := second(content)) is None:
        unknown = "HEIC needs the package pillow-heif" if heif else "a kind of picture that cannot be read"
        raise SourceError(f"damaged, or {unknown}")
    return image, 1.0


def _by_pillow(content: bytes) -> np.ndarray | None:
    with suppress(Exception):  # it may be missing, and each of its decoders has errors of its own
        from PIL import Image, ImageOps

        with suppress(ImportError):  # what some have beside it
            import_module("pillow_heif").register_heif_opener()
        return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    return None


class Pictures(Source):
    """Separate pictures, one a second, read ahead: files, or arrays as `as_frame` takes them, by their frames' names.

    A file that cannot be read ends up in `left_out`; when none can, SourceError. `width`: see `read_picture`.
    """

    still, fps = True, 1.0

    def __init__(self, title: str, pictures: Mapping[str, Path | np.ndarray], *, width: int | None = None) -> None:
        super().__init__(title)
        self.pictures, self.total, self._width = pictures, len(pictures), width

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        with ThreadPoolExecutor(THREADS, "reader") as pool:
            for name, loaded in self._ahead(pool):
                try:
                    image, scale = loaded.result()
                except (OSError, SourceError) as error:
                    self.left_out[name] = getattr(error, "strerror", None) or str(error)
                    continue
                yield Frame(image, float(index), index, name, scale)
                index += 1
        if self.left_out and not (index or self.stopped):
            reason = next(iter(self.left_out.values()))
            raise SourceError(f"source: no picture in {self.title} can be read: {reason}")

    def _ahead(self, pool: ThreadPoolExecutor) -> Iterator[tuple[str, Future]]:
        names, waiting = iter(self.pictures), deque()
        while not self.stopped:
            for name in islice(names, AHEAD - len(waiting)):
                waiting.append((name, pool.submit(self._load, self.pictures[name])))
            if not waiting:
                return
            yield waiting.popleft()

    def _load(self, picture: Path | np.ndarray) -> tuple[np.ndarray, float]:
        return read_picture(picture, self._width) if isinstance(picture, Path) else (as_frame(picture), 1.0)


class PictureSink(Output):
    """Annotated copies of `pictures` (see `Pictures`), `width` pixels across where they are wider, written on the side.

    `path` is a folder, whose copies keep their names (and get .jpg or .png behind another ending), or one file.
    SinkError for a place that cannot be written, and for one where a source is.
    """

    unit = "pictures"

    def __init__(self, path: str | Path, pictures: Mapping[str, object], *, width: int | None = None) -> None:
        self.path, self.count, self._width = Path(path).expanduser(), 0, width
        is_folder = self.path.is_dir() or not self.path.suffix or str(path).endswith(("/", os.sep))
        if not is_folder and (self.path.suffix.lower() not in OPTIONS or len(pictures) > 1):
            kinds = f"a folder, for one picture also {', '.join(OPTIONS)}"
            raise SinkError(f"output: must be {kinds}; got {self.path.name}")
        self._targets = {name: self.path / written_name(name) if is_folder else self.path for name in pictures}
        sources = {source.resolve() for source in pictures.values() if isinstance(source, Path)}
        if taken := next((target for target in self._targets.values() if target.resolve() in sources), None):
            raise SinkError(f"output: {taken} is a source itself; name another place")
        self._pool, self._waiting = ThreadPoolExecutor(THREADS, "writer"), deque()

    def write(self, image: np.ndarray, name: str) -> None:
        """Store the annotated copy (uint8 [H, W, 3] RGB) of the picture `name`; an error may come with a later one."""
        self._waiting.append(self._pool.submit(self._save, image, self._targets[name]))
        self._settle(AHEAD)

    def _settle(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()
            self.count += 1

    def _save(self, image: np.ndarray, target: Path) -> None:
        if self._width and image.shape[1] > self._width:
            scale = image.shape[1] / self._width
            size = self._width, max(1, round(image.shape[0] / scale))
            # Means of areas cost as much as a tenth of the search; below 2 they change nothing that is seen.
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale > 2 else cv2.INTER_LINEAR)
        ending = target.suffix.lower()
        try:
            _, content = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), OPTIONS[ending])
            with paths.atomic(target) as temporary:
                content.tofile(temporary)
        except (OSError, cv2.error) as error:
            raise SinkError(f"output: cannot write {target}: {getattr(error, 'strerror', None) or error}") from None

    def close(self) -> None:
        try:
            self._settle(0)
        finally:
            self._pool.shutdown()


def written_name(name: str) -> str:
    """The name of a picture's copy: its own where that is a kind that is written, else `b.tif.png`, `c.heic.jpg`."""
    suffix = PurePosixPath(name).suffix.lower()
    return name if suffix in OPTIONS else f"{name}{'.png' if suffix in LOSSLESS else '.jpg'}"
