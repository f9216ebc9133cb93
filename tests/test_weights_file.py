import keras
import numpy as np
import pytest

from fer_utils.weights_file import read_weights, write_weights


def network(units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.BatchNormalization()])


def test_round_trip_is_half_precision_and_keeps_what_half_cannot_hold(tmp_path):
    first, second = network(), network()
    weights = first.get_weights()
    weights[-1] = np.array([1e6, 2.0, 3.0], np.float32)  # a variance beyond float16
    first.set_weights(weights)
    write_weights(first, tmp_path / "w.h5")
    read_weights(second, tmp_path / "w.h5")
    for a, b in zip(weights, second.get_weights(), strict=True):
        assert b == pytest.approx(a, rel=1e-3)
    assert second.get_weights()[-1][0] == 1e6


def test_another_network_is_refused(tmp_path):
    write_weights(network(3), tmp_path / "w.h5")
    with pytest.raises(ValueError, match="shape"):
        read_weights(network(5), tmp_path / "w.h5")
    with pytest.raises(ValueError, match="are not those of"):
        read_weights(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), tmp_path / "w.h5")
