"""Record what a shipped model does beyond one look at each test image, because it takes minutes.

    python -m fer_utils.evaluation tta RUN …           12 crops of each PrivateTest face → models/runs/<run>/tta.npz
    python -m fer_utils.evaluation robustness RUN …    corrupted images → models/runs/<run>/robustness.json
"""

import argparse

from fer_utils import data, models
from fer_utils.evaluation.ensemble import record_tta
from fer_utils.evaluation.robustness import record_robustness


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fer_utils.evaluation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("tta", "robustness"))
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run with an ONNX file")
    parser.add_argument("--images", type=int, help="robustness: so many PrivateTest images (default: all)")
    options = parser.parse_args(arguments)
    fer = data.load()
    print(data.describe(fer), flush=True)
    for run in options.runs:
        path = record_tta(run, fer) if options.study == "tta" else record_robustness(run, fer, count=options.images)
        print(path, flush=True)
    print(models.update_manifest())


if __name__ == "__main__":
    main()
