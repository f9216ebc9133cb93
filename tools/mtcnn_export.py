"""MTCNN's three networks, taken once from the `mtcnn` package's weights and written as ONNX.

The files in models/ come from here; nobody needs to run it again unless the package's weights change:

    python -m tools.mtcnn_export

The weights are those of the `mtcnn` package (MIT licence, © 2019–2024 Iván de Paz Centeno), which took them from
Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks" (2016).
The graphs are written node by node, in the form that ONNX Runtime computes fastest on a CPU; the numbers stay.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from fer_utils import paths
from fer_utils.faces.mtcnn import SIDES, network_path

__all__ = ["export"]

OPSET, IR = 17, 8
BLOCK = 16  # ONNX Runtime keeps channels in blocks of 16 (AVX-512) or 8; other numbers of channels make it copy
OUTPUTS = {4: 0, 2: 1, 10: 2}  # numbers that a head gives → its place in the output


def export(folder: Path = paths.MODELS) -> list[Path]:
    """Write the three networks as ONNX files into `folder` and return their paths.

    Every file takes `image` float32 [N, H, W, 3] RGB, scaled (x − 127.5) / 128, and gives `faces`: four box offsets (as
    fractions of the box), the log-odds of a face, and from O-Net ten more (five landmarks' x, then y, as fractions of
    the box). R-Net (H = W = 24) and O-Net (48) give them as [N, 5] and [N, 15]. P-Net takes any size and gives
    [N, 5, h, w], a column for each place of its 12-px window, moved by 2 px.

    Needs TensorFlow, onnx and the `mtcnn` package. Raises ImportError when one is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    stages = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}
    return [_export_one(name, stages[name]().model, folder) for name in SIDES]


def _export_one(name: str, model, folder: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper

    graph, side = _Graph(), SIDES[name]
    rank = graph.build(model.layers)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", side or "H", side or "W", 3])
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["N", 5, "h", "w"] if not side else ["N", rank])
    proto = helper.make_model(
        helper.make_graph(graph.nodes, name, [image], [faces], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="tools.mtcnn_export",
    )
    source = "mtcnn package 1.0, MIT licence, (c) 2019-2024 Ivan de Paz Centeno; Zhang et al. 2016"
    helper.set_model_props(proto, {"network": name, "source": source})
    onnx.checker.check_model(proto, full_check=True)
    target = folder / network_path(name).name
    with paths.atomic(target) as temporary:
        onnx.save(proto, temporary)
    return target


class _Graph:
    """A network's nodes and constants, added from its first layer to its last.

    Between convolutions the number of channels is a multiple of BLOCK; `signs` [channels] says which are stored negated
    (−1): the next layer's weights undo it.
    """

    def __init__(self) -> None:
        self.nodes, self.constants = [], []
        self.signs, self.flat = np.ones(3), False

    def build(self, layers) -> int:
        """Add all layers; returns how many numbers the heads give."""
        layers = [layer for layer in layers if type(layer).__name__ not in ("InputLayer", "Permute", "Flatten")]
        kinds = [type(layer).__name__ for layer in layers] + ["", ""]
        x, heads, pooled = self.node("Transpose", "image", perm=[0, 3, 1, 2]), [], False
        for i, (layer, kind) in enumerate(zip(layers, kinds, strict=False)):
            if kind == "MaxPooling2D" and not pooled:
                x = self.pool(x, layer)
            elif kind in ("Conv2D", "Dense") and kinds[i + 1] != "PReLU":
                heads.append([weights for weights in layer.get_weights()])
            elif kind == "Dense":
                x = self.dense(x, *layer.get_weights(), layers[i + 1].get_weights()[0])
            elif kind == "Conv2D":
                parts = *layer.get_weights(), layers[i + 1].get_weights()[0].ravel()
                pool = layers[i + 2] if kinds[i + 2] == "MaxPooling2D" else None
                pooled = pool is not None and _blocks(len(parts[2])) == _blocks(len(parts[2]) + (parts[2] < 0).sum())
                x = self.pooled_convolution(x, *parts, pool) if pooled else self.convolution(x, *parts, bool(pool))
        return self.heads(x, heads)

    def convolution(self, x: str, weights, bias, slopes, before_pool: bool) -> str:
        """A convolution and its PReLU, x + relu((slope − 1) · x): one channelwise convolution with its relu, and a sum.

        That holds for slopes up to 1. Above, it holds for the negated channel; in front of a maximum, which negating
        would turn into a minimum, the term is negated instead.
        """
        signs = np.where(slopes > 1, -1.0, 1.0)
        turned = np.ones(len(slopes)) if before_pool else signs
        x = self.conv(x, self.incoming(weights) * turned[:, None, None, None], bias * turned)
        term = self.node("Relu", self.channelwise(x, (slopes - 1) * signs * turned))
        if before_pool and (slopes > 1).any():
            term = self.channelwise(term, signs)
        self.signs = turned
        return self.node("Add", term, x)

    def pooled_convolution(self, x: str, weights, bias, slopes, pool) -> str:
        """A convolution, its PReLU and a maximum, with the maximum first: the PReLU then works on a quarter.

        A maximum and a PReLU that rises may change places. One that falls below zero is max(x, slope · x): the
        convolution gives both, in channels that would be padding otherwise.
        """
        falling = np.flatnonzero(slopes < 0)
        weights, signs = self.incoming(weights), np.where(slopes > 1, -1.0, 1.0)
        scaled = slopes[falling]
        both = np.concatenate([weights, weights[falling] * scaled[:, None, None, None]])
        x = self.pool(self.conv(x, both, np.concatenate([bias, bias[falling] * scaled])), pool)
        channels = np.arange(len(slopes))
        kept, term = np.zeros((2, len(slopes), len(both)))
        kept[channels, channels], term[channels, channels] = signs, (slopes - 1) * signs
        second = len(slopes) + np.arange(len(falling))
        kept[falling, falling], kept[falling, second] = 0, 1
        term[falling, falling], term[falling, second] = 1, -1
        term = self.node("Relu", self.conv(x, term[:, :, None, None]))
        self.signs = signs
        return self.node("Add", self.conv(x, kept[:, :, None, None]), term)

    def dense(self, x: str, weights, bias, slopes) -> str:
        """A dense layer and its PReLU; the first one reads channels in Keras' order (x, y, channel)."""
        if not self.flat:
            channels = len(self.signs)
            side = round((len(weights) / channels) ** 0.5)
            weights = weights.reshape(side, side, channels, -1) * self.signs[:, None]
            weights = weights.transpose(2, 1, 0, 3).reshape(side * side * channels, -1)
            x, self.flat = self.node("Flatten", x, axis=1), True
        x = self.node("Gemm", x, self.constant(weights), self.constant(bias))
        return self.node("PRelu", x, self.constant(slopes))

    def heads(self, x: str, heads) -> int:
        """All heads as one layer; the two classes' scores as the log-odds of the second."""
        heads = sorted(heads, key=lambda parts: OUTPUTS[len(parts[1])])
        heads = [[np.diff(part) for part in parts] if len(parts[1]) == 2 else parts for parts in heads]
        weights, bias = (np.concatenate(parts, axis=-1) for parts in zip(*heads, strict=True))
        if self.flat:
            self.node("Gemm", x, self.constant(weights), self.constant(bias), name="faces")
        else:
            self.conv(x, self.incoming(weights), bias, name="faces", pad=False)
        return len(bias)

    def incoming(self, weights: np.ndarray) -> np.ndarray:
        """Keras' weights [h, w, in, out] as [out, in, h, w], for inputs that may be negated."""
        return weights.transpose(3, 2, 0, 1) * self.signs[:, None, None]

    def conv(self, x: str, weights: np.ndarray, bias: np.ndarray | None = None, *, pad: bool = True, **options) -> str:
        """A convolution [out, in, h, w], filled with zeros up to whole blocks of channels."""
        out, channels = weights.shape[:2]
        out = _blocks(out) if pad else out
        channels = _blocks(channels) if channels > 3 else channels
        full = np.zeros((out, channels, *weights.shape[2:]))
        full[: weights.shape[0], : weights.shape[1]] = weights
        inputs = [self.constant(full)]
        if bias is not None:
            inputs.append(self.constant(np.pad(bias, (0, out - len(bias)))))
        return self.node("Conv", x, *inputs, kernel_shape=list(weights.shape[2:]), **options)

    def channelwise(self, x: str, factors: np.ndarray) -> str:
        factors = np.pad(factors, (0, _blocks(len(factors)) - len(factors)))
        weights = self.constant(factors[:, None, None, None])
        return self.node("Conv", x, weights, kernel_shape=[1, 1], group=len(factors))

    def pool(self, x: str, layer) -> str:
        pad = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
        return self.node("MaxPool", x, kernel_shape=layer.pool_size, strides=layer.strides, auto_pad=pad)

    def node(self, kind: str, *inputs: str, name: str = "", **options) -> str:
        from onnx import helper

        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **options))
        return name

    def constant(self, values: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name


def _blocks(channels: int) -> int:
    return channels + -channels % BLOCK


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.mtcnn_export", description=__doc__.split("\n")[0]).parse_args()
    for path in export():
        print(f"{path.name}  {path.stat().st_size / 1024:.0f} kB")
