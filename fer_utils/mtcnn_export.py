"""MTCNN's three networks, taken once from the `mtcnn` package's weights and written as ONNX.

The files in models/ come from here; nobody needs to run it again unless the package's weights change:

    python -m fer_utils.mtcnn_export

The weights are those of the `mtcnn` package (MIT licence, © 2019–2024 Iván de Paz Centeno), which took them from
Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks" (2016).
"""

from __future__ import annotations

import os
from pathlib import Path

from fer_utils import paths

__all__ = ["NETWORKS", "export", "network_path"]

NETWORKS = {
    "pnet": (None, ("boxes", "scores")),
    "rnet": (24, ("boxes", "scores")),
    "onet": (48, ("boxes", "points", "scores")),
}
"""Network → (side of its input in pixels, None = any; names of its outputs in the package's order)."""

OPSET = 17


def network_path(name: str, *, folder: Path | None = None) -> Path:
    """Where the ONNX file of a network lies: models/mtcnn_<name>.onnx, or the same name in `folder`."""
    if name not in NETWORKS:
        raise ValueError(f"name must be one of {', '.join(NETWORKS)}; got {name!r}")
    return Path(folder or paths.MODELS) / f"mtcnn_{name}.onnx"


def export(*, folder: Path | None = None) -> list[Path]:
    """Write the three networks as ONNX files and return their paths.

    Every file takes `image` float32 [N, H, W, 3] RGB, scaled (x − 127.5) / 128 (H = W = 24 for R-Net, 48 for O-Net,
    free for P-Net) and gives `boxes` [..., 4] (offsets as fractions of the box), `scores` [..., 2] (no face, face) and
    for O-Net `points` [N, 10] (five x, then five y, as fractions of the box).

    Needs TensorFlow, tf2onnx, onnxslim and the `mtcnn` package. Raises ImportError when one is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    stages = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}
    return [_export_one(name, stages[name]().model, folder) for name in NETWORKS]


def _export_one(name: str, model, folder: Path | None) -> Path:
    import onnx
    import onnxslim
    import tensorflow as tf
    import tf2onnx

    side, outputs = NETWORKS[name]

    def forward(image):
        return tuple(tf.identity(y, name=n) for n, y in zip(outputs, model(image), strict=True))

    signature = [tf.TensorSpec([None, side, side, 3], tf.float32, name="image")]
    proto, _ = tf2onnx.convert.from_function(tf.function(forward), input_signature=signature, opset=OPSET)
    proto = onnxslim.slim(proto)
    _rename_outputs(proto, outputs)
    proto.producer_name = "fer_utils.mtcnn_export"
    source = "mtcnn package 1.0, MIT licence, (c) 2019-2024 Ivan de Paz Centeno; Zhang et al. 2016"
    onnx.helper.set_model_props(proto, {"network": name, "source": source})
    onnx.checker.check_model(proto)
    target = network_path(name, folder=folder)
    with paths.atomic(target) as temporary:
        onnx.save(proto, temporary)
    return target


def _rename_outputs(proto, names: tuple[str, ...]) -> None:
    """Give the outputs their plain names: tf2onnx calls them Identity:0, Identity_1:0 …"""
    renamed = {output.name: name for output, name in zip(proto.graph.output, names, strict=True)}
    for node in proto.graph.node:
        node.output[:] = [renamed.get(n, n) for n in node.output]
        node.input[:] = [renamed.get(n, n) for n in node.input]
    for output in proto.graph.output:
        output.name = renamed[output.name]


if __name__ == "__main__":
    for path in export():
        print(f"{path.name}  {path.stat().st_size / 1024:.0f} kB")
