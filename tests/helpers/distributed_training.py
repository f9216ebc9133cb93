"""Trains a small network on the sample over several devices: `distributed_training.py FOLDER mirrored|multi_worker`.

Leaves FOLDER/<worker>.npz, the weights that this process ends with.
"""

import json
import os
import sys
from pathlib import Path

import tensorflow as tf


def strategy(kind: str) -> tf.distribute.Strategy:
    """It must exist before anything else runs on a device."""
    if kind == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def main(folder: Path, kind: str) -> None:
    shared = strategy(kind)
    import numpy as np

    from fer_utils import data, models
    from fer_utils.training import TrainConfig, train

    statistics = models.reestimate_batchnorm
    worker = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]

    def kept(model, inputs):
        np.savez(folder / f"{worker}.npz", *[np.asarray(weight) for weight in model.weights])
        statistics(model, inputs)

    models.reestimate_batchnorm = kept
    config = TrainConfig("resnet18", init=None, image_size=48, epochs=2, steps_per_epoch=3, batch_size=16)
    train(config, data.load("sample"), folder=folder / "state", strategy=shared, public_only=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
