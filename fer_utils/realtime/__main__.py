"""Apparent expressions on moving faces: from a camera, a file, a stream or pictures to a view, a video, a table."""

import argparse
import os
import sys
from dataclasses import fields

from fer_utils import data, models
from fer_utils.realtime import Settings, detection, run
from fer_utils.realtime._run import printable
from fer_utils.realtime.sources import CLIP


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="fer-realtime", description=__doc__)
    add, default = parser.add_argument, Settings()
    add("--source", nargs="+", default=["0"],
        help="camera number, videos, pictures, folders of pictures, 'photos/**/*.jpg', URL or 'clip' (default: 0)")
    add("--recursive", action="store_true", help="read the subfolders of a folder too")
    add("--output", metavar="FILE", help="write the annotated video (.mp4, .mov, .mkv, .webm); for pictures: a folder")
    add("--output-width", type=int, metavar="PIXELS", help="reduce annotated pictures that are wider")
    add("--csv", metavar="FILE", help="write time, frame, track, box, landmarks and probabilities of every face")
    add("--jsonl", metavar="FILE", help="the same as JSON lines, with the unsmoothed probabilities too")
    add("--tracks", metavar="FILE", help="write when each track was seen, its labels' shares, its mean probabilities")
    add("--plot", metavar="FILE", help="draw the longest tracks' probabilities over time (.png, .svg, .pdf)")
    add("--headless", action="store_true", help="open no window")
    add("--model", metavar="NAME", help="model in models/ or an .onnx file; 'list' shows those there are, with "
        "accuracy and speed (default: the most suitable)")
    add("--classes", type=lambda text: text.split(","), default=(), metavar="A,B", help="names of your model's columns")
    add("--merge", type=lambda text: text.split(","), default=(), metavar="A+B=C,…", help="classes to sum up as others")
    add("--detect-every", type=int, default=default.detect_every, help="search every k-th frame (%(default)s)")
    add("--detect-width", type=int, default=default.detect_width, help="pixels across the searched copy (%(default)s)")
    add("--half-life", type=float, default=default.half_life, help="seconds; 0 = no smoothing (%(default)s)")
    add("--min-confidence", type=float, default=default.min_confidence, help="below this: 'uncertain' (%(default)s)")
    add("--sample-every", type=float, default=default.sample_every, metavar="SECONDS",
        help="look at one frame every so many seconds; 0 = at every one")
    add("--threads", type=int, default=default.threads, help="0 = the cores there are, at most 4")
    add("--max-frames", type=int, help="stop after so many frames")
    add("--crops", action="store_true", help="pictures are cropped faces already: search nothing")
    add("--blur-faces", dest="blur", action="store_true", help="make faces unrecognizable in the window and the video")
    add("--blur-min-face", type=float, default=default.blur_min_face, help="pixels of the smallest one (%(default)s)")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # a name, or a sign of ours, that the terminal does not know
    boxes, is_clip = [], options.source == [CLIP]
    try:
        if options.model == "list":
            for line in models.overview(threads=options.threads):
                print(line)
            return 0
        run(options.source, output=options.output, output_width=options.output_width, recursive=options.recursive,
            progress=True, tables=[table for table in (options.csv, options.jsonl) if table], tracks=options.tracks,
            plot=options.plot, headless=options.headless, max_frames=options.max_frames,
            settings=Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)}),
            on_result=(lambda result, _: boxes.append([track.box for track in result.tracks])) if is_clip else None)
        if is_clip:
            print(f"truth: {detection(boxes, data.clip_truth())}")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # as the shell says it
    except (ValueError, OSError) as error:  # the errors of sources, sinks, models and images are ValueErrors
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
