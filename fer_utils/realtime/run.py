"""Apparent expressions on moving faces: from a camera, a file, a stream or pictures to a view, a video, a table.

    python -m fer_utils.realtime.run                                            # webcam 0 in a window
    python -m fer_utils.realtime.run --source talk.mp4 --output out.mp4 --csv out.csv --headless

In Python: `for result in pipeline("talk.mp4"): …`. Needs onnxruntime, OpenCV and NumPy, never TensorFlow. Everything
stays on this machine, and nothing is stored unless an output is named.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_utils import data
from fer_utils.data import CLASSES
from fer_utils.faces import Box, ImageError
from fer_utils.models.classifier import ModelError
from fer_utils.realtime import audio, overlay
from fer_utils.realtime.pipeline import Pipeline, Result, Settings, best_model
from fer_utils.realtime.sinks import SinkError, Table, VideoSink, record
from fer_utils.realtime.sources import CLIP, CLIP_TITLE, Source, SourceError, SourceLost, VideoFile, open_source
from fer_utils.realtime.summary import Detection, Summary, Truth, detection
from fer_utils.realtime.tracker import Track
from fer_utils.realtime.window import Window

__all__ = [
    "Detection", "Pipeline", "Result", "Settings", "Source", "SourceError", "SourceLost", "Summary", "Track",
    "CLASSES", "Truth", "best_model", "clip_truth", "detection", "main", "pipeline", "run",
]

AnySource = int | str | Path | Iterable[np.ndarray] | Source
ERRORS = (SourceError, SinkError, ModelError, ImageError, FileNotFoundError)


def pipeline(
    source: AnySource, *, settings: Settings | None = None, pipe: Pipeline | None = None,
    max_frames: int | None = None, **options: object,
) -> Iterator[Result]:
    """Iterate over a source's frames with their faces: `for result in pipeline("talk.mp4", every=5): …`.

    Parameters
    ----------
    source : a camera's number, a video file, a picture or a folder of pictures, a URL, `"clip"`, arrays (uint8
        [H, W, 3] RGB and what `frame.as_frame` takes), or an open Source.
    settings, options : see `Settings`; options replace single settings.
    pipe : a Pipeline to use (it stays open) instead of a new one.
    max_frames : stop after so many frames.

    Yields
    ------
    Result for every frame; a live source skips frames that came while one was being worked on.

    Raises
    ------
    SourceError (SourceLost when a live source goes away), ModelError, ImageError, ValueError: see there. Whatever ends
    the iteration, the source is closed.
    """
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames: must be 1 or more; got {max_frames}")
    with ExitStack() as stack:
        frames = stack.enter_context(open_source(source))
        pipe = pipe or stack.enter_context(Pipeline(replace(settings or Settings(), **options)))
        start, count = time.perf_counter(), 0
        for frame in frames:
            read = (time.perf_counter() - start) * 1000
            result = pipe(frame, still=frames.still)
            result.milliseconds["read"] = read
            yield result
            start, count = time.perf_counter(), count + 1
            if frames.stopped or (max_frames is not None and count >= max_frames):
                return


def run(
    source: AnySource, *, output: str | Path | None = None, tables: Iterable[str | Path] = (), headless: bool = True,
    blur: bool = False, max_frames: int | None = None, settings: Settings | None = None,
    on_result: Callable[[Result, np.ndarray], object] | None = None, say: Callable[[str], object] = print,
    summary: Summary | None = None,
) -> Summary:
    """Process a source and show or write what is found.

    Parameters
    ----------
    source, settings, max_frames : as for `pipeline`.
    output : video to write. tables : `.csv` and `.jsonl` files to write. headless : open no window.
    blur : make faces unrecognizable wherever they are shown or written.
    on_result : called with each result and its drawn frame (uint8 [H, W, 3] RGB); return False to stop.
    say : receives each line for the user. summary : one to fill while the run goes on.

    Returns
    -------
    Summary. Ctrl-C (SIGINT) and SIGTERM end the run early but regularly: the video is finished, the tables complete.

    Raises
    ------
    As `pipeline`, and SinkError; outputs are closed first.
    """
    summary, sinks = Summary() if summary is None else summary, None
    try:
        with ExitStack() as stack:
            frames = stack.enter_context(open_source(source))
            pipe = stack.enter_context(Pipeline(settings))
            sinks = _Sinks(stack, frames, output=output, tables=tables, window=None if headless else frames.title)
            stack.enter_context(_stoppable(frames))
            say(f"source: {frames.title}")
            say(f"model: {pipe.classifier.path.stem}; the whole detector every {pipe.settings.every} frames")
            for result in pipeline(frames, pipe=pipe, max_frames=max_frames):
                start = time.perf_counter()
                drawn = _draw(result, fps=None if frames.still else summary.recent_fps, blur=blur)
                middle = time.perf_counter()
                go_on = sinks.write(result, drawn, say)
                summary.add(result, draw=(middle - start) * 1000, write=(time.perf_counter() - middle) * 1000)
                if not go_on or (on_result is not None and on_result(result, drawn) is False):
                    break
    finally:
        # Said after an error too: what was done until then is on disk.
        if sinks is not None:
            sinks.keep_sound(frames)
            for line in (*(f"note: {note}" for note in frames.notes), *summary.lines(), *sinks.lines()):
                say(line)
    return summary


def _draw(result: Result, *, fps: float | None, blur: bool) -> np.ndarray:
    early = result.frame.time < overlay.NOTICE_SECONDS or bool(result.frame.name)
    return overlay.draw(
        result.frame.image, result.tracks, fps=fps, notice=overlay.NOTICE if early else None, blur=blur,
        hidden=result.hidden,
    )


class _Sinks:
    """All outputs of a run."""

    def __init__(
        self, stack: ExitStack, source: Source, *, output: str | Path | None, tables: Iterable[str | Path],
        window: str | None,
    ) -> None:
        if output is not None and Path(output).expanduser().resolve() == Path(source.title).expanduser().resolve():
            raise SinkError(f"output: {output} is the source itself; name another file")
        self.live = source.live
        self.video = output and stack.enter_context(VideoSink(output, fps=source.fps, live=source.live))
        self.tables = [stack.enter_context(Table(path)) for path in tables]
        self.window = window and stack.enter_context(Window(window))

    def write(self, result: Result, drawn: np.ndarray, say: Callable[[str], object]) -> bool:
        """Write a result everywhere; False when the user wants to end, or when nobody is left to see it."""
        for table in self.tables:
            for track in result.tracks:
                table.write(record(result.frame, track))
        if self.video:
            self.video.write(drawn, seconds=result.frame.time)
        if not self.window or self.window.show(drawn):
            return True
        if self.window.stopped:
            return False
        say("note: no window: there is no display (any more), or this OpenCV is the build without windows")
        self.window.close()
        self.window = None
        return not self.live or bool(self.video or self.tables)

    def keep_sound(self, source: Source) -> None:
        """Give the finished video the sound of the file it was made from."""
        path = source.path if isinstance(source, VideoFile) and source.title != CLIP_TITLE else None
        if self.video and self.video.frames and path is not None and (note := audio.keep_sound(self.video.path, path)):
            source.notes.append(note)

    def lines(self) -> list[str]:
        lines = [f"wrote: {table.path} ({table.rows} rows)" for table in self.tables]
        return [*lines, f"wrote: {self.video.path} ({self.video.frames} frames)"] if self.video else lines


@contextmanager
def _stoppable(source: Source) -> Iterator[None]:
    """While this lasts, Ctrl-C and SIGTERM make the source end, instead of breaking off in the middle of a write."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: source.stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def clip_truth() -> list[Truth]:
    """The truth about every frame of the embedded clip."""
    return [Truth(truth.box, truth.expected) for truth in data.clip_truth()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fer_utils.realtime.run", description=__doc__.split("\n")[0])
    add, default = parser.add_argument, Settings()
    add("--source", default="0", help="camera number, video, picture, folder of pictures, URL or 'clip' (default: 0)")
    add("--output", metavar="FILE", help="write the annotated video (.mp4, .mkv, .avi, .webm)")
    add("--csv", metavar="FILE", help="write time, frame, track, box, landmarks and probabilities of every face")
    add("--jsonl", metavar="FILE", help="the same as JSON lines, with the unsmoothed probabilities too")
    add("--headless", action="store_true", help="open no window")
    add("--model", help="model in models/ or an .onnx file (default: the best there is; mobilenet_v3_large is light)")
    add("--every", type=int, default=default.every, help="run the whole detector on every k-th frame (%(default)s)")
    add("--detect-width", type=int, default=default.detect_width, help="pixels across the searched copy (%(default)s)")
    add("--half-life", type=float, default=default.half_life, help="seconds; 0 = no smoothing (%(default)s)")
    add("--uncertain", type=float, default=default.uncertain, help="below this: 'uncertain' (%(default)s)")
    add("--threads", type=int, default=default.threads, help="0 = the cores there are, at most 4")
    add("--max-frames", type=int, help="stop after so many frames")
    add("--blur-faces", action="store_true", help="make faces unrecognizable in the window and the video")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one line that says what is wrong."""
    options = _parser().parse_args(arguments)
    found: list[list[Box]] = []
    is_clip = options.source == CLIP
    try:
        settings = Settings(
            model=options.model, every=options.every, detect_width=options.detect_width, half_life=options.half_life,
            uncertain=options.uncertain, threads=options.threads,
        )
        run(
            options.source, output=options.output, tables=[t for t in (options.csv, options.jsonl) if t],
            headless=options.headless, blur=options.blur_faces, max_frames=options.max_frames, settings=settings,
            on_result=(lambda result, _: found.append([track.box for track in result.tracks])) if is_clip else None,
        )
        if is_clip:
            print(f"truth: {detection(found, clip_truth())}")
    except (*ERRORS, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
