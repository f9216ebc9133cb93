"""A real, small run on the drawn sample: it is recorded, and after kill -9 it goes on and loses one epoch at most."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fer_utils import data, paths, runs
from fer_utils.training import Config, _rate

SMALL = dict(epochs=3, side=72, rows=256, batch=32, head_steps=2, weights=None)
PROGRAM = """
import json, sys
from pathlib import Path
from fer_utils import data
from fer_utils.training import Config, train
train(Config("mobilenet_v3_large_kill", **json.loads(sys.argv[2])), data.load("sample"), folder=Path(sys.argv[1]))
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(folder), json.dumps(SMALL)], cwd=paths.ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "FER_DATA": "sample"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in the second epoch", "while the first checkpoint is written"])
def test_a_killed_run_goes_on_and_loses_one_epoch_at_most(tmp_path, moment):
    process = start(tmp_path)
    state = tmp_path / "checkpoints" / "mobilenet_v3_large_kill" / "state.npz"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        writing = any(state.parent.glob(".state-*")) if state.parent.is_dir() else False
        if state.is_file() if moment == "in the second epoch" else writing:
            break
        time.sleep(0.002)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    saved = state.is_file()
    output, _ = start(tmp_path).communicate(timeout=400)
    assert ("resumed after epoch" in output) == saved and (saved or moment != "in the second epoch")
    run = runs.Run("mobilenet_v3_large_kill", folder=tmp_path)
    assert run.history["epoch"].tolist() == [1, 2, 3]
    assert output.count("epoch 1/3") == (0 if saved else 1)
    assert run.predictions["private"].shape == (len(data.load("sample").where("PrivateTest")), 7)
    assert run.config["is_sample"] and run.config["training_rows"] == 256
    assert run.config["best_epoch"] == 1 + run.history["public_accuracy"].idxmax()
    assert (run.folder / "model.weights.h5").is_file()


def test_rate_warms_up_and_falls_to_zero():
    config = Config("xception")
    rates = [_rate(config, step, 700, 100) for step in range(700)]
    assert rates[0] < rates[25] < max(rates) == pytest.approx(config.learning_rate, rel=1e-3) and rates[-1] < 1e-8
    assert np.argmax(rates) in (49, 50)


def test_a_run_goes_on_from_a_recorded_one(tmp_path, monkeypatch, drawn):
    from fer_utils import models
    from fer_utils.training import _Trainer

    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    logits = {"public": np.zeros((7, 7)), "private": np.zeros((7, 7))}
    labels = {"public": np.arange(7), "private": np.arange(7)}
    first = models.build("mobilenet_v3_large", weights=None, side=72, seed=5)
    runs.write_run(Config("mobilenet_v3_large_first"), [{"epoch": 1}], logits, labels, {"parameters": 1, "mflops": 1},
                   first)
    trainer = _Trainer(Config("mobilenet_v3_large", start="mobilenet_v3_large_first", precision="bfloat16"), np.ones(7))
    stored = models.load("mobilenet_v3_large_first")
    assert trainer.origin == "run mobilenet_v3_large_first"
    for network in (trainer.model, trainer.twin):
        assert all(np.array_equal(a, b) for a, b in zip(stored.weights, network.weights, strict=True))
