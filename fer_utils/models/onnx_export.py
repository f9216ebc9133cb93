"""From Keras to ONNX: convert, simplify, describe, compare, time. TensorFlow and onnx are imported in the functions."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import INPUT_SIZE, ModelError
from fer_utils.models import _build, float16
from fer_utils.models._manifest import manifest, update_manifest
from fer_utils.models.classifier import ALIGNED, INPUT_NAME, OUTPUT_NAME, UNALIGNED, Classifier

if TYPE_CHECKING:
    import keras

OPSET = 17  # tf2onnx is tested up to 18; ONNX Runtime reads 17 since version 1.12
BATCH = 64  # faces that Keras computes at once
PARITY = 1e-4  # largest difference of a probability between Keras and ONNX in a shipped file
HARD_SIGMOID = "hard_sigmoid"  # how the names of such nodes begin


@dataclass(frozen=True)
class ExportReport:
    """What an export did: nodes as tf2onnx left them and after simplification, and the file's bytes.

    `halved` names the kernels that it holds as float16 (see `float16.halve`); nodes that widen them are not counted.
    """

    path: Path
    nodes_before: int
    nodes_after: int
    bytes: int
    halved: list[str]


def export_onnx(model: keras.Model, path: str | Path, *, name: str,
                metadata: dict[str, Any] | None = None) -> ExportReport:
    """Write a network as one ONNX file: `image` float32 [N, 96, 96, 3] → `probabilities` float32 [N, 7].

    Parameters
    ----------
    model : as `build` makes it: RGB 0–255 → logits [N, 7]; other outputs or a softmax are a ValueError.
    path, name : the `.onnx` file, replaced in one step, so a failure leaves the old one; the graph's name.
    metadata : more facts for the file's metadata (texts; anything else is stored as JSON). Class names, input, output
        and licence are always there.

    Examples
    --------
    >>> export_onnx(build("resnet18", weights=None), "resnet18.onnx", name="resnet18").nodes_after
    """
    last = getattr(getattr(model.layers[-1], "activation", None), "__name__", type(model.layers[-1]).__name__.lower())
    if tuple(model.output_shape) != (None, len(CLASSES)) or last == "softmax":
        wanted = f"logits [N, {len(CLASSES)}], without softmax"
        raise ValueError(f"model: must end in {wanted}; got {last} {list(model.output_shape)}")
    import onnxslim

    converted = _convert(model)
    graph = onnxslim.slim(converted)
    before, after = len(converted.graph.node), len(graph.graph.node)
    halved = float16.halve(graph, {key: np.asarray(weight) for key, weight in float16.named_weights(model).items()})
    _describe(graph, name, metadata or {})
    with paths.atomic(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())
    return ExportReport(Path(path), before, after, Path(path).stat().st_size, halved)


def _convert(model: keras.Model) -> Any:
    """tf2onnx's ModelProto of the network with softmax."""
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = (tf.TensorSpec([None, INPUT_SIZE, INPUT_SIZE, 3], tf.float32, name=INPUT_NAME),)
    network = tf.function(lambda image: {OUTPUT_NAME: tf.nn.softmax(model(image, training=False))}, signature)
    options = {"input_signature": signature, "opset": OPSET, "custom_rewriter": [_fuse_hard_sigmoid]}
    with _tidy_memory():
        return tf2onnx.convert.from_function(network, **options)[0]


def _fuse_hard_sigmoid(graph: Any, operations: list[Any]) -> list[Any]:
    """A rewriter for tf2onnx: relu6(x + 3) / 6 becomes one node, which ONNX Runtime computes in one pass over memory.

    It is a Sigmoid until `_describe` gives it its type: tf2onnx 1.17 moves transposes past a Sigmoid, but neither past
    a HardSigmoid nor past the `x + 3` of one (MobileNetV3 would keep 124 of them).
    """
    from tf2onnx.graph_matcher import GraphMatcher, OpTypePattern

    shift = OpTypePattern("Add|AddV2", name="shift", inputs=[OpTypePattern("*"), OpTypePattern("Const", name="3")])
    parts = [OpTypePattern("Relu6", inputs=[shift]), OpTypePattern("Const", name="1/6")]
    pattern = OpTypePattern("Mul", name="end", inputs=parts)
    for match in GraphMatcher(pattern, allow_reorder=True).match_ops(operations):
        three, sixth = (match.get_op(name).get_tensor_value(as_list=False) for name in ("3", "1/6"))
        if np.allclose(three, 3) and np.allclose(sixth, 1 / 6):
            output, add = match.get_op("end").output[0], match.get_op("shift")
            data = [name for name, source in zip(add.input, add.inputs, strict=True) if not source.is_const()]
            shape, dtype = [graph.get_shape(output)], [graph.get_dtype(output)]
            node = graph.make_node("Sigmoid", data, name=f"{HARD_SIGMOID}/{output}", shapes=shape, dtypes=dtype)
            graph.replace_all_inputs(output, node.output[0])
    return graph.get_nodes()


@contextmanager
def _tidy_memory() -> Iterator[None]:
    """Make Python's collector look often, and at new objects only.

    Each of tf2onnx's passes copies the whole graph and leaves the old one in a reference cycle; with TensorFlow's
    million objects around, the collector would let them pile up to 6 GB for Xception.
    """
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
        gc.collect()


def _describe(graph: Any, name: str, metadata: dict[str, Any]) -> None:
    import onnx

    for value in (graph.graph.input[0], graph.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    for node in graph.graph.node:
        if node.name.startswith(HARD_SIGMOID):
            node.op_type = "HardSigmoid"
            node.attribute.extend([onnx.helper.make_attribute("alpha", 1 / 6), onnx.helper.make_attribute("beta", 0.5)])
    graph.graph.name = name
    takes = f"float32 [N, {INPUT_SIZE}, {INPUT_SIZE}, 3], RGB, 0-255; a 48-pixel gray face enlarged linearly"
    gives = f"float32 [N, {len(CLASSES)}], rows sum to 1, columns as in classes"
    facts = {"name": name, "classes": list(CLASSES), "input": f"{INPUT_NAME}: {takes}", "licence": "MIT",
             "output": f"{OUTPUT_NAME}: {gives}",
             "meaning": "the apparent expression of a face, not what a person feels", **metadata}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    onnx.helper.set_model_props(graph, texts)
    onnx.checker.check_model(graph)


def export_run(run: str, inputs: np.ndarray) -> dict[str, Any]:
    """Export a stored run to `models/<run>.onnx`, check it against Keras, list it; return its entry in the manifest.

    The run's weights file leaves its large kernels to the ONNX file. `inputs` float32 [N, 96, 96, 3], RGB, 0–255, N ≥ 1
    are what the two are compared on: ModelError when a probability differs by more than 1e-4; the former file stays.
    """
    model = _build.load(run)
    path, folder = paths.models_dir() / f"{run}.onnx", paths.models_dir() / "runs" / run
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config, outcome = stored["config"], stored["outcome"]
    metadata = {"run": run, "alignment": ALIGNED if config["aligned"] else UNALIGNED, "seed": config["seed"],
                "trained_on": f"{outcome['data']}, Training split",
                "initial_weights": outcome["initial_weights"]["name"]}
    with paths.atomic(path) as temporary:
        report = export_onnx(model, temporary, name=run, metadata=metadata)
        difference = parity(model, temporary, inputs)
        if not difference <= PARITY:
            raise ModelError(f"run: Keras and ONNX must agree within {PARITY:g}; {run} differs by {difference:.1e}")
    float16.thin(folder / "model.weights.h5", path, report.halved)
    nodes = {"converted": report.nodes_before, "simplified": report.nodes_after}
    update_manifest(facts={path.name: {"run": run, "parity": difference, "nodes": nodes}})
    return manifest()["files"][path.name]


def probabilities(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Softmax, float32 [N, 7], of a network's logits for float32 [N, H, W, 3], RGB, 0–255, N ≥ 1 (else ValueError).

    Examples
    --------
    >>> probabilities(load("resnet18"), faces.to_inputs(fer.images[:2])).shape
    (2, 7)
    """
    import keras

    if not len(inputs):
        raise ValueError("inputs: must hold at least one face; got 0")
    parts = [model(inputs[i : i + BATCH], training=False) for i in range(0, len(inputs), BATCH)]
    return np.concatenate([keras.ops.convert_to_numpy(keras.ops.softmax(part)) for part in parts])


def parity(model: keras.Model, path: str | Path, inputs: np.ndarray) -> float:
    """Largest difference of any probability between a Keras network (logits) and its ONNX file, on [N, 96, 96, 3]."""
    wanted = probabilities(model, inputs)
    with Classifier(path, check=False) as classifier:
        return float(np.abs(wanted - classifier.predict(inputs)).max())


def latency(path: str | Path, *, batch: int = 1, repeats: int = 100) -> np.ndarray:
    """Times of `batch` faces through an ONNX file on this machine, in milliseconds: float64 [repeats].

    Examples
    --------
    >>> float(np.median(latency("models/resnet18.onnx", repeats=20)))
    """
    with Classifier(path, check=False) as classifier:
        return classifier.latency(repeats, batch=batch)
