"""An int8 copy of an exported network: a byte a number.

Static quantization (Jacob et al. 2018) as ONNX Runtime does it: the ranges of all layers are read off real training
faces, each output channel of a kernel has a scale of its own, and weights use seven of their eight bits, since CPUs
without VNNI add two products in sixteen bits. Input scaling, the last layer and the softmax stay float32.
"""

import copy
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fer_utils import paths
from fer_utils.models.classifier import INPUT_NAME

STEADY = 0.98  # of the faces; the others drive some layer furthest beyond its usual range
BATCH = 32
QUANTIZED = ["Conv", "Relu", "Clip", "Add", "MaxPool", "GlobalAveragePool"]


def quantize(source: str | Path, target: str | Path, inputs: np.ndarray) -> Path:
    """Write an int8 copy of an exported network, with `precision: int8` in its metadata, and return its path.

    The `.onnx` file `target` is replaced in one step. `inputs`: float32 [N, 96, 96, 3], RGB, 0–255, N ≥ 1 (else
    ValueError): some hundred training faces, as the network wants them.

    Examples
    --------
    >>> quantize("models/xception.onnx", "models/xception_int8.onnx", faces.to_inputs(training.images[::55]))
    PosixPath('models/xception_int8.onnx')
    """
    import onnx
    import onnxslim
    from onnxruntime import quantization as ort

    if not len(inputs):
        raise ValueError("inputs: must hold at least one face; got 0")
    model = onnxslim.slim(onnx.load(str(source)))  # float16 kernels become float32 again
    metadata = {item.key: item.value for item in model.metadata_props} | {"precision": "int8"}
    batches = _batches(np.ascontiguousarray(_steady(model, inputs)))
    logging.disable(logging.WARNING)  # ONNX Runtime says twice that shapes should be inferred first; they are
    try:
        with tempfile.TemporaryDirectory() as folder, paths.atomic(target) as temporary:
            onnx.save(model, f"{folder}/float32.onnx")
            ort.quantize_static(f"{folder}/float32.onnx", str(temporary),
                                SimpleNamespace(get_next=lambda: next(batches, None)), quant_format=ort.QuantFormat.QDQ,
                                op_types_to_quantize=QUANTIZED, per_channel=True, reduce_range=True,
                                activation_type=ort.QuantType.QUInt8, weight_type=ort.QuantType.QInt8)
            graph = onnx.load(str(temporary))
            onnx.helper.set_model_props(graph, metadata)  # ONNX Runtime does not keep it
            onnx.save(graph, str(temporary))
    finally:
        logging.disable(logging.NOTSET)
    return Path(target)


def _batches(inputs: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(inputs), BATCH):
        yield {INPUT_NAME: inputs[start : start + BATCH]}


def _steady(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The faces that no layer finds extraordinary: `STEADY` of them.

    One face in some hundreds makes Xception's middle layers swing a hundred times as far as usual. A range that holds
    such a swing leaves all other faces one or two of 256 steps.
    """
    import onnx
    from onnxruntime import InferenceSession

    probe = copy.deepcopy(model)
    names = [name for node in model.graph.node if node.op_type in QUANTIZED for name in node.output]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = (session.run(None, batch) for batch in _batches(inputs))
    peaks = np.concatenate([np.stack([np.abs(values).reshape(len(values), -1).max(1) for values in layers], axis=1)
                            for layers in outputs])
    swing = (peaks / np.maximum(np.median(peaks, axis=0), np.finfo(np.float32).tiny)).max(axis=1)
    return inputs[np.sort(np.argsort(swing)[: max(1, round(STEADY * len(inputs)))])]
