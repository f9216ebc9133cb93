"""tools/resnet18_weights: the converted network against torchvision's ResNet-18, written down here once more."""

import numpy as np
import pytest
import tensorflow as tf

from tools import resnet18_weights

WIDTHS = (64, 128, 256, 512)


def draw_state(rng):
    """Torchvision's names and shapes, random numbers of a trained network's size."""
    state = {}

    def convolution(name, norm, out, into, side):
        state[f"{name}.weight"] = rng.normal(0, (2 / (into * side * side)) ** 0.5, (out, into, side, side))
        state[f"{norm}.weight"], state[f"{norm}.bias"] = rng.uniform(0.5, 1.5, out), rng.normal(0, 0.2, out)
        state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = rng.normal(0, 0.2, out), rng.uniform(0.5, 2, out)

    convolution("conv1", "bn1", 64, 3, 7)
    for stage, width in enumerate(WIDTHS, 1):
        into = WIDTHS[max(0, stage - 2)]
        for block in range(2):
            where = f"layer{stage}.{block}"
            convolution(f"{where}.conv1", f"{where}.bn1", width, width if block else into, 3)
            convolution(f"{where}.conv2", f"{where}.bn2", width, width, 3)
            if stage > 1 and not block:
                convolution(f"{where}.downsample.0", f"{where}.downsample.1", width, into, 1)
    return state


def torchvision(state, pixels, border):
    """ResNet-18's last maps; `pixels` [N, H, W, 3] as it was trained, `border` [3] what stands outside the picture."""

    def layer(x, name, norm, stride=1, pad=None):
        kernel = state[f"{name}.weight"].transpose(2, 3, 1, 0)
        pad = kernel.shape[0] // 2 if pad is None else pad
        x = tf.nn.conv2d(tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]]), kernel, stride, "VALID")
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
        return (x - state[f"{norm}.running_mean"]) * scale + state[f"{norm}.bias"]

    framed = np.tile(np.asarray(border, np.float64), (*(np.add(pixels.shape[:3], (0, 6, 6))), 1))
    framed[:, 3:-3, 3:-3] = pixels
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


@pytest.mark.parametrize("pixels", resnet18_weights.PIXELS)
def test_converted_network_answers_as_torchvisions(pixels):
    rng = np.random.default_rng(0)
    state = draw_state(rng)
    shown = rng.uniform(0, 255, (2, 72, 72, 3))
    mean, deviation = map(np.asarray, resnet18_weights.PIXELS[pixels])
    wanted = torchvision(state, (shown / 255 - mean) / deviation, (127 / 255 - mean) / deviation)
    inputs = ((shown - 127) / 128).astype(np.float32)
    given = np.asarray(resnet18_weights.convert(state, pixels)(inputs, training=False))
    assert given.shape == wanted.shape == (2, 3, 3, 512) and wanted.std() > 0.1
    np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-3 * wanted.std())


def test_what_does_not_fit_is_named():
    state = draw_state(np.random.default_rng(0))
    with pytest.raises(ValueError, match="pixels: must be one of imagenet, unit; got 'rgb'"):
        resnet18_weights.convert(state, "rgb")
    with pytest.raises(ValueError, match=r"layer4\.1\.conv2\.weight must have the shape \(3, 3, 512, 512\)"):
        resnet18_weights.convert({**state, "layer4.1.conv2.weight": np.zeros((512, 256, 3, 3))})
    del state["bn1.running_mean"]
    with pytest.raises(ValueError, match=r"state: must hold bn1\.running_mean; got bn1\.bias"):
        resnet18_weights.convert(state)


def test_wrappers_and_prefixes_are_taken_off():
    state = {"layer2.0.conv1.weight": 1, "conv1.weight": 2, "bn1.bias": 3}
    assert resnet18_weights.plain(state) == state
    assert resnet18_weights.plain({"model": {f"layers.{name}": value for name, value in state.items()}}) == state
    with pytest.raises(ValueError, match=r"conv1\.weight; got fc\.bias"):
        resnet18_weights.plain({"state_dict": {"fc.bias": 0}})


def test_command_writes_what_training_loads(tmp_path, monkeypatch, capsys):
    from fer_utils.models import _build as models

    state = draw_state(np.random.default_rng(1))
    monkeypatch.setattr(resnet18_weights, "read_state", lambda path: state)
    out = tmp_path / "resnet18_drawn.weights.h5"
    resnet18_weights.main(["any.pth", str(out), "--pixels", "unit"])
    assert "11,186,112 parameters" in capsys.readouterr().out
    model = models.build("resnet18", weights=tmp_path)
    assert model.initial_weights["name"] == out.name
    kernel = model.get_layer(model.layers[2].name).get_layer("stack0_block0_1_conv").kernel
    np.testing.assert_array_equal(kernel, state["layer1.0.conv1.weight"].transpose(2, 3, 1, 0).astype(np.float32))
    with pytest.raises(SystemExit):
        resnet18_weights.main(["any.pth", str(tmp_path / "other.h5")])
    assert "out: must be called resnet18….weights.h5" in capsys.readouterr().err
