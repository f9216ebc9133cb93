"""A real, small run on the drawn sample: it is recorded, and after kill -9 it goes on and loses one epoch at most."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fer_utils import data, paths
from fer_utils.evaluation import runs
from fer_utils.training import crossfit

SMALL = dict(epochs=3, side=72, rows=256, batch=32, head_steps=2, weights=None)
PROGRAM = """
import json, sys
from pathlib import Path
from fer_utils import data
from fer_utils.training.fit import Config, train
train(Config("mobilenet_v3_large_kill", **json.loads(sys.argv[2])), data.load("sample"), folder=Path(sys.argv[1]))
"""


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(folder), json.dumps(SMALL | {"half": 0})], cwd=paths.ROOT, text=True,
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
    assert run.predictions["private"].shape == (len(data.load("sample").split("PrivateTest")), 7)
    assert run.config["is_sample"] and run.config["training_rows"] == 256
    assert run.config["best_epoch"] == 1 + run.history["public_accuracy"].idxmax()
    assert (run.folder / "model.weights.h5").is_file()
    unseen = crossfit.other_half(data.load("sample"), 0)
    assert run.predictions["unseen"].shape == (len(unseen), 7)
    assert np.array_equal(run.predictions["unseen_labels"], unseen.labels)


def test_the_mixture_that_suits_publictest_best_is_taken():
    """Two linear networks: one tells light from dark faces, the other does so the wrong way round."""
    import keras

    from fer_utils.data import Fer2013
    from fer_utils.training.fit import SHARES, _average

    def network(kernel):
        image = keras.Input((96, 96, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image))
        model = keras.Model(image, keras.layers.Dense(7, name="logits")(pooled))
        model.layers[-1].set_weights([np.float32(kernel), np.float32([0, -30, -30, 0, -30, -30, -30])])
        return model

    gray = np.linspace(0, 255, 60).astype(np.uint8)
    labels = np.where(gray > 127, 3, 0)
    images = np.repeat(gray, 48 * 48).reshape(60, 48, 48)
    fer = Fer2013(images, labels, np.ones(60, np.uint8), None, "", True, True, np.arange(60, dtype=np.int32), ())
    right, wrong = np.zeros((3, 7)), np.zeros((3, 7))
    right[:, 3], wrong[:, 3] = 3.0, -1.0
    start, end = network(right), network(wrong)
    found = _average(start, end, fer)
    assert tuple(found) == SHARES and found[0.5] < found[0.25] < found[0.0]
    assert end.layers[-1].get_weights()[0] == pytest.approx((right + wrong) / 2)
    end = network(right)
    found = _average(network(wrong), end, fer)
    assert min(found, key=found.get) == 0.0 and end.layers[-1].get_weights()[0] == pytest.approx(right)


@pytest.mark.parametrize("aligned", [False, True])
def test_an_epoch_shows_both_pictures_of_the_training_faces(aligned, drawn, tmp_path, monkeypatch, capsys):
    from fer_utils import faces
    from fer_utils.training import fit as training
    from fer_utils.training.dataset import training_set

    class Enough(Exception):
        pass

    def stop(self, images, targets, epoch, say):
        seen.append(images)
        raise Enough

    seen = []
    monkeypatch.setattr(training.Trainer, "train_epoch", stop)
    monkeypatch.setattr(faces, "load_landmarks", lambda fer: None)
    monkeypatch.setattr(faces, "align_all", lambda images, found: (255 - images, None))  # told from the whole frame
    changes = SMALL | {"head_steps": 0, "statistics": 16}
    config = training.Config("mobilenet_v3_large", **changes, other=0.25, aligned=aligned)
    with pytest.raises(Enough):
        training.train(config, drawn, folder=tmp_path)
    assert "statistics taken anew on 16 training faces" in capsys.readouterr().out
    whole, _ = training_set(config, drawn)
    is_whole = (seen[0] == whole).all((1, 2))
    assert np.array_equal(seen[0][~is_whole], 255 - whole[~is_whole])
    assert (is_whole if aligned else ~is_whole).mean() == pytest.approx(0.25, abs=0.11)  # four standard deviations
