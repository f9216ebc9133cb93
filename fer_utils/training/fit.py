"""A run: configuration → resumable fit → recorded result.

Two stages (Keras' transfer-learning guide): first the new head alone on the frozen backbone, then every layer at a
low rate. BatchNorm follows the new data in the second stage: FER2013's small gray faces are far from ImageNet, and the
weights that are evaluated are an exponential moving average (EMA) whose BatchNorm statistics are averaged too.

    python -m fer_utils.training.fit mobilenet_v3_large_votes      # a recipe by name, resumes where it was killed
    python -m fer_utils.training.fit xception_first && python -m fer_utils.training.fit xception      # in two parts
"""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fer_utils import paths
from fer_utils.evaluation import Calibration, metrics
from fer_utils.evaluation.runs import Run, write_run
from fer_utils.faces import preprocess
from fer_utils.models import _build as models
from fer_utils.models.float16 import write_weights
from fer_utils.training import crossfit
from fer_utils.training.checkpoint import Checkpoint
from fer_utils.training.config import RECIPES, Config
from fer_utils.training.dataset import shown, training_set
from fer_utils.training.trainer import Trainer, adapt_statistics

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from fer_utils.data import Fer2013

__all__ = ["RECIPES", "SHARES", "Config", "predict", "train"]

SHARES = (0.0, 0.25, 0.5)  # of the start's weights that `Config.average` tries


def predict(model: keras.Model, images: np.ndarray, *, batch: int = 128) -> np.ndarray:
    """Logits float32 [N, 7] of faces uint8 [N, 48, 48], one forward pass each, in row order."""
    parts = [np.zeros((0, 7), np.float32)]
    for start in range(0, len(images), batch):
        inputs = preprocess.to_inputs(images[start : start + batch])
        parts.append(np.asarray(model.predict_on_batch(inputs)))
    return np.concatenate(parts)


def _pixels(fer: Fer2013, *, aligned: bool) -> Fer2013:
    """Whole frames, or aligned faces with the whole frame where no face was found."""
    if not aligned:
        return fer
    from fer_utils import faces

    return dataclasses.replace(fer, images=faces.align_all(fer.images, faces.load_landmarks(fer))[0])


def _start(config: Config, images: np.ndarray) -> keras.Model:
    """The network that `config` goes on from, as it was when the first epoch began."""
    network = models.load(config.start)
    if config.statistics:
        adapt_statistics(config, network, images)
    return network


def _average(start: keras.Model, end: keras.Model, public: Fer2013) -> dict[float, float]:
    """Mix the weights of `start` into `end`, in place, in the share whose calibrated PublicTest log loss is lowest.

    Two points of one descent lie in one valley, and points between them are often better than either (WiSE-FT,
    Wortsman et al. 2022). Returns the log loss of every share that was tried.
    """
    first, last = start.get_weights(), end.get_weights()
    found = {}
    for share in SHARES:
        end.set_weights(_mixed(first, last, share))
        logits = predict(end, public.images)
        calibrated = metrics.softmax(Calibration.fit(public.labels, logits)(logits))
        found[share] = -float(np.log(calibrated[np.arange(len(public.labels)), public.labels] + 1e-12).mean())
    end.set_weights(_mixed(first, last, min(found, key=found.get)))
    return found


def _mixed(first: list[np.ndarray], last: list[np.ndarray], share: float) -> list[np.ndarray]:
    return [share * a + (1 - share) * b if b.dtype.kind == "f" else b for a, b in zip(first, last, strict=True)]


def train(
    config: Config,
    fer: Fer2013,
    *,
    folder: Path | None = None,
    strategy: tf.distribute.Strategy | None = None,
    verbose: bool = True,
) -> Path:
    """Run `config` to its end, from its last checkpoint when there is one, and record it.

    Fits on Training rows (without those whose image stands in a test split), keeps the epoch with the best PublicTest
    accuracy, calibrates it there (see `calibration`), and predicts PublicTest and PrivateTest once with it. A run on
    one half of the rows judges the other half too (`crossfit`).

    Parameters
    ----------
    folder : where the run's folder and its checkpoints go; default models/ and `FER_CHECKPOINTS`.
    strategy : spreads each batch over devices or machines (see `trainer`); every process calls `train` with the same
        arguments, and the chief alone keeps checkpoints and records the run.
    verbose : print the progress.

    Returns
    -------
    `models/<run>/` with config.json, history.csv, predictions.npz, metrics.json and model.weights.h5 (float16).
    """
    others = training_set(config, _pixels(fer, aligned=not config.aligned))[0] if config.other else None
    fer = _pixels(fer, aligned=config.aligned)
    images, targets = training_set(config, fer)
    public, private = fer.split("PublicTest"), fer.split("PrivateTest")
    trainer = Trainer(config, np.maximum(1, targets.sum(0)), strategy)
    checkpoints = folder / "checkpoints" if folder else paths.checkpoint_dir()
    saved = Checkpoint(checkpoints / config.run, dataclasses.asdict(config))
    history, best = saved.load(trainer) if trainer.chief else ([], None)
    done = trainer.follow_chief(len(history))
    say = functools.partial(print, flush=True) if verbose and trainer.chief else lambda text: None
    if not done and config.statistics:
        say(trainer.take_statistics(images))
    if not done and config.head_steps:
        say(trainer.train_head(images, targets))
    for epoch in range(done, config.epochs):
        faces = images if others is None else shown(config, images, others, epoch)
        row = {"epoch": epoch + 1, **trainer.train_epoch(faces, targets, epoch, say)}
        if not trainer.chief:
            continue
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
    if not trainer.chief:
        return (folder or paths.models_dir()) / config.run
    saved.load_best(trainer.twin)
    shares = _average(_start(config, images), trainer.twin, public) if config.average else {}
    logits = {
        "public": predict(trainer.twin, public.images),
        "private": predict(trainer.twin, private.images),
    }
    labels = {"public": public.labels, "private": private.labels}
    if config.half is not None:
        unseen = crossfit.other_half(fer, config.half)
        logits["unseen"], labels["unseen"] = predict(trainer.twin, unseen.images), unseen.labels
    chosen = Calibration.fit(public.labels, logits["public"])
    chosen.fold_into_head(trainer.twin)
    facts = {
        "data": "drawn sample" if fer.is_sample else "FER2013",
        "is_sample": fer.is_sample,
        "initial_weights": trainer.origin,
        "precision": trainer.precision,
        "training_images": len(images),
        "best_epoch": best + 1,
        "start_shares": {str(share): loss for share, loss in shares.items()},
        "parameters": int(trainer.twin.count_params()),
        "mflops": models.macs(trainer.twin),
        "minutes": sum(row["seconds"] for row in history) / 60,
    }
    run = write_run(
        config.run, config=dataclasses.asdict(config), history=pd.DataFrame(history), logits=logits, labels=labels,
        outcome=facts, calibration=chosen, folder=folder,
    )
    write_weights(trainer.twin, run.folder / "model.weights.h5")
    return run.folder


STRATEGIES = {"mirrored": "MirroredStrategy", "multi_worker": "MultiWorkerMirroredStrategy"}


def _strategy(name: str | None) -> tf.distribute.Strategy | None:
    """It must exist before TensorFlow does anything else."""
    if name is None:
        return None
    import tensorflow as tf

    return getattr(tf.distribute, STRATEGIES[name])()


def main(arguments: list[str] | None = None) -> None:
    """Command line: train a recipe, export nothing."""
    import argparse

    from fer_utils import data

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="change the recipe, e.g. batch=32")
    parser.add_argument("--distribute", choices=sorted(STRATEGIES), help="over all GPUs, or the machines in TF_CONFIG")
    options = parser.parse_args(arguments)
    strategy = _strategy(options.distribute)
    changes = {key: json.loads(value) for key, value in (item.split("=", 1) for item in options.set)}
    fer = data.load()
    print(data.describe(fer), flush=True)
    folder = train(dataclasses.replace(RECIPES[options.recipe], **changes), fer, strategy=strategy)
    if not (folder / "metrics.json").is_file():
        print("the chief has recorded the run")
        return
    private = Run(folder.name).metrics["private"]
    print(
        f"{folder}: PrivateTest {private['accuracy']:.4f}, macro-F1 {private['macro_f1']:.4f} (n {private['n']})"
    )


if __name__ == "__main__":
    main()
