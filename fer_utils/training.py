"""A run: configuration → resumable fit → recorded result.

Two stages (Keras' transfer-learning guide): first the new head alone on the frozen backbone, then every layer at a
low rate. BatchNorm follows the new data in the second stage: FER2013's small gray faces are far from ImageNet, and the
weights that are evaluated are an exponential moving average (EMA) whose BatchNorm statistics are averaged too.

    python -m fer_utils.training mobilenet_v3_large      # a recipe by name, resumes where it was killed
    python -m fer_utils.training xception_first && python -m fer_utils.training xception      # in two parts
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import calibration, losses, metrics, mixed_layers, models, paths, preprocess
from fer_utils.batches import batches, prefetch, training_set
from fer_utils.checkpoint import Checkpoint
from fer_utils.recipes import RECIPES, Config
from fer_utils.runs import Run, write_run

if TYPE_CHECKING:
    import keras

    from fer_utils.data import Fer

__all__ = ["RECIPES", "Config", "predict", "train"]


def _rate(config: Config, step: int, total: int, per_epoch: int) -> float:
    """Linear warm-up, then cosine to zero."""
    warmup = max(1, int(config.warmup * per_epoch))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, total - warmup)))


class _Trainer:
    """The network, its averaged twin and the optimizer; one compiled step for each stage."""

    def __init__(self, config: Config, counts: np.ndarray) -> None:
        import keras

        self.config = config
        self.precision = mixed_layers.native_precision() if config.precision == "auto" else config.precision
        self.model = models.build(
            models.base_name(config.run),
            weights=None if config.start else config.weights,
            dropout=config.dropout,
            side=config.side,
            precision=self.precision,
            seed=config.seed,
        )
        self.origin = self.model.initial_weights
        if config.start:
            self.model.set_weights(models.load(config.start).get_weights())
            self.origin = f"run {config.start}"
        self.twin = models.build(
            models.base_name(config.run), weights=None, dropout=config.dropout, side=config.side, seed=config.seed
        )
        self.twin.set_weights(self.model.get_weights())
        self.loss = self._loss(counts)
        self.optimizer = keras.optimizers.AdamW(
            config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=config.clip
        )
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimizer.build(self.model.trainable_variables)
        self.step = self._compile(self.model.trainable_variables, self.optimizer, training=True)

    def _loss(self, counts: np.ndarray) -> Callable:
        """targets, logits, the teacher's opinions → one loss a row."""
        config = self.config
        if config.teacher:
            return functools.partial(
                losses.distillation, weight=config.distillation, temperature=config.distillation_temperature
            )
        loss = losses.make(config.loss, counts)
        return lambda targets, logits, _: loss(targets, logits)

    def _compile(self, variables: list, optimizer: keras.Optimizer, *, training: bool):
        import tensorflow as tf

        # Integer state (dropout's seed) has no average.
        pairs = [
            (twin.value, own.value)
            for twin, own in zip(self.twin.weights, self.model.weights, strict=True)
            if twin.dtype.startswith("float")
        ]

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, None, 3]),
                tf.TensorSpec([None, 7]),
                tf.TensorSpec([None, 7]),
                tf.TensorSpec([]),
                tf.TensorSpec([]),
            ],
            jit_compile=False,  # XLA is several times slower than oneDNN on a CPU
        )
        def step(inputs, targets, opinions, rate, decay):
            with tf.GradientTape() as tape:
                logits = self.model(inputs, training=training)
                loss = tf.reduce_mean(self.loss(targets, logits, opinions))
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            optimizer.learning_rate.assign(rate)
            optimizer.apply(gradients, variables)
            for twin, own in pairs:
                twin.assign(decay * twin + (1 - decay) * own)
            hits = tf.reduce_mean(tf.cast(tf.argmax(logits, -1) == tf.argmax(targets, -1), tf.float32))
            return loss, hits

        return step

    def train_head(self, images: np.ndarray, targets: np.ndarray) -> str:
        """Stage one: the backbone is frozen and in inference mode. Returns what came of it, in words."""
        import keras

        config = self.config
        head = self.model.get_layer("logits").trainable_variables
        optimizer = keras.optimizers.Adam(config.head_learning_rate)
        optimizer.build(head)
        step = self._compile(head, optimizer, training=False)
        done = 0
        while done < config.head_steps:
            for batch in batches(config, images, targets, 0):
                loss, hits = step(*batch, np.float32(config.head_learning_rate), np.float32(0))
                done += 1
                if done >= config.head_steps:
                    break
        return f"head alone: {done} steps, last batch: loss {float(loss):.3f}, accuracy {float(hits):.3f}"

    def train_epoch(
        self, images: np.ndarray, targets: np.ndarray, epoch: int, say: Callable[[str], None]
    ) -> dict[str, float]:
        """Stage two: every layer; returns the epoch's mean loss, accuracy and speed."""
        config = self.config
        per_epoch = len(images) // config.batch
        total, losses_, hits_, started = per_epoch * config.epochs, [], [], time.perf_counter()
        for index, batch in enumerate(prefetch(batches(config, images, targets, epoch))):
            number = epoch * per_epoch + index
            decay = min(config.ema, (1 + number) / (10 + number))
            rate = _rate(config, number, total, per_epoch)
            loss, hits = self.step(*batch, np.float32(rate), np.float32(decay))
            losses_.append(float(loss))
            hits_.append(float(hits))
            if index % 100 == 99:
                speed = (index + 1) * config.batch / (time.perf_counter() - started)
                say(
                    f"  epoch {epoch + 1} step {index + 1}/{per_epoch} loss {np.mean(losses_[-100:]):.3f} "
                    f"accuracy {np.mean(hits_[-100:]):.3f} {speed:.0f} images/s"
                )
        if not np.isfinite(losses_).all():
            raise FloatingPointError(f"the loss became {losses_[-1]} in epoch {epoch + 1}: lower learning_rate")
        seconds = time.perf_counter() - started
        return {
            "train_loss": float(np.mean(losses_)),
            "train_accuracy": float(np.mean(hits_)),
            "learning_rate": rate,
            "seconds": seconds,
            "images_per_second": len(losses_) * config.batch / seconds,
        }

    def arrays(self) -> dict[str, list[np.ndarray]]:
        """The whole state, for a checkpoint."""
        groups = {"model": self.model.weights, "twin": self.twin.weights, "optimizer": self.optimizer.variables}
        return {name: [np.asarray(variable) for variable in group] for name, group in groups.items()}

    def restore(self, arrays: dict[str, list[np.ndarray]]) -> None:
        groups = {"model": self.model.weights, "twin": self.twin.weights, "optimizer": self.optimizer.variables}
        for name, group in groups.items():
            for variable, value in zip(group, arrays[name], strict=True):
                variable.assign(value)


def predict(model: keras.Model, images: np.ndarray, *, batch: int = 128) -> np.ndarray:
    """Logits float32 [N, 7] of faces uint8 [N, 48, 48], one forward pass each, in row order."""
    parts = [np.zeros((0, 7), np.float32)]
    for start in range(0, len(images), batch):
        inputs = preprocess.to_inputs(images[start : start + batch])
        parts.append(np.asarray(model.predict_on_batch(inputs)))
    return np.concatenate(parts)


def _pixels(config: Config, fer: Fer) -> Fer:
    """Whole frames, or aligned faces with the whole frame where no face was found."""
    if not config.aligned:
        return fer
    from fer_utils import faces

    return dataclasses.replace(fer, images=faces.align_all(fer.images, faces.load_landmarks(fer))[0])


def train(config: Config, fer: Fer, *, folder: Path | None = None, verbose: bool = True) -> Path:
    """Run `config` to its end, from its last checkpoint when there is one, and record it.

    Fits on Training rows (without those whose image stands in a test split), keeps the epoch with the best PublicTest
    accuracy, calibrates it there (see `calibration`), and predicts PublicTest and PrivateTest once with it.

    Parameters
    ----------
    folder : where the run's folder and its checkpoints go; default models/ and `FER_CHECKPOINTS`.
    verbose : print the progress.

    Returns
    -------
    `models/<run>/` with config.json, history.csv, predictions.npz, metrics.json and model.weights.h5 (float16).
    """
    fer = _pixels(config, fer)
    images, targets = training_set(config, fer)
    public, private = fer.where("PublicTest"), fer.where("PrivateTest")
    trainer = _Trainer(config, np.maximum(1, targets.sum(0)))
    checkpoints = folder / "checkpoints" if folder else paths.checkpoint_dir()
    saved = Checkpoint(checkpoints / config.run, dataclasses.asdict(config))
    history, best = saved.load(trainer)
    say = functools.partial(print, flush=True) if verbose else lambda text: None
    if not history and config.head_steps:
        say(trainer.train_head(images, targets))
    for epoch in range(len(history), config.epochs):
        row = {"epoch": epoch + 1, **trainer.train_epoch(images, targets, epoch, say)}
        scores = metrics.summary(public.labels, metrics.softmax(predict(trainer.twin, public.images)))
        row |= {"public_accuracy": scores["accuracy"], "public_macro_f1": scores["macro_f1"]}
        history.append(row)
        if best is None or row["public_accuracy"] > history[best]["public_accuracy"]:
            best = epoch
            saved.keep_best(trainer.twin)
        saved.save(trainer, history, best)
        say(
            f"epoch {epoch + 1}/{config.epochs}: training loss {row['train_loss']:.3f}, PublicTest "
            f"accuracy {row['public_accuracy']:.4f}, macro-F1 {row['public_macro_f1']:.4f}, "
            f"{row['images_per_second']:.0f} images/s, {row['seconds'] / 60:.1f} min"
        )
    saved.load_best(trainer.twin)
    chosen = calibration.choose(public.labels, predict(trainer.twin, public.images))
    calibration.fold(chosen, trainer.twin)
    logits = {
        "public": predict(trainer.twin, public.images),
        "private": predict(trainer.twin, private.images),
    }
    labels = {"public": public.labels, "private": private.labels}
    facts = {
        "data": "drawn sample" if fer.is_sample else "FER2013",
        "is_sample": fer.is_sample,
        "initial_weights": trainer.origin,
        "precision": trainer.precision,
        "training_rows": len(images),
        "best_epoch": best + 1,
        "calibration": dataclasses.asdict(chosen),
        "parameters": int(trainer.twin.count_params()),
        "mflops": models.mflops(trainer.twin),
        "training_minutes": sum(row["seconds"] for row in history) / 60,
    }
    return write_run(config, history, logits, labels, facts, trainer.twin, folder=folder)


def main(arguments: list[str] | None = None) -> None:
    """Command line: train a recipe, export nothing."""
    import argparse

    from fer_utils import data

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="change the recipe, e.g. batch=32")
    options = parser.parse_args(arguments)
    changes = {key: json.loads(value) for key, value in (item.split("=", 1) for item in options.set)}
    fer = data.load()
    print(data.describe(fer), flush=True)
    folder = train(dataclasses.replace(RECIPES[options.recipe], **changes), fer)
    private = Run(folder.name).metrics["private"]
    print(
        f"{folder}: PrivateTest {private['accuracy']:.4f}, macro-F1 {private['macro_f1']:.4f} (n {private['n']})"
    )


if __name__ == "__main__":
    main()
