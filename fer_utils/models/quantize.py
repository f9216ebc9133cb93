"""An int8 copy of a shipped network: a byte a number, shipped only where it costs hardly any accuracy.

    python -m fer_utils.models.quantize xception_96     models/xception_96_int8.onnx beside models/xception_96.onnx

Static quantization (Jacob et al. 2018) as ONNX Runtime does it: the ranges of all layers are read off real training
faces, each output channel of a kernel has a scale of its own, and weights use seven of their eight bits, since CPUs
without VNNI add two products in sixteen bits. Input scaling, the last layer and the softmax stay float32.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_utils import data, paths
from fer_utils.evaluation import metrics
from fer_utils.faces import to_inputs
from fer_utils.models import float16 as half_kernels
from fer_utils.models.classifier import INPUT_NAME, Classifier, ModelError, manifest
from fer_utils.training import publish as shipping

if TYPE_CHECKING:
    from fer_utils.data import Fer2013

__all__ = ["LIMIT", "quantize", "ship"]

LIMIT = 0.005  # of PublicTest accuracy that a shipped copy may cost
CALIBRATED = 512  # training faces that the ranges come from
STEADY = 0.98  # of these; the others drive some layer furthest beyond its usual range
BATCH = 32
QUANTIZED = ("Conv", "Relu", "Clip", "Add", "MaxPool", "GlobalAveragePool")


def _cut(inputs: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(inputs), BATCH):
        yield {INPUT_NAME: inputs[start : start + BATCH]}


class _Faces:
    """ONNX Runtime's calibration reader: one batch after the other, then None."""

    def __init__(self, inputs: np.ndarray) -> None:
        self._batches = _cut(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def quantize(source: str | Path, target: str | Path, inputs: np.ndarray) -> Path:
    """Write an int8 copy of an exported network.

    Parameters
    ----------
    source, target : `.onnx` files; the target is replaced in one step.
    inputs : float32 [N, 96, 96, 3], RGB, 0–255, N ≥ 1: faces as the network will see them.

    Returns
    -------
    The target. It maps the same input to the same output, with `precision: int8` in its metadata.
    """
    import onnx
    from onnxruntime import quantization as ort

    if not len(inputs):
        raise ValueError("inputs: must hold at least one face; got 0")
    model = onnx.load(str(source))
    half_kernels.widen(model)
    with tempfile.TemporaryDirectory() as folder, paths.atomic(target) as temporary:
        plain = Path(folder) / "float32.onnx"
        onnx.save(model, str(plain))
        with _without_advice():
            ort.quantize_static(
                str(plain), str(temporary), _Faces(np.ascontiguousarray(_steady(model, inputs))),
                quant_format=ort.QuantFormat.QDQ, op_types_to_quantize=list(QUANTIZED), per_channel=True,
                reduce_range=True, activation_type=ort.QuantType.QUInt8, weight_type=ort.QuantType.QInt8,
            )
        _describe(temporary, model)
    return Path(target)


def _steady(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The faces that no layer finds extraordinary: `STEADY` of them.

    One face in some hundreds makes Xception's middle layers swing a hundred times as far as usual. A range that holds
    such a swing leaves all other faces one or two of 256 steps.
    """
    import onnx
    from onnxruntime import InferenceSession

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [name for node in model.graph.node if node.op_type in QUANTIZED for name in node.output]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    peaks = np.concatenate([
        np.stack([np.abs(values).reshape(len(values), -1).max(1) for values in session.run(None, batch)], axis=1)
        for batch in _cut(inputs)
    ])
    swing = (peaks / np.maximum(np.median(peaks, axis=0), np.finfo(np.float32).tiny)).max(axis=1)
    return inputs[np.sort(np.argsort(swing)[: max(1, round(STEADY * len(inputs)))])]


@contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime logs twice that shapes should be inferred first; onnxslim has done that."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _describe(path: Path, source: Any) -> None:
    """Give the file the source's metadata; ONNX Runtime does not keep it."""
    import onnx

    graph = onnx.load(str(path))
    facts = {item.key: item.value for item in source.metadata_props}
    onnx.helper.set_model_props(graph, facts | {"precision": "int8"})
    onnx.save(graph, str(path))


def ship(run: str, fer: Fer2013) -> dict[str, Any]:
    """Quantize `models/<run>.onnx` to `models/<run>_int8.onnx`, measure it and list it in the manifest.

    Returns the file's entry. Raises ModelError, and leaves no file, when it costs more than `LIMIT` on PublicTest.
    """
    public, private = fer.split("PublicTest"), fer.split("PrivateTest")
    rows = data.training_indices(fer)
    training = fer.take(rows[:: max(1, len(rows) // CALIBRATED)][:CALIBRATED])
    with Classifier(run) as whole:
        source, metadata = whole.path, whole.metadata
        before = _accuracy(whole, public, metadata)
    target = source.with_name(f"{run}_int8.onnx")
    with paths.atomic(target) as temporary:
        quantize(source, temporary, to_inputs(shipping.faces_for(metadata, training)))
        with Classifier(temporary, check=False) as small:
            cost = before - _accuracy(small, public, metadata)
            if cost > LIMIT:
                raise ModelError(
                    f"run: int8 may cost {100 * LIMIT:g} points of PublicTest accuracy; {run} loses {100 * cost:.2f}"
                )
            told = small.predict_faces(shipping.faces_for(metadata, private))
    scores = metrics.summary(private.labels, told)
    kept = {name: scores[name] for name in ("n", "accuracy", "macro_f1")}
    facts = {
        "run": run, "precision": "int8", "public_cost": cost,
        "private_test": kept | {"measured_by": "this file on all PrivateTest rows"},
    }
    shipping.update_manifest(target.parent, facts={target.name: facts})
    return manifest(target.parent)["files"][target.name]


def _accuracy(classifier: Classifier, rows: Fer2013, metadata: dict[str, str]) -> float:
    told = classifier.predict_faces(shipping.faces_for(metadata, rows)).argmax(1)
    return float((told == rows.labels).mean())


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the top of this file."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m fer_utils.models.quantize", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a shipped model")
    fer = data.load()
    print(data.describe(fer), flush=True)
    for run in parser.parse_args(arguments).runs:
        try:
            entry = ship(run, fer)
        except ModelError as error:
            print(f"not shipped: {error}", flush=True)
            continue
        scores = entry["private_test"]
        print(
            f"{run}_int8.onnx: {entry['bytes'] / 1e6:.1f} MB, costs {100 * entry['public_cost']:.2f} points on "
            f"PublicTest; PrivateTest accuracy {scores['accuracy']:.4f}, macro-F1 {scores['macro_f1']:.4f} "
            f"(n {scores['n']:,})", flush=True,
        )


if __name__ == "__main__":
    main()
