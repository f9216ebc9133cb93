"""Draw the embedded sample and the clip again, into fer_utils/data."""

from __future__ import annotations

import argparse
from pathlib import Path

from fer_utils import paths
from tools.sample import clip, make_sample


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.sample", description=__doc__)
    parser.add_argument("--folder", type=Path, default=paths.ROOT / "fer_utils" / "data", help="(default: %(default)s)")
    folder = parser.parse_args().folder
    for path in (*make_sample.write(folder), *clip.write(folder)):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
