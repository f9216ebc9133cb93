import numpy as np
import pytest

from fer_utils import models


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
