"""From Keras to ONNX: convert, simplify, describe, compare, time.

`python -m fer_utils.models.onnx_export RUN …` exports recorded runs to models/ (see `shipping.py`). TensorFlow is imported inside
the functions; what reads the files again (`inference.py`) does without it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import INPUT_SIZE
from fer_utils.models import _build as models
from fer_utils.models import float16 as half_kernels
from fer_utils.models import onnx_passes, weights_file
from fer_utils.models.classifier import INPUT_NAME, OUTPUT_NAME, Classifier

if TYPE_CHECKING:
    import keras

__all__ = ["OPSET", "ExportReport", "Latency", "latency", "parity", "probabilities", "settle", "to_onnx"]

OPSET = 17  # tf2onnx is tested up to 18; ONNX Runtime reads 17 since version 1.12
LICENCE = "MIT"


@dataclass(frozen=True)
class ExportReport:
    """What an export did: nodes as tf2onnx left them and after simplification, the file's bytes, seconds it took.

    `halved` names the Keras kernels that the file holds as float16 (see `half_kernels`); the nodes that widen them
    again are not counted.
    """

    path: Path
    nodes_before: int
    nodes_after: int
    bytes: int
    seconds: float
    halved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """Times of one batch in milliseconds: median and 95th percentile of `times`, float64 [repeats]."""

    batch: int
    median: float
    p95: float
    times: np.ndarray


def to_onnx(
    model: keras.Model,
    path: str | Path,
    *,
    name: str,
    metadata: dict[str, Any] | None = None,
    simplify: bool = True,
    size: int = INPUT_SIZE,
) -> ExportReport:
    """Write a network as one ONNX file that needs no further knowledge: pixels in, probabilities out.

    Parameters
    ----------
    model : as `models.build` makes it: RGB 0–255 → logits [N, 7].
    path : the `.onnx` file to write; replaced in one step, so a failure leaves the old file.
    name : name of the graph, usually the run's.
    metadata : more facts for the file's metadata (texts; anything else is stored as JSON). Class names, input, output
        and licence are always there.
    simplify : fold and fuse nodes (onnxslim, and hard-sigmoid into one node); the function computed stays the same.
    size : side of the input in pixels. It is fixed in the file, the batch stays free.

    Returns
    -------
    ExportReport. The file maps `image` float32 [N, size, size, 3] to `probabilities` float32 [N, 7].

    Raises
    ------
    ValueError when the network has other than 7 outputs or already ends in softmax.
    """
    _check_model(model)
    start = time.perf_counter()
    converted = _convert(model, size)
    before = len(converted.graph.node)
    graph = onnx_passes.simplify(converted) if simplify else converted
    after = len(graph.graph.node)
    kernels = {key: np.asarray(weight) for key, weight in weights_file.named_weights(model).items()}
    halved = tuple(half_kernels.halve(graph, kernels))
    _describe(graph, name, size, metadata or {})
    with paths.atomic(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())
    path = Path(path)
    return ExportReport(path, before, after, path.stat().st_size, time.perf_counter() - start, halved)


def _check_model(model: keras.Model) -> None:
    shape = tuple(model.output_shape)
    if shape != (None, len(CLASSES)):
        raise ValueError(f"model: must have logits [N, {len(CLASSES)}] as its one output; got {list(shape)}")
    last = model.layers[-1]
    if getattr(getattr(last, "activation", None), "__name__", "") == "softmax" or type(last).__name__ == "Softmax":
        raise ValueError("model: must end in logits, the export adds the softmax; got a model that ends in softmax")


def _convert(model: keras.Model, size: int) -> Any:
    """tf2onnx's ModelProto of the network with softmax."""
    import logging

    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = (tf.TensorSpec([None, size, size, 3], tf.float32, name=INPUT_NAME),)

    @tf.function(input_signature=signature)
    def network(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT_NAME: tf.nn.softmax(model(image, training=False))}

    with _tidy_memory():
        proto, _ = tf2onnx.convert.from_function(
            network, input_signature=signature, opset=OPSET, custom_rewriter=[onnx_passes.vectors_for_scalars]
        )
    captures = network.get_concrete_function().graph.captures
    held = {inner.name: outer for outer, inner in captures if inner.dtype != tf.resource}
    onnx_passes.bind_constants(proto, {key: value.numpy() for key, value in held.items()})
    return proto


@contextmanager
def _tidy_memory() -> Iterator[None]:
    """Make Python's collector look often, and at new objects only.

    Each of tf2onnx's passes copies the whole graph and leaves the old one in a reference cycle; with TensorFlow's
    million objects around, the collector would let them pile up to 6 GB for Xception.
    """
    import gc

    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.collect()
    gc.set_threshold(200, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
        gc.collect()


def _describe(graph: Any, name: str, size: int, metadata: dict[str, Any]) -> None:
    import onnx

    for value in (graph.graph.input[0], graph.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    graph.graph.name = name
    kept = [item for item in graph.opset_import if not item.domain]  # tf2onnx also names a domain that no node uses
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    facts = {
        "name": name,
        "classes": list(CLASSES),
        "input": f"{INPUT_NAME}: float32 [N, {size}, {size}, 3], RGB, 0-255; a 48-pixel gray face enlarged linearly",
        "output": f"{OUTPUT_NAME}: float32 [N, {len(CLASSES)}], rows sum to 1, columns as in classes",
        "meaning": "the apparent expression of a face, not what a person feels",
        "licence": LICENCE,
        **metadata,
    }
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    onnx.helper.set_model_props(graph, texts)


def probabilities(model: keras.Model, inputs: np.ndarray, *, batch: int = 64) -> np.ndarray:
    """What the Keras network says: softmax of its logits, float32 [N, 7].

    `inputs`: float32 [N, H, W, 3], RGB, 0–255, N ≥ 1.
    """
    import keras

    if not len(inputs):
        raise ValueError("inputs: must hold at least one face; got 0")
    parts = [model(inputs[i : i + batch], training=False) for i in range(0, len(inputs), batch)]
    return np.concatenate([keras.ops.convert_to_numpy(keras.ops.softmax(part)) for part in parts])


def parity(model: keras.Model, path: str | Path, inputs: np.ndarray, *, batch: int = 64) -> float:
    """Largest difference of any probability between the Keras network (logits) and its ONNX file.

    `inputs`: float32 [N, 96, 96, 3], RGB, 0–255, N ≥ 1. The manifest is not consulted.
    """
    wanted = probabilities(model, inputs, batch=batch)
    with Classifier(path, check=False) as classifier:
        return float(np.abs(wanted - classifier.predict(inputs, batch=batch)).max())


def settle(model: keras.Model, inputs: np.ndarray, *, spread: float = 0.5) -> None:
    """Give a network without training the inner life of a trained one, in place, so that parity means something.

    A randomly initialized MobileNetV3 answers 1/7 to everything, and any two such networks agree. One pass over
    `inputs` (float32 [N, H, W, 3], RGB, 0–255, N ≥ 2) sets BatchNorm's statistics; then the logits are scaled to the
    standard deviation `spread`. More would amplify rounding, for an untrained network tells faces apart by little.
    """
    import keras

    models.reestimate_batchnorm(model, [inputs])
    head = model.get_layer("logits")
    logits = keras.ops.convert_to_numpy(model(inputs, training=False))
    kernel, _ = head.get_weights()
    scale = spread / max(float(logits.std(axis=0).mean()), 1e-12)
    head.set_weights([kernel * scale, -logits.mean(axis=0) * scale])


def latency(path: str | Path, *, batch: int = 1, repeats: int = 100, warmup: int = 10, threads: int = 0) -> Latency:
    """Time `repeats` passes of one batch through an ONNX file, after `warmup` untimed ones."""
    inputs = np.random.default_rng(2013).uniform(0, 255, (batch, INPUT_SIZE, INPUT_SIZE, 3)).astype(np.float32)
    times = np.empty(repeats)
    with Classifier(path, threads=threads, check=False) as classifier:
        for step in range(-warmup, repeats):
            start = time.perf_counter()
            classifier.predict(inputs, batch=batch)
            if step >= 0:
                times[step] = (time.perf_counter() - start) * 1000
    return Latency(batch, float(np.median(times)), float(np.percentile(times, 95)), times)


if __name__ == "__main__":
    from fer_utils.training.publish import main

    main()
