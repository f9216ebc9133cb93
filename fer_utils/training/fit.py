"""A run: configuration → Keras' own `fit`, resumable → calibrated, predicted, stored.

Nothing in an epoch depends on what happened before it except the weights and the optimizer: order, augmentation and
dropout are made from (seed, epoch). So a killed run goes on from its last epoch and ends with the same weights.
"""

import contextlib
import dataclasses
import json
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax

from fer_utils import data, evaluation, faces, models, paths
from fer_utils.models import cpu_layers, float16
from fer_utils.training.config import TrainConfig
from fer_utils.training.dataset import Batches, training_set
from fer_utils.training.losses import make_loss

STATE, HISTORY = "state.weights.h5", "history.csv"
CLIPNORM = 1.0  # of the global gradient; keeps the first steps of a fresh head from shaking the backbone
STATISTICS_BATCHES = 40  # for BatchNorm at the end
Logs = dict[str, float] | None


def predict(model: keras.Model, images: np.ndarray, *, batch_size: int = 128) -> np.ndarray:
    """Logits, float32 [N, 7], of gray faces, uint8 [N, 48, 48]."""
    starts = range(0, len(images), batch_size)
    parts = [model.predict_on_batch(faces.to_inputs(images[start : start + batch_size])) for start in starts]
    return np.concatenate(parts)


class _MultiWorkerModel(keras.Model):
    """What `fit` over several machines needs in Keras 3.15 (keras issue 20585)."""

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """The model is built; Keras would reduce a batch over workers that have not met yet."""

    def compute_metrics(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Values of shape [1], which the workers can gather; scalars they cannot."""
        found = super().compute_metrics(*arguments, **named)
        return {name: keras.ops.reshape(value, [1]) for name, value in found.items()}


class _Progress(keras.callbacks.Callback):
    """Adds speed and learning rate to the logs; says a line every half minute and every epoch."""

    def __init__(self, config: TrainConfig, steps: int, say: Callable[[str], None]) -> None:
        super().__init__()
        self.config, self.steps, self.say = config, steps, say
        self.seconds: list[float] = []  # of each epoch, PublicTest included

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch, self.started = epoch, time.perf_counter()
        self.told = self.last = self.started

    def _speed(self, steps: int) -> float:
        return steps * self.config.batch_size / max(1e-9, self.last - self.started)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.last = time.perf_counter()
        if self.last - self.told > 30:
            self.told = self.last
            self.say(f"  epoch {self.epoch + 1} step {batch + 1}/{self.steps}: loss {logs['loss']:.3f}, accuracy "
                     f"{logs['accuracy']:.3f}, {self._speed(batch + 1):.0f} images/s")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.seconds.append(time.perf_counter() - self.started)
        logs |= {"images_per_second": self._speed(self.steps), "seconds": self.seconds[-1],
                 "learning_rate": float(np.asarray(self.model.optimizer.learning_rate))}
        left = np.mean(self.seconds) * (self.config.epochs - epoch - 1) / 60
        public = f"PublicTest accuracy {logs['val_accuracy']:.4f}, " if "val_accuracy" in logs else ""
        self.say(f"epoch {epoch + 1}/{self.config.epochs}: loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.3f}, "
                 f"{public}{logs['images_per_second']:.0f} images/s, {left:.0f} min left")


class _Seeds(keras.callbacks.Callback):
    """Tells data and dropout layers which epoch it is."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.batches.epoch = epoch
        layers = [layer for layer in self.model._flatten_layers() if hasattr(layer, "seed_generator")]
        for number, layer in enumerate(layers):
            layer.seed_generator.state.assign(np.array([self.batches.config.seed + number, epoch], np.uint32))


class _Checkpoint(keras.callbacks.Callback):
    """Stores weights and optimizer in one file, moved into place; the optimizer's `iterations` tell the epoch.

    (Keras' BackupAndRestore writes weights and epoch one after the other; a kill between the two repeats an epoch.)
    """

    def __init__(self, path: Path, *, chief: bool) -> None:
        super().__init__()
        self.path, self.chief = path, chief

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not np.isfinite(logs["loss"]):
            return
        # Every worker saves (variables may need all of them to be read); only the chief's file stays.
        with paths.atomic(self.path) if self.chief else tempfile.TemporaryDirectory() as place:
            self.model.save_weights(place if self.chief else Path(place, STATE), overwrite=True)


def _same_config(config: TrainConfig, folder: Path) -> None:
    """Store the configuration, or make sure that it is the one that the stored state belongs to."""
    path, new = folder / "config.json", json.loads(json.dumps(dataclasses.asdict(config)))
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else new
    if names := ", ".join(name for name in sorted({*old, *new}) if old.get(name) != new.get(name)):
        raise ValueError(f"config: {folder} holds a run with another {names}; delete the folder or choose another run")
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(new, indent=2), encoding="utf-8")


def _resume(model: keras.Model, folder: Path, steps: int) -> int:
    """Load the last stored state, cut the history to it, and return the number of finished epochs."""
    model.optimizer.build(model.trainable_variables)
    if (folder / STATE).is_file():
        model.load_weights(folder / STATE)
    done = int(np.asarray(model.optimizer.iterations)) // steps
    if (folder / HISTORY).is_file():
        lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines(keepends=True)[: done + 1]
        with paths.atomic(folder / HISTORY) as temporary:
            temporary.write_text("".join(lines) if done else "", encoding="utf-8")
    return done


def _build(config: TrainConfig, steps: int, loss: keras.losses.Loss, *, alone: bool,
           workers: bool) -> tuple[keras.Model, str]:
    """The compiled model and the precision of its products."""
    on_device = not keras.distribution.list_devices()[0].lower().startswith("cpu")
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if on_device else cpu_layers.native_precision()
    fast = not (on_device or workers) and keras.backend.backend() == "tensorflow"
    policy = keras.config.dtype_policy()
    if on_device and precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.build(config.backbone, weights=config.init, image_size=config.image_size, seed=config.seed,
                             dropout=config.dropout, precision=precision if fast else None)
    finally:
        keras.config.set_dtype_policy(policy)
    if workers:
        origin, model = model.initial_weights, _MultiWorkerModel(model.inputs, model.outputs, name=model.name)
        model.initial_weights = origin
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    total, warmup = steps * config.epochs, int(steps * config.warmup_epochs)
    peak = {"warmup_target": config.learning_rate, "warmup_steps": warmup} if warmup else {}
    start = config.learning_rate / max(1, warmup)
    schedule = keras.optimizers.schedules.CosineDecay(start, max(1, total - warmup), **peak)
    momentum = max(0.0, min(config.ema_momentum, 1 - 10 / total))  # Keras' moving average has no warm-up
    adamw = cpu_layers.adamw if fast and alone else keras.optimizers.AdamW
    optimizer = adamw(schedule, weight_decay=config.weight_decay, global_clipnorm=CLIPNORM, use_ema=True,
                      ema_momentum=momentum)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=on_device)  # on a CPU oneDNN is faster than XLA
    return model, precision if fast or on_device else "float32"


def train(config: TrainConfig, fer: data.Fer2013, *, folder: Path | None = None, strategy: Any = None,
          public_only: bool = False, verbose: bool = True) -> evaluation.Run | dict[str, Any]:
    """Run `config` to its end, from its last epoch when it was stopped, and store the result in models/runs/.

    Fits on Training, without duplicates of test images; ends with the moving average of the weights after the last
    epoch; re-estimates BatchNorm's statistics for it; calibrates on PublicTest; predicts PublicTest and PrivateTest.

    Parameters
    ----------
    fer : FER2013, unaligned; aligned here where the run wants that.
    folder : where the run's state is kept until it is published; default `FER_CHECKPOINTS`/<run>.
    strategy : a tf.distribute.Strategy, spreads each batch over devices or machines. Every process calls `train` alike,
        and `folder` must be one that all of them see; the chief alone writes.
    public_only : to choose settings: neither predict PrivateTest nor store a run.

    Returns the stored run; with `public_only`, or on a worker that is not the chief, PublicTest's uncalibrated metrics.
    ValueError when `folder` holds another configuration or the batch cannot be divided among the devices,
    FloatingPointError when the loss is not finite.

    Examples
    --------
    >>> run = train(TrainConfig("resnet18", epochs=1, steps_per_epoch=4), data.load("sample"))
    """
    replicas = strategy.num_replicas_in_sync if strategy else 1
    if config.batch_size % replicas:
        raise ValueError(f"batch_size: must be a multiple of the {replicas} devices; got {config.batch_size}")
    workers = getattr(strategy, "cluster_resolver", None)
    chief = not (workers and workers.task_id)
    say = (lambda text: print(text, flush=True)) if verbose and chief else lambda text: None
    folder = folder or paths.checkpoint_dir() / config.run
    if chief:
        _same_config(config, folder)
    if config.aligned:
        fer = dataclasses.replace(fer, images=faces.align_all(fer.images, faces.load_landmarks(fer))[0])
    images, targets = training_set(config, fer)
    loss, class_weights = make_loss(config.loss, np.maximum(1, targets.sum(0)))
    batches = Batches(images, targets, config, class_weights=class_weights)
    public, steps = fer.split("PublicTest"), len(batches)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model, precision = _build(config, steps, loss, alone=not strategy, workers=bool(workers))
        done = _resume(model, folder, steps)
    say(f"{config.run}: {len(images):,} training images, {steps} steps × {config.epochs} epochs in {precision}, "
        f"initial weights {model.initial_weights['name']}" + (f", goes on after epoch {done}" if done else ""))
    callbacks = [
        _Seeds(batches), keras.callbacks.SwapEMAWeights(), keras.callbacks.TerminateOnNaN(),
        _Progress(config, steps, say), *([keras.callbacks.CSVLogger(folder / HISTORY, append=True)] if chief else []),
        _Checkpoint(folder / STATE, chief=chief),
    ]
    options = {"epochs": config.epochs, "initial_epoch": done, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    if not strategy:
        validation = faces.to_inputs(public.images), np.eye(7, dtype=np.float32)[public.labels]
        options |= {"validation_data": validation, "validation_batch_size": 128}
    if keras.backend.backend() == "tensorflow":
        fitted = model.fit(_tf_batches(batches, done), steps_per_epoch=steps, **options)
    else:
        fitted = model.fit(batches, **options)
    if not np.isfinite(fitted.history.get("loss", [0])).all():
        raise FloatingPointError(f"learning_rate: the loss must stay finite; lower {config.learning_rate}")
    final = models.build(config.backbone, weights=None, image_size=config.image_size, dropout=config.dropout)
    final.set_weights(model.get_weights())
    batches.epoch = config.epochs
    models.reestimate_batchnorm(final, (batches[index][0] for index in range(min(steps, STATISTICS_BATCHES))))
    logits = predict(final, public.images)
    scores = evaluation.summary(public.labels, softmax(logits, axis=1))
    say(f"PublicTest, uncalibrated, single crop: accuracy {scores['accuracy']:.4f}, macro-F1 {scores['macro_f1']:.4f} "
        f"(n {len(public):,})")
    if public_only or not chief:
        return scores
    history = pd.read_csv(folder / HISTORY).rename(columns=lambda name: name.replace("val_", "public_"))
    outcome = {
        "data": "synthetic sample" if fer.is_sample else "FER2013", "is_sample": fer.is_sample,
        "training_images": len(images), "initial_weights": model.initial_weights, "precision": precision,
        "public_uncalibrated": {name: scores[name] for name in ("accuracy", "macro_f1")},
        "parameters": final.count_params(), "m_macs": models.macs(final),
        "minutes": round(float(history["seconds"].sum()) / 60, 1), **_environment(),
    }
    calibration = evaluation.Calibration.fit(public.labels, logits)
    return _store(config, fer, final, history.assign(epoch=history["epoch"] + 1), calibration, outcome)


def _tf_batches(batches: Batches, first_epoch: int) -> Any:
    """The batches of all epochs to come as a tf.data.Dataset, faster by a fifth: TensorFlow knows their shape."""
    import tensorflow as tf

    specs = [tf.TensorSpec(array.shape, array.dtype) for array in batches.make(first_epoch, 0)]

    def make(number: np.int64) -> tuple[np.ndarray, ...]:
        return batches.make(*divmod(int(number), len(batches)))

    def load(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(make, [number], [spec.dtype for spec in specs])
        return tuple(tf.ensure_shape(array, spec.shape) for array, spec in zip(arrays, specs, strict=True))

    return tf.data.Dataset.counter(first_epoch * len(batches)).map(load, num_parallel_calls=2).prefetch(4)


def _store(config: TrainConfig, fer: data.Fer2013, final: keras.Model, history: pd.DataFrame,
           calibration: evaluation.Calibration, outcome: dict[str, Any]) -> evaluation.Run:
    """Write the calibrated weights as they will ship, in float16, and predict with exactly these."""
    calibration.fold_into_head(final)
    path = paths.models_dir() / "runs" / config.run / "model.weights.h5"
    float16.write_weights(final, path)
    float16.read_weights(final, path)
    splits = {"public": fer.split("PublicTest"), "private": fer.split("PrivateTest")}
    return evaluation.write_run(
        config.run, config=dataclasses.asdict(config), history=history, calibration=calibration, outcome=outcome,
        logits={name: calibration.inverse(predict(final, split.images)) for name, split in splits.items()},
        labels={name: split.labels for name, split in splits.items()},
    )


def _environment() -> dict[str, Any]:
    """Commit, versions and device, so that a run can be made again."""
    try:
        git = ["git", "-C", str(paths.ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # not a checkout
        commit = None
    info = Path("/proc/cpuinfo")
    cpu = re.findall(r"model name\s*: (.*)", info.read_text(encoding="utf-8")) if info.is_file() else []
    versions = {"python": platform.python_version(), "keras": keras.__version__, "numpy": np.__version__}
    return {"commit": commit, "versions": versions, "backend": keras.backend.backend(), "cpu": (cpu or [None])[0],
            "devices": keras.distribution.list_devices()}
