"""Record a LIME study of shipped models: 40 faces of each of three classes → models/runs/<run>/lime.npz.

    python -m fer_utils.explain RUN …
"""

import argparse

from fer_utils import data, models
from fer_utils.explain._study import record_study


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fer_utils.explain", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run with an ONNX file")
    options = parser.parse_args(arguments)
    fer = data.load()
    print(data.describe(fer), flush=True)
    for run in options.runs:
        print(record_study(run, fer), flush=True)
    print(models.update_manifest())


if __name__ == "__main__":
    main()
