"""Trains a small network on the sample and kills itself with -9 where asked: `killed_training.py FOLDER MOMENT`.

MOMENT: never, epoch (during the second one), checkpoint (half of the second one is written), end (after the last).
Unless it is killed, it leaves FOLDER/weights.npz.
"""

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from fer_utils import data, models
from fer_utils.training import TrainConfig, train

CONFIG = TrainConfig("resnet18", init=None, image_size=48, epochs=3, steps_per_epoch=3, batch_size=8)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, moment: str) -> None:
    save, statistics = keras.Model.save_weights, models.reestimate_batchnorm

    def half_saved(self, filepath, **options):
        save(self, filepath, **options)
        if int(np.asarray(self.optimizer.iterations)) == 2 * CONFIG.steps_per_epoch:
            os.truncate(filepath, os.path.getsize(filepath) // 2)
            die()

    class InEpoch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(np.asarray(self.model.optimizer.iterations)) == CONFIG.steps_per_epoch + 2:
                die()

    def at_the_end(model, inputs):
        if moment == "end":
            die()
        statistics(model, inputs)
        np.savez(folder / "weights.npz", *[np.asarray(weight) for weight in model.weights])

    if moment == "checkpoint":
        keras.Model.save_weights = half_saved
    if moment == "epoch":
        fit = keras.Model.fit
        keras.Model.fit = lambda self, *a, callbacks, **k: fit(self, *a, callbacks=[*callbacks, InEpoch()], **k)
    models.reestimate_batchnorm = at_the_end
    train(CONFIG, data.load("sample"), folder=folder / "state", public_only=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
