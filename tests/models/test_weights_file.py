import keras
import numpy as np
import pytest

from fer_utils.models.weights_file import read_weights, thin, write_weights


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


def exported(tmp_path):
    """A recorded network whose ONNX file holds its kernels."""
    from fer_utils.models import _build as models
    from fer_utils.models import onnx_export as export

    model = models.build("mobilenet_v3_large", weights=None, image_size=72)
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "model.weights.h5"
    write_weights(model, path)
    read_weights(model, path)  # float16 holds them now
    report = export.to_onnx(model, tmp_path / "run.onnx", name="run")
    return model, path, report


def test_a_thinned_file_reads_its_kernels_from_the_onnx_file(tmp_path):
    from fer_utils.models import _build as models

    model, path, report = exported(tmp_path)
    whole = path.stat().st_size
    assert len(report.halved) > 30 and report.bytes < 0.53 * 4 * model.count_params()
    thin(path, report.path, report.halved)
    assert path.stat().st_size < 0.2 * whole
    again = models.build("mobilenet_v3_large", weights=None, image_size=72, seed=1)
    read_weights(again, path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))
    report.path.write_bytes(report.path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="needs the very"):
        read_weights(again, path)
    report.path.unlink()
    with pytest.raises(ValueError, match="needs the very"):
        read_weights(again, path)
