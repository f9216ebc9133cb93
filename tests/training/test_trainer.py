"""The network in training, on one machine and on two."""

import dataclasses
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from fer_utils import paths
from fer_utils.evaluation import runs
from fer_utils.faces import preprocess
from fer_utils import models
from fer_utils.training.config import Config
from fer_utils.training.dataset import Batch
from fer_utils.training.trainer import Trainer, rate

PROGRAM = """
import json, sys
from pathlib import Path
import tensorflow as tf
kind, folder, config = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
if kind == "multi_worker":
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
import numpy as np
from fer_utils import data
from fer_utils.training import trainer
from fer_utils.training import fit as training
made = []
init = trainer.Trainer.__init__
def remember(self, *args):
    init(self, *args)
    made.append(self)
trainer.Trainer.__init__ = remember
training.train(training.Config("mobilenet_v3_large_shared", **config), data.load("sample"), folder=folder,
               strategy=strategy)
(trained,) = made
assert trained.replicas == 2 and np.asarray(trained.optimizer.iterations) == 2 * (256 // 32)
np.savez(folder / f"worker{trained.worker}.npz", chief=trained.chief, *map(np.asarray, trained.model.trainable_weights),
         **{f"s{i}": np.asarray(w) for i, w in enumerate(trained.model.non_trainable_weights) if "seed" not in w.path})
"""
SMALL = dict(epochs=2, side=72, rows=256, batch=32, head_steps=2, weights=None)


def test_rate_warms_up_and_falls_to_zero():
    config = Config("xception")
    rates = [rate(config, step, 700, 100) for step in range(700)]
    assert rates[0] < rates[25] < max(rates) == pytest.approx(config.learning_rate, rel=1e-3) and rates[-1] < 1e-8
    assert np.argmax(rates) in (49, 50)


def test_a_run_goes_on_from_a_recorded_one(tmp_path, monkeypatch, drawn):
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    logits = {"public": np.zeros((7, 7)), "private": np.zeros((7, 7))}
    labels = {"public": np.arange(7), "private": np.arange(7)}
    first = models.build("mobilenet_v3_large", weights=None, image_size=72, seed=5)
    runs.write_run(Config("mobilenet_v3_large_first"), [{"epoch": 1}], logits, labels, {"parameters": 1, "mflops": 1},
                   first)
    trainer = Trainer(Config("mobilenet_v3_large", start="mobilenet_v3_large_first", precision="bfloat16"), np.ones(7))
    stored = models.load("mobilenet_v3_large_first")
    assert trainer.origin == "run mobilenet_v3_large_first"
    for network in (trainer.model, trainer.twin):
        assert all(np.array_equal(a, b) for a, b in zip(stored.weights, network.weights, strict=True))


@pytest.mark.parametrize("name, last, side", [
    ("xception", "block4_sepconv1_act", 71), ("mobilenet_v3_large", "expanded_conv_2_project", 48),
    ("efficientnet_b0", "block2b_add", 48), ("resnet18", "stack0_block1_out", 48),
])
def test_frozen_layers_stay_and_the_others_learn(name, last, side):
    config = Config(name, batch=4, side=side, frozen=last, weights=None, precision="float32")
    trainer = Trainer(config, np.ones(7))
    own, twin = ([(w.path.split("/")[-1], w.shape) for w in m.weights] for m in (trainer.model, trainer.twin))
    assert own == twin, "the average is taken weight by weight"
    before = [weight.numpy() for weight in trainer.model.weights]
    inputs = np.random.default_rng(3).uniform(0, 255, (4, 96, 96, 3)).astype(np.float32)
    batch = Batch(inputs, np.eye(7, dtype=np.float32)[:4], np.zeros((4, 7), np.float32))
    trainer.step(batch, 1e-3, 0.5)
    same = [np.array_equal(old, new.numpy()) for old, new in zip(before, trainer.model.weights, strict=True)]
    backbone = next(layer for layer in trainer.model.layers if hasattr(layer, "layers"))
    names = [layer.name for layer in backbone.layers]
    kept = {id(w) for layer in backbone.layers[: names.index(last) + 1] for w in layer.weights}
    learned = [not stays for stays, weight in zip(same, trainer.model.weights, strict=True) if id(weight) not in kept]
    assert kept and all(s for s, weight in zip(same, trainer.model.weights, strict=True) if id(weight) in kept)
    assert np.mean(learned) > 0.95  # a bias before BatchNorm may get no gradient
    assert len(trainer.model.trainable_variables) < len(trainer.twin.trainable_variables)


def test_statistics_are_those_of_the_faces_even_in_frozen_layers():
    import keras

    config = Config("mobilenet_v3_large", batch=8, side=64, frozen="expanded_conv_project", statistics=24, weights=None)
    trainer = Trainer(config, np.ones(7))
    before = [np.asarray(weight) for weight in trainer.model.weights]
    momenta = {layer.momentum for layer in trainer.twin._flatten_layers() if hasattr(layer, "moving_mean")}
    images = np.random.default_rng(4).integers(0, 256, (24, 48, 48)).astype(np.uint8)
    assert "24 training faces" in trainer.take_statistics(images)
    after = {w.path: (np.asarray(w), old) for w, old in zip(trainer.model.weights, before, strict=True)}
    moved = {path for path, (new, old) in after.items() if not np.array_equal(new, old)}
    assert {path.split("/")[-1] for path in moved} - {"seed_generator_state"} == {"moving_mean", "moving_variance"}
    assert all(np.array_equal(a, b) for a, b in zip(trainer.model.weights, trainer.twin.weights, strict=True))
    assert {layer.momentum for layer in trainer.twin._flatten_layers() if hasattr(layer, "moving_mean")} == momenta
    backbone = next(layer for layer in trainer.twin.layers if hasattr(layer, "layers"))
    first = next(layer for layer in backbone.layers if hasattr(layer, "moving_mean"))
    scaled = keras.Sequential(trainer.twin.layers[1 : trainer.twin.layers.index(backbone)])
    maps = keras.Model(backbone.input, first.input)(scaled(preprocess.to_inputs(images)))
    assert np.asarray(first.moving_mean) == pytest.approx(np.asarray(maps).mean((0, 1, 2)), abs=1e-4)
    assert np.asarray(first.moving_variance) == pytest.approx(np.asarray(maps).var((0, 1, 2)), rel=0.1, abs=1e-4)


def test_the_start_that_is_mixed_in_has_the_statistics_that_the_run_began_with(tmp_path, monkeypatch):
    from fer_utils.training.fit import _start

    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    logits, labels = dict.fromkeys(("public", "private"), np.zeros((7, 7))), np.arange(7)
    first = models.build("resnet18", weights=None, image_size=48, seed=5)
    runs.write_run(Config("resnet18_first", side=48), [{"epoch": 1}], logits, {"public": labels, "private": labels},
                   {"parameters": 1, "mflops": 1}, first)
    config = Config("resnet18", side=72, batch=8, start="resnet18_first", average=True, statistics=16)
    images = np.random.default_rng(6).integers(0, 256, (20, 48, 48)).astype(np.uint8)
    trainer = Trainer(config, np.ones(7))
    trainer.take_statistics(images)
    start = _start(config, images)
    assert all(np.array_equal(a, b) for a, b in zip(start.get_weights(), trainer.twin.get_weights(), strict=True))
    assert start.get_layer("resize").height == 72
    as_stored = _start(dataclasses.replace(config, statistics=0), images).get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(start.get_weights(), as_stored, strict=True))


def test_a_frozen_layer_that_does_not_exist():
    with pytest.raises(ValueError, match="frozen: must be a layer of resnet18's backbone, such as .*; got 'stack9'"):
        Trainer(Config("resnet18", weights=None, frozen="stack9"), np.ones(7))


def test_a_batch_that_cannot_be_divided(monkeypatch):
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(ValueError, match="batch: must be a multiple of the 3 replicas; got 32"):
        Trainer(Config("resnet18", batch=32), np.ones(7), Three())


def _ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _train(kind, folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "FER_DATA": "sample", "FER_CHECKPOINTS": str(folder), **changes}
    arguments = [sys.executable, "-c", PROGRAM, kind, str(folder), json.dumps(SMALL)]
    return subprocess.Popen(arguments, cwd=paths.ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment)


@pytest.mark.slow
def test_two_machines_hold_the_same_weights_after_two_epochs(tmp_path):
    """Two processes on the loopback interface, each with a folder of its own, as two hosts have."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _ports(2)]}
    hosts = [
        _train("multi_worker", tmp_path / f"host{index}",
               TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
        for index in range(2)
    ]
    for host in hosts:
        _, errors = host.communicate(timeout=400)
        assert host.returncode == 0, errors[-3000:]
    first, second = (np.load(tmp_path / f"host{index}" / f"worker{index}.npz") for index in range(2))
    assert first["chief"] and not second["chief"] and len(first.files) > 100
    assert all(np.array_equal(first[name], second[name]) for name in first.files if name != "chief")
    run = runs.Run("mobilenet_v3_large_shared", folder=tmp_path / "host0")
    assert run.history["epoch"].tolist() == [1, 2] and not (tmp_path / "host1" / "mobilenet_v3_large_shared").exists()


@pytest.mark.slow
def test_two_devices_of_one_machine(tmp_path):
    process = _train("mirrored", tmp_path)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-3000:]
    assert len(runs.Run("mobilenet_v3_large_shared", folder=tmp_path).history) == 2
