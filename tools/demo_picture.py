"""Makes README's moving picture, figure/demo.webp, of the embedded clip: `python -m tools.demo_picture`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fer_utils import paths

__all__ = ["main", "save"]


def save(path: Path, *, every: int = 3, width: int = 480) -> None:
    """Write each `every`-th frame of the clip with its labels, `width` pixels across, as an animated WebP."""
    from PIL import Image

    from fer_utils.realtime import pipeline
    from fer_utils.realtime.overlay import annotate

    shown = (Image.fromarray(annotate(r)) for r in pipeline("clip") if r.frame.index % every == 0)
    first, *others = [picture.resize((width, picture.height * width // picture.width)) for picture in shown]
    with paths.atomic(path) as temporary:
        first.save(temporary, "WEBP", save_all=True, append_images=others, duration=40 * every, loop=0, quality=60)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    argparse.ArgumentParser(prog="python -m tools.demo_picture", description=__doc__).parse_args(arguments)
    save(paths.FIGURE / "demo.webp")


if __name__ == "__main__":
    main()
