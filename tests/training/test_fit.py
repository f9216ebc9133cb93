"""A run from configuration to stored result; killed ones go on; several devices hold the same weights."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from fer_utils import evaluation, models, paths
from fer_utils.training import TrainConfig, publish, train
from fer_utils.training.fit import predict

HELPERS = paths.ROOT / "tests" / "helpers"
CONFIG = TrainConfig("resnet18", run="tiny", init=None, image_size=48, epochs=2, steps_per_epoch=2, batch_size=8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, drawn):
    """A run of two short epochs, stored in a folder of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_MODELS", str(folder))
        patch.setenv("FER_CHECKPOINTS", str(folder / "checkpoints"))
        yield train(CONFIG, drawn, verbose=False)


def test_what_a_run_leaves(tiny, drawn):
    files = {path.name for path in tiny.folder.iterdir()}
    assert files == {"config.json", "history.csv", "predictions.npz", "metrics.json", "model.weights.h5"}
    assert tiny.config == json.loads(json.dumps(dataclasses.asdict(CONFIG)))
    assert tiny.history["epoch"].tolist() == [1, 2]
    assert {"loss", "accuracy", "public_accuracy", "images_per_second", "learning_rate"} <= {*tiny.history.columns}
    assert tiny.history["learning_rate"].iloc[-1] == pytest.approx(0, abs=1e-9)
    assert tiny.outcome["initial_weights"] == {"name": "random", "sha256": None} and tiny.outcome["is_sample"]
    assert {"commit", "versions", "minutes", "parameters", "m_macs", "cpu", "precision"} <= {*tiny.outcome}
    assert tiny.metrics["private"]["n"] == len(drawn.split("PrivateTest"))


def test_the_stored_weights_give_the_stored_predictions(tiny, drawn, monkeypatch):
    monkeypatch.setenv("FER_MODELS", str(tiny.folder.parents[1]))
    logits = predict(models.load("tiny"), drawn.split("PrivateTest").images)
    np.testing.assert_allclose(softmax(logits, axis=1), tiny.predictions["private"], atol=1e-5)


def test_a_finished_run_is_not_trained_again(tiny, drawn, monkeypatch):
    monkeypatch.setenv("FER_MODELS", str(tiny.folder.parents[1]))
    monkeypatch.setenv("FER_CHECKPOINTS", str(tiny.folder.parents[1] / "checkpoints"))
    again = train(CONFIG, drawn, verbose=False)
    assert len(again.history) == 2
    np.testing.assert_allclose(again.predictions["private"], tiny.predictions["private"], atol=1e-6)


def test_another_configuration_does_not_go_on_from_it(tiny, drawn, monkeypatch):
    monkeypatch.setenv("FER_CHECKPOINTS", str(tiny.folder.parents[1] / "checkpoints"))
    with pytest.raises(ValueError, match="config: .* another learning_rate"):
        train(dataclasses.replace(CONFIG, learning_rate=0.5), drawn)


def test_publishing_exports_checks_and_lists_it(tiny, drawn, monkeypatch):
    folder = tiny.folder.parents[1]
    monkeypatch.setenv("FER_MODELS", str(folder))
    monkeypatch.setenv("FER_CHECKPOINTS", str(folder / "checkpoints"))
    assert (folder / "checkpoints" / "tiny" / "state.weights.h5").is_file()
    entry = publish("tiny", drawn)
    assert entry["parity"] <= 1e-4 and entry["run"] == "tiny"
    assert models.manifest()["files"]["tiny.onnx"]["private_test"]["n"] == len(drawn.split("PrivateTest"))
    with models.Classifier("tiny") as classifier:
        probabilities = classifier.predict_faces(drawn.split("PrivateTest").images)
    np.testing.assert_allclose(probabilities, tiny.predictions["private"], atol=1e-4)
    assert not (folder / "checkpoints" / "tiny").exists(), "its state is not needed any more"


def test_choosing_settings_leaves_private_test_alone(tmp_path, drawn, monkeypatch, capsys):
    monkeypatch.setenv("FER_MODELS", str(tmp_path / "models"))
    config = dataclasses.replace(CONFIG, epochs=1, aligned=True)
    scores = train(config, drawn, folder=tmp_path / "state", public_only=True)
    assert scores["n"] == len(drawn.split("PublicTest")) and not evaluation.list_runs()
    printed = capsys.readouterr().out
    assert "epoch 1/1" in printed and "images/s" in printed and "PrivateTest" not in printed


def test_a_loss_that_is_not_finite(tmp_path, drawn):
    with pytest.raises(FloatingPointError, match="learning_rate"):
        train(dataclasses.replace(CONFIG, learning_rate=1e30), drawn, folder=tmp_path, verbose=False)
    assert not (tmp_path / "state.weights.h5").exists()


def test_a_batch_that_cannot_be_divided(drawn):
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(ValueError, match="batch_size: must be a multiple of the 3 devices"):
        train(CONFIG, drawn, strategy=Three())


def _start(name, folder, *arguments, **variables):
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "FER_DATA": "sample", "PYTHONPATH": str(paths.ROOT), **variables}
    return subprocess.Popen([sys.executable, HELPERS / f"{name}.py", folder, *arguments], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _weights(path):
    with np.load(path) as file:
        return [file[name] for name in file.files]


@pytest.mark.slow
def test_a_run_killed_three_times_ends_as_an_unbroken_one(tmp_path):
    for moment in ("epoch", "checkpoint", "end"):
        process = _start("killed_training", tmp_path / "killed", moment)
        _, errors = process.communicate(timeout=500)
        assert process.returncode == -signal.SIGKILL, errors[-2000:]
    for folder in ("killed", "unbroken"):
        process = _start("killed_training", tmp_path / folder, "never")
        printed, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-2000:]
    killed, unbroken = (_weights(tmp_path / folder / "weights.npz") for folder in ("killed", "unbroken"))
    assert max(np.abs(a.astype(float) - b).max() for a, b in zip(killed, unbroken, strict=True)) <= 1e-5
    history = [pd.read_csv(tmp_path / folder / "state" / "history.csv") for folder in ("killed", "unbroken")]
    assert history[0]["epoch"].tolist() == [0, 1, 2]
    pd.testing.assert_frame_equal(*(rows[["epoch", "loss", "accuracy", "val_accuracy"]] for rows in history), rtol=1e-5)


def _ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.mark.slow
def test_two_machines_end_with_the_same_weights(tmp_path):
    """Two processes on the loopback interface, with one folder, as two hosts with a common disk."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _ports(2)]}
    hosts = [
        _start("distributed_training", tmp_path, "multi_worker",
               TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
        for index in range(2)
    ]
    for host in hosts:
        _, errors = host.communicate(timeout=500)
        assert host.returncode == 0, errors[-3000:]
    first, second = (_weights(tmp_path / f"{index}.npz") for index in range(2))
    assert len(first) > 80 and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert pd.read_csv(tmp_path / "state" / "history.csv")["epoch"].tolist() == [0, 1]
    left = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert left == ["config.json", "history.csv", "state.weights.h5"]


@pytest.mark.slow
def test_two_devices_of_one_machine(tmp_path):
    process = _start("distributed_training", tmp_path, "mirrored")
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors[-3000:]
    assert all(np.isfinite(weight).all() for weight in _weights(tmp_path / "0.npz"))
