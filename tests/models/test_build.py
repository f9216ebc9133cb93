"""The four networks: their function, weights, size."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from fer_utils import models, paths
from fer_utils.models import _build

FACES = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)


@pytest.mark.parametrize("name, millions, multiplies", [
    ("xception", 20.9, 826), ("mobilenet_v3_large", 3.0, 41), ("efficientnet_b0", 4.1, 71), ("resnet18", 11.2, 333),
])
def test_build(name, millions, multiplies):
    model = models.build(name, weights=None)
    assert np.asarray(model(FACES)).shape == (2, 7) and model.initial_weights["name"] == "random"
    assert model.count_params() / 1e6 == pytest.approx(millions, abs=0.06)
    assert models.macs(model) == pytest.approx(multiplies, abs=1)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and all(layer.momentum <= 0.97 for layer in norms)


@pytest.mark.parametrize("size, low, high", [(72, 0.4, 0.7), (128, 1.6, 2.0)])
def test_another_image_size_is_less_or_more_work_for_the_same_input(size, low, high):
    usual, other = (models.build("mobilenet_v3_large", weights=None, image_size=pixels) for pixels in (96, size))
    assert np.asarray(other(FACES)).shape == (2, 7)
    assert low < models.macs(other) / models.macs(usual) < high
    resized = np.asarray(keras.ops.image.resize(FACES, (size, size), interpolation="bilinear"))
    assert np.allclose(other.get_layer("resize")(FACES), resized)


@pytest.mark.parametrize("name, size", [("mobilenet_v3_large", 47), ("xception", 70), ("xception", 225)])
def test_an_image_size_that_the_backbone_cannot_work_on(name, size):
    with pytest.raises(ValueError, match="image_size"):
        models.build(name, weights=None, image_size=size)


def test_the_seed_decides():
    first, again, other = (models.build("mobilenet_v3_large", weights=None, seed=seed) for seed in (1, 1, 2))
    kernels = [model.get_layer("logits").get_weights()[0] for model in (first, again, other)]
    assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[0], kernels[2])


def test_weights_come_from_a_folder_or_a_clear_error(tmp_path, monkeypatch):
    source = keras.applications.MobileNetV3Large(weights=None, include_top=False, include_preprocessing=False,
                                                 input_shape=(None, None, 3))
    source.save_weights(tmp_path / "mobilenet_v3_large_mine.weights.h5")
    monkeypatch.setenv("FER_WEIGHTS", str(tmp_path))
    model = models.build("mobilenet_v3_large")
    assert model.initial_weights["name"] == "mobilenet_v3_large_mine.weights.h5"
    assert np.array_equal(model.layers[2].get_weights()[0], source.get_weights()[0])
    with pytest.raises(models.WeightsError, match="holds no xception"):
        models.build("xception", weights=tmp_path)
    (tmp_path / "xception.weights.h5").write_bytes(b"cut off")
    with pytest.raises(models.WeightsError, match="does not hold the weights of xception"):
        models.build("xception", weights=tmp_path)


@pytest.mark.parametrize("call, words", [
    (lambda: models.build("vgg"), "backbone"), (lambda: models.build("xception", precision="int4"), "precision"),
    (lambda: models.title("vgg_aligned"), "name"),
])
def test_bad_names(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_run_without_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="run: "):
        models.load("xception")


@pytest.mark.parametrize("name, words", [
    ("resnet18", "ResNet-18"), ("xception_aligned", "Xception, aligned faces"), ("xception_96", "Xception, 96 px"),
])
def test_title_of_a_run(name, words):
    assert models.title(name) == words


def test_efficientnet_scales_by_its_weights_whichever_way_they_come(tmp_path):
    source = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(None, None, 3))
    source.get_layer(index=2).set_weights([np.float32([0.5] * 3), np.float32([0.25] * 3), np.int32(0)])
    source.save_weights(tmp_path / "efficientnet_b0.weights.h5")
    source.load_weights(tmp_path / "efficientnet_b0.weights.h5")  # Keras' own layer takes its weights up here only
    model = models.build("efficientnet_b0", weights=tmp_path, precision="float32")
    wanted = np.asarray(source(FACES))
    assert np.allclose(model.layers[1](FACES), wanted, atol=1e-3 * np.abs(wanted).max())
    other = models.build("efficientnet_b0", weights=None)
    other.set_weights(model.get_weights())
    assert np.allclose(other.layers[1](FACES), wanted, atol=1e-3 * np.abs(wanted).max())


def test_downloaded_efficientnet_takes_the_same_pixels(tmp_path, monkeypatch):
    options = {"include_top": False, "input_shape": (None, None, 3)}
    path = tmp_path / "downloaded.weights.h5"
    keras.applications.EfficientNetB0(weights=None, **options).save_weights(path)
    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", lambda *_, **__: path)
    wanted = np.asarray(keras.applications.EfficientNetB0(weights="imagenet", **options)(FACES))
    model = models.build("efficientnet_b0", weights="imagenet")
    assert model.initial_weights == {"name": "imagenet", "sha256": None}
    assert np.allclose(model.layers[1](FACES), wanted, atol=1e-3 * np.abs(wanted).max())


def test_resnet_trained_on_other_pixels_takes_ours():
    network = _build._backbone("resnet18")
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    stem = keras.Model(network.input, network.get_layer("conv1_bn").output)
    before = np.asarray(stem((FACES / 255 - mean) / deviation))
    _build._take_rgb_127(network)
    after = np.asarray(stem((FACES - 127) / 128))
    assert np.allclose(before[:, 4:-4, 4:-4], after[:, 4:-4, 4:-4], atol=1e-4)


@pytest.mark.parametrize("precision", [None, "float32"])
def test_batchnorm_takes_the_mean_of_all_batches(precision):
    model = models.build("resnet18", weights=None, image_size=48, precision=precision)
    norm = model.layers[3].get_layer("conv1_bn")
    stem = keras.Model(model.layers[3].input, model.layers[3].get_layer("conv1_conv").output)
    batches = [np.random.default_rng(n).uniform(0, 255, (n, 48, 48, 3)).astype(np.float32) for n in (4, 8)]
    kernel = np.asarray(model.get_layer("logits").kernel)
    models.reestimate_batchnorm(model, batches)
    maps = np.asarray(stem((np.concatenate(batches) - 127) / 128))
    assert np.allclose(norm.moving_mean, maps.mean((0, 1, 2)), atol=1e-3)
    assert norm.momentum == 0.9 and np.array_equal(model.get_layer("logits").kernel, kernel)


def test_batchnorm_is_reestimated_without_dropout():
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.BatchNormalization()(keras.layers.Dropout(0.5)(image)))
    inputs = FACES[:, :4, :4]
    models.reestimate_batchnorm(model, [inputs])
    assert np.allclose(model.layers[2].moving_mean, inputs.mean((0, 1, 2)), rtol=1e-4) and model.layers[1].rate == 0.5


def test_fit_trains_fast_layers_and_leaves_no_statistic_behind():
    model = models.build("resnet18", weights=None, image_size=48, precision="float32")
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    before = model.get_weights()
    loss = model.fit(FACES, np.eye(7, dtype=np.float32)[:2], epochs=2, verbose=0).history["loss"]
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.isfinite(loss).all() and np.mean(changed) > 0.9


def test_the_room_imports_without_heavy_libraries():
    heavy = {"tensorflow", "keras", "onnx", "pandas", "scipy", "sklearn"}
    code = f"import sys, fer_utils.models; sys.exit(', '.join({heavy} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=paths.ROOT)
    assert done.returncode == 0, done.stderr
