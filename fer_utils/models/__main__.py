"""The command line of the models room: see `python -m fer_utils.models --help`."""

import argparse
from collections.abc import Sequence

from fer_utils import data, faces, models
from fer_utils.models import onnx_export

CHECKED = 256  # faces that Keras and ONNX are compared on


def main(arguments: Sequence[str] | None = None) -> None:
    """Export stored runs to ONNX, and list what models/ holds. (`python -m fer_utils.training` measures and ships.)"""
    parser = argparse.ArgumentParser(prog="python -m fer_utils.models", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    text = "models/runs/RUN → models/RUN.onnx, compared with Keras and listed in the manifest"
    export = commands.add_parser("export", help=text, description=text)
    export.add_argument("runs", nargs="+", metavar="RUN")
    commands.add_parser("list", help="list every file of models/ in the manifest, after any change there")
    runs = getattr(parser.parse_args(arguments), "runs", [])
    inputs = faces.to_inputs(data.load().split("PrivateTest").images[:CHECKED]) if runs else None
    for run in runs:
        entry = onnx_export.export_run(run, inputs)
        print(f"{run}.onnx: {entry['bytes'] / 1e6:.1f} MB, differs from Keras by at most {entry['parity']:.1e}")
    print(f"{models.update_manifest()}: {len(models.manifest()['files'])} files")


if __name__ == "__main__":
    main()
