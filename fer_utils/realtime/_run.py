"""From a source to what is seen, written or returned: `pipeline` iterates over results, `run` shows and stores them."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from fer_utils.faces import Box
from fer_utils.realtime._pipeline import Pipeline, Result, Settings
from fer_utils.realtime.opening import AnySource, Several, open_source
from fer_utils.realtime.overlay import annotate
from fer_utils.realtime.pictures import Pictures, PictureSink
from fer_utils.realtime.sinks import CODECS, SinkError, Table, VideoSink, Window
from fer_utils.realtime.sources import Frame, Source
from fer_utils.realtime.summary import Summary, Timeline, TrackTable

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows


def pipeline(source: AnySource, *, settings: Settings | None = None, pipe: Pipeline | None = None,
             max_frames: int | None = None, boxes: Callable[[Frame], Sequence[Box]] | None = None,
             **options: object) -> Iterator[Result]:
    """Iterate over a source's frames with their faces; a live one skips frames that came during work on another.

    What cannot be read raises SourceError, ModelError or ImageError, all ValueErrors; the source is closed at any end.

    Parameters
    ----------
    source : a camera's number, a video file, a picture, a folder of pictures, a pattern (`"photos/**/*.jpg"`), a URL,
        `"clip"` (the embedded one), or a list of them; or arrays: [H, W], [H, W, 1], [H, W, 3] RGB or [H, W, 4] RGBA;
        uint8, uint16, bool, or float in [0, 1] or [0, 255]. One array is a picture, a list or an [N, H, W, 3] array are
        separate pictures, any other iterable of arrays is a video.
    settings, options : see `Settings`; options replace single settings.
    pipe : a Pipeline to use (it stays open) instead of a new one. `max_frames` : stop after so many.
    boxes : called with each Frame, returns where its faces are (x, y, width, height in pixels); nothing is searched.

    Yields
    ------
    Result : `frame` (`image`, `time` in seconds, `index`, `name`), `tracks` (a Track for each face: `id`, `text`,
        `label`, `confidence`, `probabilities` [K], `box` and `landmarks` in pixels), `is_detection_frame`.

    Examples
    --------
    >>> for result in pipeline("talk.mp4", detect_every=5):
    ...     print(result.frame.time, [track.text for track in result.tracks])
    """
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames: must be 1 or more; got {max_frames}")
    with ExitStack() as stack:
        frames = stack.enter_context(open_source(source))
        pipe = pipe or stack.enter_context(Pipeline(replace(settings or Settings(), **options), live=frames.live))
        start = time.perf_counter()
        for frame in islice(_sampled(frames, pipe.settings.sample_every), max_frames):
            if frame.index == 0:  # another source begins
                pipe.reset()
            read = (time.perf_counter() - start) * 1000
            known = None if boxes is None else boxes(frame)
            result = pipe(frame, boxes=known, still=frames.still, live=frames.live)
            result.milliseconds["read"] = read
            yield result
            start = time.perf_counter()
            if frames.stopped:
                return


def _sampled(frames: Source, seconds: float) -> Iterator[Frame]:
    """The frames of a source; of a video the first one after each multiple of `seconds`."""
    due = 0.0
    for frame in frames:
        moment = frame.time + 1e-3  # times are rounded to milliseconds, not always down
        if not seconds or frames.still or frame.index == 0 or moment >= due:
            yield frame
            due = (moment // seconds + 1) * seconds if seconds else 0.0


def run(source: AnySource, *, output: str | Path | None = None, output_width: int | None = None,
        tables: Iterable[str | Path] = (), tracks: str | Path | None = None, plot: str | Path | None = None,
        recursive: bool = False, headless: bool = True, progress: bool = False,
        blur: bool = False, max_frames: int | None = None, settings: Settings | None = None,
        on_result: Callable[[Result, np.ndarray], object] | None = None, log: Callable[[str], object] = print,
        summary: Summary | None = None) -> Summary:
    """Process a source and show or write what is found; Ctrl-C, SIGTERM and SIGHUP end it early with complete outputs.

    Raises SinkError, and what `pipeline` raises; outputs are complete as far as they go.

    Parameters
    ----------
    source, settings, max_frames : as for `pipeline`. `recursive` : read a folder's subfolders too.
    headless : open no window. `progress` : show a bar with the time left where stderr is a terminal.
    output : video to write; for pictures also a folder, or, for one, a `.jpg` or `.png` file. `output_width` : pixels
        across annotated pictures that are wider. `blur` : make faces unrecognizable in window and output.
    tables : `.csv` and `.jsonl` files to write. `tracks` : `.csv` file with a row for each track. `plot` : picture
        (.png, .svg, .pdf) of the longest tracks over time.
    on_result : called with each result and its annotated frame (uint8 [H, W, 3] RGB); return False to stop.
    log : receives each line for the user. `summary` : the Summary to fill and return.

    Examples
    --------
    >>> summary = run("talk.mp4", output="labelled.mp4", tables=["labelled.csv"])
    >>> summary.fps
    """
    summary, sinks, settings = summary or Summary(), None, settings or Settings()
    settings = replace(settings, blur=blur or settings.blur)
    try:
        with ExitStack() as stack:
            # A face that is to be blurred must not be lost in a reduced picture.
            width = None if settings.blur or not output else output_width
            without = Path(output).expanduser() if output else None
            frames = stack.enter_context(open_source(source, recursive=recursive, width=width, without=without))
            if output and frames.path and Path(output).expanduser().resolve() == Path(frames.path).resolve():
                raise SinkError(f"output: {output} is the source itself; name another file")
            pipe = stack.enter_context(Pipeline(settings, live=frames.live))
            fps = 1 / settings.sample_every if settings.sample_every else frames.fps
            video = output and stack.enter_context(_open_output(output, frames, output_width, fps))
            tables = [stack.enter_context(Table(path, pipe.classifier.classes)) for path in tables]
            kinds = ((TrackTable, tracks), (Timeline, plot))
            ends = [stack.enter_context(kind(path, pipe.classifier.classes)) for kind, path in kinds if path]
            window = None if headless else stack.enter_context(Window(frames.title))
            sinks = [*tables, *ends, *([video] if video else [])]
            if threading.current_thread() is threading.main_thread():  # a signal ends the source, not a write half-way
                for number in ENDING:
                    if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
                        stack.callback(signal.signal, number, signal.signal(number, lambda *_: frames.stop()))
            log(printable(f"source: {frames.title}"))
            every = "" if frames.still else f"; a detection frame every {settings.detect_every} frames"
            if settings.sample_every:
                every = f"; a frame every {settings.sample_every:g} seconds"
            if settings.blur:
                every = f"; every frame is searched for faces to blur, from {settings.blur_min_face:g} pixels"
            log(f"model: {pipe.classifier.path.stem}{every}")
            results = pipeline(frames, pipe=pipe, max_frames=max_frames)
            if progress and not frames.live and sys.stderr.isatty():
                from tqdm import tqdm

                total = None if settings.sample_every else max_frames or frames.total
                results = tqdm(results, total=total, unit=" pictures" if frames.still else " frames")
            for result in results:
                start = time.perf_counter()
                drawn = annotate(result, fps=None if frames.still else summary.recent_fps, blur=settings.blur)
                middle = time.perf_counter()
                for table in tables:
                    table.write(result, still=frames.still)
                for sink in ends:
                    sink.write(result)
                if isinstance(video, PictureSink):
                    video.write(drawn, result.frame.name)
                elif video:
                    video.write(drawn, seconds=result.frame.time)
                go_on = window is None or window.show(drawn)
                summary.add(result, draw=(middle - start) * 1000, write=(time.perf_counter() - middle) * 1000)
                if not go_on and window.failed:
                    log("note: no window: there is no display (any more), or this OpenCV is the build without windows")
                    window, go_on = None, bool(sinks) or not frames.live
                if not go_on or (on_result is not None and on_result(result, drawn) is False):
                    break
            for table in tables:
                table.write_left_out(frames.left_out)
    finally:
        # Said after an error too: what was done until then is on disk.
        if sinks is not None:
            summary.still, summary.left_out = isinstance(frames, Pictures), len(frames.left_out)
            left_out = (f"{name} was left out: {reason}" for name, reason in frames.left_out.items())
            notes = (f"note: {note}" for note in (*frames.notes, *left_out))
            for line in (*notes, *summary.lines(), *(f"wrote: {sink}" for sink in sinks)):
                log(printable(line))
    return summary


def _open_output(path: str | Path, frames: Source, width: int | None, fps: float) -> VideoSink | PictureSink:
    if isinstance(frames, Several):
        raise SinkError(f"output: must be named for one video, or for pictures alone; the source is {frames.title}")
    if width is not None and width < 1:
        raise SinkError(f"output_width: must be 1 or more; got {width}")
    if isinstance(frames, Pictures) and Path(path).suffix.lower() not in CODECS:
        return PictureSink(path, frames.pictures, width=width)
    if width:
        raise SinkError(f"output_width: is for annotated pictures; the output is the video {path}")
    return VideoSink(path, fps=fps, sound_of=frames)


def printable(text: str) -> str:
    """Text for any terminal: names hold what is no character (`\\udce9`) or would move the cursor."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
