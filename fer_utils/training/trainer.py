"""The network in training: its averaged twin, the optimizer, one compiled step, an epoch. On one machine or several.

With a `tf.distribute` strategy every replica works on its part of the same batch; gradients and BatchNorm's statistics
are averaged over the replicas after each step, so that all of them hold the same weights at any time.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.faces import preprocess
from fer_utils.models import _build as models
from fer_utils.models import cpu_layers as mixed_layers
from fer_utils.training import losses
from fer_utils.training.dataset import Batch, batches, prefetch, steps

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from fer_utils.training.config import Config

__all__ = ["Trainer", "adapt_statistics", "rate"]


def rate(config: Config, step: int, total: int, per_epoch: int) -> float:
    """The learning rate of a step: linear warm-up, then cosine to zero."""
    warmup = max(1, int(config.warmup * per_epoch))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, total - warmup)))


def adapt_statistics(config: Config, network: keras.Model, images: np.ndarray) -> int:
    """Take `network`'s BatchNorm statistics anew, in place, on `config.statistics` of the faces uint8 [N, 48, 48].

    Returns the number of faces. The same configuration always takes the same ones.
    """
    count = min(config.statistics, len(images))
    rows = np.random.default_rng(config.seed).permutation(len(images))[:count]
    parts = np.array_split(rows, max(1, count // config.batch))
    models.reestimate_batchnorm(network, (preprocess.to_inputs(images[part]) for part in parts))
    return count


class Trainer:
    """The network, its averaged twin and the optimizer; one compiled step for each stage.

    Parameters
    ----------
    config : the run. counts : float [7], training rows of each class, for losses that need them.
    strategy : spreads each batch over devices or machines; None for this process alone.

    Attributes
    ----------
    model, twin : the network that learns, and the moving average of its weights, which is the one to judge.
    origin : where the initial weights came from. precision : what the products are computed in.
    chief : whether this process is the one that records (always so on a single machine).

    Raises
    ------
    ValueError when the batch cannot be divided among the replicas.
    """

    def __init__(self, config: Config, counts: np.ndarray, strategy: tf.distribute.Strategy | None = None) -> None:
        import keras
        import tensorflow as tf

        self.config = config
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        if config.batch % self.replicas:
            raise ValueError(f"batch: must be a multiple of the {self.replicas} replicas; got {config.batch}")
        resolver = getattr(self.strategy, "cluster_resolver", None)
        self.worker = (resolver.task_id or 0) if resolver else 0
        self.chief = self.worker == 0
        self.precision = mixed_layers.native_precision() if config.precision == "auto" else config.precision
        start = models.load(config.start).get_weights() if config.start else None
        with self.strategy.scope():
            self.model = self._build(weights=None if config.start else config.weights, precision=self.precision)
            if config.frozen:
                models.freeze(self.model, config.frozen)
            self.optimizer = keras.optimizers.AdamW(
                config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=config.clip / self.replicas
            )
            self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            self.optimizer.build(self.model.trainable_variables)
        self.origin = f"run {config.start}" if config.start else self.model.initial_weights["name"]
        if start:
            self.model.set_weights(start)
        self.twin = self._build(weights=None, precision=None)
        self.twin.set_weights(self.model.get_weights())
        self.loss = self._loss(counts)
        self.step = self._compile(self.model.trainable_variables, self.optimizer, training=True)

    def _build(self, *, weights: str | None, precision: str | None) -> keras.Model:
        config = self.config
        return models.build(
            models.base_name(config.run),
            weights=weights,
            dropout=config.dropout,
            image_size=config.side,
            precision=precision,
            seed=config.seed,
        )

    def _loss(self, counts: np.ndarray) -> Callable:
        """targets, logits, the teacher's opinions → one loss a row."""
        config = self.config
        if config.teacher:
            return functools.partial(
                losses.distillation, weight=config.distillation, temperature=config.distillation_temperature
            )
        loss = losses.make(config.loss, counts)
        return lambda targets, logits, _: loss(targets, logits)

    def _compile(self, variables: list, optimizer: keras.Optimizer, *, training: bool) -> Callable:
        import tensorflow as tf

        # Integer state (dropout's seed) has no average.
        pairs = [
            (twin.value, own.value)
            for twin, own in zip(self.twin.weights, self.model.weights, strict=True)
            if twin.dtype.startswith("float")
        ]
        statistics = [w.value for w in self.model.non_trainable_weights if w.dtype.startswith("float")]

        def replica(inputs, targets, opinions):
            with tf.GradientTape() as tape:
                logits = self.model(inputs, training=training)
                loss = tf.reduce_mean(self.loss(targets, logits, opinions))
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            hits = tf.reduce_mean(tf.cast(tf.argmax(logits, -1) == tf.argmax(targets, -1), tf.float32))
            if self.replicas > 1:
                mean = functools.partial(tf.distribute.get_replica_context().all_reduce, tf.distribute.ReduceOp.MEAN)
                # The optimizer adds up what the replicas hand it; each hands in its share of the mean.
                gradients = [gradient / self.replicas for gradient in mean(gradients)]
                if training:
                    for variable, value in zip(statistics, mean([tf.identity(s) for s in statistics]), strict=True):
                        variable.assign(value)
                loss, hits = mean([loss, hits])
            optimizer.apply(gradients, variables)
            return loss, hits

        @tf.function(jit_compile=False)  # XLA is several times slower than oneDNN on a CPU
        def step(inputs, targets, opinions, rate, decay):
            optimizer.learning_rate.assign(rate)
            results = self.strategy.run(replica, args=(inputs, targets, opinions))
            for twin, own in pairs:
                twin.assign(decay * twin + (1 - decay) * own)
            return [self.strategy.experimental_local_results(result)[0] for result in results]

        return lambda batch, rate, decay: step(*self._share(batch), tf.constant(rate), tf.constant(decay))

    def _share(self, batch: Batch) -> list:
        """This process's part of a batch, for each of its replicas."""
        if self.replicas == 1:
            return [*batch]
        local, size = len(self.strategy.extended.worker_devices), self.config.batch // self.replicas
        first = self.worker * local
        if local == 1:
            return [array[first * size : (first + 1) * size] for array in batch]

        def part(array: np.ndarray, number: int) -> np.ndarray:
            return array[(first + number) * size : (first + number + 1) * size]

        return [
            self.strategy.experimental_distribute_values_from_function(
                lambda context, array=array: part(array, context.replica_id_in_sync_group % local)
            )
            for array in batch
        ]

    def follow_chief(self, done: int) -> int:
        """Take over the chief's weights and optimizer; `done`: epochs behind this process. Returns the chief's number.

        Only the chief keeps checkpoints, so that workers need no common disk and cannot disagree after a kill.
        """
        import tensorflow as tf

        if not getattr(self.strategy, "cluster_resolver", None):
            return done
        variables = [
            v.value
            for v in (*self.model.weights, *self.twin.weights, *self.optimizer.variables)
            if v.dtype.startswith("float") or v is self.optimizer.iterations
        ]
        mine = 1.0 if self.chief else 0.0

        def replica(number):
            values = [tf.cast(value, tf.float32) * mine for value in (number, *variables)]
            summed = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
            for variable, value in zip(variables, summed[1:], strict=True):
                variable.assign(tf.cast(value, variable.dtype))
            return summed[0]

        agreed = tf.function(lambda number: self.strategy.run(replica, args=(number,)))(tf.constant(float(done)))
        return int(self.strategy.experimental_local_results(agreed)[0])

    def take_statistics(self, images: np.ndarray) -> str:
        """BatchNorm's statistics anew (`adapt_statistics`). Returns a line about it.

        On the twin, whose layers are Keras' own and none of which `frozen` stops from following.
        """
        count = adapt_statistics(self.config, self.twin, images)
        self.model.set_weights(self.twin.get_weights())
        return f"BatchNorm's statistics taken anew on {count} training faces"

    def train_head(self, images: np.ndarray, targets: np.ndarray) -> str:
        """Stage one: the backbone is frozen and in inference mode. Returns what came of it, in words."""
        import keras

        config = self.config
        head = self.model.get_layer("logits").trainable_variables
        with self.strategy.scope():
            optimizer = keras.optimizers.Adam(config.head_learning_rate)
            optimizer.build(head)
        step = self._compile(head, optimizer, training=False)
        done = 0
        while done < config.head_steps:
            for batch in batches(config, images, targets, 0):
                loss, hits = step(batch, config.head_learning_rate, 0.0)
                done += 1
                if done >= config.head_steps:
                    break
        return f"head alone: {done} steps, last batch: loss {float(loss):.3f}, accuracy {float(hits):.3f}"

    def train_epoch(
        self, images: np.ndarray, targets: np.ndarray, epoch: int, say: Callable[[str], None]
    ) -> dict[str, float]:
        """Stage two: every layer; returns the epoch's mean loss, accuracy and speed."""
        config = self.config
        per_epoch = steps(config, len(images))
        total, losses_, hits_, started = per_epoch * config.epochs, [], [], time.perf_counter()
        for index, batch in enumerate(prefetch(batches(config, images, targets, epoch))):
            number = epoch * per_epoch + index
            current = float(rate(config, number, total, per_epoch))
            loss, hits = self.step(batch, current, min(config.ema, (1 + number) / (10 + number)))
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
            "learning_rate": current,
            "seconds": seconds,
            "images_per_second": len(losses_) * config.batch / seconds,
        }

    def arrays(self) -> dict[str, list[np.ndarray]]:
        """The whole state, for a checkpoint."""
        groups = {"model": self.model.weights, "twin": self.twin.weights, "optimizer": self.optimizer.variables}
        return {name: [np.asarray(variable) for variable in group] for name, group in groups.items()}

    def restore(self, arrays: dict[str, list[np.ndarray]]) -> None:
        """Put the state of `arrays` back."""
        groups = {"model": self.model.weights, "twin": self.twin.weights, "optimizer": self.optimizer.variables}
        for name, group in groups.items():
            for variable, value in zip(group, arrays[name], strict=True):
                variable.assign(value)
