"""The four networks, their precision variant and their weights on disk (mixed_layers and weights_file too)."""

import keras
import numpy as np
import pytest

from fer_utils.models import _build as models

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
    assert norms and all(layer.momentum <= models.BATCHNORM_MOMENTUM for layer in norms)
    assert np.asarray(models.with_probabilities(model)(FACES)).sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("side, low, high", [(72, 0.4, 0.7), (128, 1.6, 2.0)])
def test_another_side_is_less_or_more_work_for_the_same_input(side, low, high):
    usual, other = (models.build("mobilenet_v3_large", weights=None, image_size=pixels) for pixels in (96, side))
    assert np.asarray(other(FACES)).shape == (2, 7)
    assert low < models.macs(other) / models.macs(usual) < high
    resized = np.asarray(keras.ops.image.resize(FACES, (side, side), interpolation="bilinear"))
    assert np.allclose(other.get_layer("resize")(FACES), resized)
    assert other.layers[2](resized).shape == (2, side, side, 3)  # Rescaling follows


@pytest.mark.parametrize("name, sides, words", [
    ("mobilenet_v3_large", (47, 225), "image_size: must lie in 48 … 224 px for mobilenet_v3_large"),
    ("xception", (70, 225), "image_size: must lie in 71 … 224 px for xception"),
])
def test_a_side_that_the_backbone_cannot_work_on(name, sides, words):
    for side in sides:
        with pytest.raises(ValueError, match=words):
            models.build(name, weights=None, image_size=side)


def test_resnet_works_at_the_size_of_the_data():
    assert np.asarray(models.build("resnet18", weights=None, image_size=48)(FACES)).shape == (2, 7)


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
    (lambda: models.build("vgg"), "must be one of"), (lambda: models.build("xception", precision="int4"), "precision"),
    (lambda: models.base_name("vgg_aligned"), "must begin with one of"),
])
def test_bad_names(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_run_without_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="python -m fer_utils.training xception"):
        models.load("xception")
    assert models.base_name("xception_aligned") == "xception"


@pytest.mark.parametrize(
    "run, words",
    [
        ("resnet18", "ResNet-18"),
        ("xception_aligned", "Xception, aligned faces"),
        ("xception_96", "Xception, 96 px"),
        ("mobilenet_v3_large_hybrid_8989", "MobileNetV3-Large, hybrid 8989"),
    ],
)
def test_title_of_a_run(run, words):
    assert models.title(run) == words
