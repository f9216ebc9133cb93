"""Stored runs exported and measured: the ONNX file, its int8 copy, and their accuracy in the manifest.

    python -m fer_utils.training.publish xception …
    python -m fer_utils.training.publish --int8 xception …
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fer_utils import data, evaluation, faces, models, paths
from fer_utils.models import Classifier, ModelError

if TYPE_CHECKING:
    import numpy as np

    from fer_utils.data import Fer2013

__all__ = ["ship", "ship_int8"]

CHECKED = 256  # faces that Keras and ONNX are compared on
LIMIT = 0.005  # of PublicTest accuracy that an int8 copy may cost
CALIBRATED = 512  # training faces that the int8 ranges come from


def ship(run: str, fer: Fer2013) -> dict[str, Any]:
    """Export a stored run to `models/<run>.onnx` and measure this very file on PrivateTest; its manifest entry.

    On the sample, the scores are those of metrics.json. ModelError when Keras and ONNX differ by more than 1e-4.
    """
    private = fer.split("PrivateTest")
    models.export_run(run, faces.to_inputs(private.images[:CHECKED]))
    if fer.is_sample:
        scores, origin = evaluation.Run(run).metrics["private"], "metrics.json of the run"
    else:
        with Classifier(run) as classifier:
            told = classifier.predict_faces(classifier.images_of(private))
        scores, origin = evaluation.summary(private.labels, told), "this file on all PrivateTest rows"
    return _record(f"{run}.onnx", {}, scores, origin)


def ship_int8(run: str, fer: Fer2013) -> dict[str, Any]:
    """Quantize `models/<run>.onnx` to `models/<run>_int8.onnx`, measure it and list it; its manifest entry.

    Raises ModelError, and leaves no file, when it costs more than `LIMIT` on PublicTest.
    """
    public, private = fer.split("PublicTest"), fer.split("PrivateTest")
    rows = data.training_indices(fer)
    training = fer.take(rows[:: max(1, len(rows) // CALIBRATED)][:CALIBRATED])
    with Classifier(run) as whole:
        source, before = whole.path, _accuracy(whole, public)
        inputs = faces.to_inputs(whole.images_of(training))
    target = source.with_name(f"{run}_int8.onnx")
    with paths.atomic(target) as temporary:
        models.quantize(source, temporary, inputs)
        with Classifier(temporary, check=False) as small:
            cost = before - _accuracy(small, public)
            if cost > LIMIT:
                raise ModelError(
                    f"run: int8 may cost {100 * LIMIT:g} points of PublicTest accuracy; {run} loses {100 * cost:.2f}"
                )
            told: np.ndarray = small.predict_faces(small.images_of(private))
    models.update_manifest()
    facts = {"run": run, "precision": "int8", "public_cost": cost}
    return _record(target.name, facts, evaluation.summary(private.labels, told), "this file on all PrivateTest rows")


def _accuracy(classifier: Classifier, rows: Fer2013) -> float:
    return float((classifier.predict_faces(classifier.images_of(rows)).argmax(1) == rows.labels).mean())


def _record(name: str, facts: dict[str, Any], scores: dict[str, Any], origin: str) -> dict[str, Any]:
    private = {key: scores[key] for key in ("n", "accuracy", "macro_f1")} | {"measured_by": origin}
    models.update_manifest(facts={name: facts | {"private_test": private}})
    return models.manifest()["files"][name]


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the top of this file."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m fer_utils.training.publish", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder of models/runs/ with a finished run")
    parser.add_argument("--int8", action="store_true", help="the int8 copy of an exported run")
    options = parser.parse_args(arguments)
    fer = data.load()
    print(data.describe(fer), flush=True)
    for run in options.runs:
        try:
            entry = (ship_int8 if options.int8 else ship)(run, fer)
        except ModelError as error:
            print(f"not shipped: {error}", flush=True)
            continue
        scores = entry["private_test"]
        print(
            f"{run}: {entry['bytes'] / 1e6:.1f} MB, PrivateTest accuracy {scores['accuracy']:.4f}, macro-F1 "
            f"{scores['macro_f1']:.4f} (n {scores['n']:,}; {scores['measured_by']})", flush=True,
        )


if __name__ == "__main__":
    main()
