import keras
import numpy as np
import pytest
import tensorflow as tf

from fer_utils import models
from fer_utils.models.cpu_layers import adamw, native_precision, with_fast_layers


@pytest.mark.parametrize("flags, precision", [("avx2 amx_bf16", "bfloat16"), ("fma avx2 avx512f", "float32")])
def test_bfloat16_only_where_the_cpu_multiplies_it(monkeypatch, flags, precision):
    from pathlib import Path

    monkeypatch.setattr(Path, "read_text", lambda self, **_: f"processor : 0\nflags : {flags}\n")
    assert native_precision() == precision


def test_an_unknown_cpu_gets_float32(monkeypatch):
    from pathlib import Path

    def missing(self, **_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert native_precision() == "float32"


@pytest.mark.parametrize("name", ["xception", "mobilenet_v3_large"])
def test_bfloat16_products_change_little_and_keep_the_weights_in_order(name):
    exact = models.build(name, weights=None, seed=4)
    fast = models.build(name, weights=None, seed=4, precision="bfloat16")
    assert [w.shape for w in fast.weights] == [w.shape for w in exact.weights]
    fast.set_weights(exact.get_weights())
    faces = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    first, second = (np.asarray(model.layers[-4](model.layers[1](faces))) for model in (exact, fast))
    assert second.dtype == np.float32 and not np.array_equal(first, second)  # something really is cast
    assert np.abs(first - second).mean() < 0.1 * np.abs(first).mean()


@pytest.mark.parametrize("device, fast", [("cpu:0", True), ("gpu:0", False)])
def test_auto_takes_fast_layers_on_a_cpu_only(monkeypatch, device, fast):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: [device])
    model = models.build("resnet18", weights=None, image_size=48, precision="auto")
    kinds = {type(layer) for layer in model._flatten_layers() if layer.name.endswith("bn")}
    assert kinds and (keras.layers.BatchNormalization not in kinds) == fast


@pytest.mark.parametrize("channels", [16, 19])  # 19: padded where the CPU has AVX-512
def test_fused_batchnorm_trains_as_keras_own_does(channels, monkeypatch):
    monkeypatch.setattr("fer_utils.models.cpu_layers._cpu_flags", lambda: {"avx512f"})
    image = keras.Input((4, 4, channels))
    exact = keras.Model(image, keras.layers.BatchNormalization(momentum=0.9)(image))
    exact.layers[1].gamma.assign(np.linspace(0.5, 2, channels))
    fast = with_fast_layers(exact, "bfloat16")
    assert type(fast.layers[1]) is not keras.layers.BatchNormalization
    inputs = tf.constant(np.random.default_rng(0).normal(3, 2, (16, 4, 4, channels)).astype(np.float32))
    results = []
    for model in (exact, fast):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = model(inputs, training=True)
            loss = tf.reduce_sum(outputs**3)
        wanted = [inputs, *(weight.value for weight in model.trainable_weights)]
        results.append([outputs, *tape.gradient(loss, wanted), *model.get_weights(), model(inputs, training=False)])
    # The fused kernel keeps the unbiased variance: 256 values a channel, so a difference of 1/255 at most.
    assert len(results[0]) == 9
    for mine, theirs in zip(*results, strict=True):
        assert np.allclose(mine, theirs, rtol=5e-3, atol=2e-2)


@pytest.mark.parametrize("dtype, tolerance", [("bfloat16", 0.03), ("float32", 1e-5)])
def test_a_pointwise_convolution_is_one_product_with_the_same_result(dtype, tolerance):
    image = keras.Input((5, 5, 8))
    outputs = keras.layers.Conv2D(4, 1)(keras.layers.SeparableConv2D(8, 3, padding="same")(image))
    exact = keras.Model(image, outputs)
    inputs = np.random.default_rng(0).normal(size=(3, 5, 5, 8)).astype(np.float32)
    first, second = (np.asarray(model(inputs)) for model in (exact, with_fast_layers(exact, dtype)))
    assert first.shape == second.shape == (3, 5, 5, 4)
    assert np.abs(first - second).max() < tolerance * np.abs(first).max()


def test_fused_adamw_updates_as_keras_own_does():
    rng, results = np.random.default_rng(0), []
    start, gradients = rng.normal(size=(5, 3)), tf.constant(rng.normal(size=(4, 5, 3)), tf.float32)
    for make in (keras.optimizers.AdamW, adamw):
        weights = [keras.Variable(start.astype(np.float32), name=name) for name in ("kernel", "bias")]
        schedule = keras.optimizers.schedules.CosineDecay(0.001, 10, warmup_target=0.1, warmup_steps=2)
        optimizer = make(schedule, weight_decay=0.5, global_clipnorm=1.0, use_ema=True, ema_momentum=0.9)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.build(weights)
        for gradient in gradients:
            optimizer.apply_gradients([(gradient, variable) for variable in weights])
        results.append([variable.numpy() for variable in (*weights, *optimizer.variables)])
    assert len(results[0]) == 2 + 1 + 2 * 3  # weights; iterations; momentum, velocity and average of each
    assert not np.allclose(results[0][0], results[0][1])  # only one of them decays
    for theirs, mine in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)  # 1 - 0.999 keeps 5 digits in float32
