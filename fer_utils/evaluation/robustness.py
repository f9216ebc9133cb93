"""What a shipped model does beyond one look at each test face; recorded once, because it takes minutes.

    python -m fer_utils.evaluation views xception …         twelve views of each face → models/<run>/views.npz
    python -m fer_utils.evaluation robustness xception …    faces made worse → models/<run>/robustness.json
    python -m fer_utils.evaluation lime xception …          LIME over 40 faces a class → models/<run>/lime.npz

All name the ONNX file's hash, so that results of a former file are recognized.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import faces, paths
from fer_utils.evaluation import corruptions, metrics, tta
from fer_utils.evaluation.runs import Run, write_json
from fer_utils.explain import study as lime_study
from fer_utils.models.classifier import Classifier
from fer_utils.training import publish as shipping

if TYPE_CHECKING:
    import pandas as pd

    from fer_utils.data import Fer2013

__all__ = [
    "CLEAN", "EXPLAINED", "read_lime", "read_robustness", "read_views", "record_lime", "record_robustness",
    "record_views", "robustness",
]

Judge = Callable[[np.ndarray], np.ndarray]
CLEAN = "none"
EXPLAINED = ("Angry", "Disgust", "Surprise")
VIEWS, ROBUSTNESS, LIME = "views.npz", "robustness.json", "lime.npz"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record_views(name: str, fer: Fer2013) -> Path:
    """Judge PrivateTest in twelve views (`tta.predict`) with `models/<name>.onnx`; returns the file.

    PublicTest is left out: it chose the views (`tta`), and would flatter them.
    """
    run = Run(name)
    with Classifier(name) as classifier:
        private = fer.split("PrivateTest")
        both = (shipping.faces_for(classifier.metadata, private, other=other) for other in (False, True))
        found = tta.predict([classifier.predict_faces], *both)
        with paths.atomic(run.folder / VIEWS) as temporary:
            np.savez_compressed(temporary, private=found, model=np.array(_hash(classifier.path)))
    return run.folder / VIEWS


def read_views(name: str) -> dict[str, np.ndarray]:
    """`private`, float32 [N, 7] in row order, and `model`, the ONNX file's SHA-256.

    Raises FileNotFoundError when nothing is recorded.
    """
    with np.load(_there(name, VIEWS, "views"), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def robustness(judge: Judge, images: np.ndarray, labels: np.ndarray, *, seed: int = 2013) -> list[dict[str, object]]:
    """Accuracy on faces as they are (change `CLEAN`, strength 0) and after every change of `corruptions`.

    Parameters
    ----------
    judge : uint8 [N, 48, 48] → probabilities [N, 7]. images, labels : uint8 [N, 48, 48], int [N].
    seed : of the changes; every model sees the same pictures.

    Returns
    -------
    A row each: change, strength, setting (`corruptions.describe`), n, accuracy and macro_f1 with `_low` and `_high`,
    and answers, the class of every face as a digit, in the faces' order.
    """
    kinds = [(CLEAN, 0), *((name, strength) for name in corruptions.NAMES for strength in corruptions.STRENGTHS)]
    rows = []
    for name, strength in kinds:
        faces = corruptions.apply(images, name, strength, seed=seed) if strength else images
        setting = corruptions.describe(name, strength) if strength else "as it is"
        told = judge(faces)
        scores = metrics.summary(labels, told)
        kept = ("n", "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high")
        answers = {"answers": _digits(told.argmax(1))}
        rows.append(
            {"change": name, "strength": strength, "setting": setting} | {key: scores[key] for key in kept} | answers
        )
    return rows


def _digits(classes: np.ndarray) -> str:
    return "".join(map(str, classes))


def _classes(digits: str) -> np.ndarray:
    return np.frombuffer(digits.encode("ascii"), np.uint8).astype(np.int64) - ord("0")


def record_robustness(name: str, fer: Fer2013, *, rows: int | None = None, seed: int = 2013) -> Path:
    """`robustness` of `models/<name>.onnx` on PrivateTest, or on `rows` of its rows drawn by `seed`; returns the file.

    A model of aligned faces has them found and aligned in the changed pictures, as it would in life.
    """
    run, private = Run(name), fer.split("PrivateTest")
    chosen = np.arange(len(private.labels))
    if rows is not None and not 1 <= rows <= len(chosen):
        raise ValueError(f"rows: must lie in 1 … {len(chosen)}; got {rows}")
    chosen = np.sort(np.random.default_rng(seed).permutation(chosen)[:rows])
    with Classifier(name) as classifier:
        judge, digest = classifier.predict_faces, _hash(classifier.path)
        if classifier.metadata.get("alignment") == shipping.ALIGNED:
            judge = _aligning(judge)
        found = robustness(judge, private.images[chosen], private.labels[chosen], seed=seed)
    facts = {"model": digest, "seed": seed, "labels": _digits(private.labels[chosen])}
    write_json(run.folder / ROBUSTNESS, facts | {"results": found})
    return run.folder / ROBUSTNESS


def _aligning(judge: Judge) -> Judge:
    return lambda images: judge(faces.align_all(images, faces.fer_landmarks(images))[0])


def read_robustness(name: str) -> pd.DataFrame:
    """The recorded rows of `robustness`, answers as int [n], with the ONNX file's SHA-256 in `.attrs["model"]` and the
    faces' labels, int [n], in `.attrs["labels"]`.

    Raises FileNotFoundError when nothing is recorded.
    """
    import pandas as pd

    content = json.loads(_there(name, ROBUSTNESS, "robustness").read_text(encoding="utf-8"))
    table = pd.DataFrame(content["results"])
    table["answers"] = table["answers"].map(_classes)
    # A list, since pandas compares attributes when it joins tables.
    table.attrs |= {"model": content["model"], "labels": _classes(content["labels"]).tolist()}
    return table


def record_lime(name: str, fer: Fer2013, *, each: int = 40, samples: int = 400, verbose: bool = False) -> Path:
    """`lime_study.study` of `models/<name>.onnx` on `each` PrivateTest faces of the classes `EXPLAINED`; the file.

    The faces are chosen without the model's help, so that every model is asked about the same ones.
    """
    run, private = Run(name), fer.split("PrivateTest")
    found = faces.load_landmarks(private)
    rows = lime_study.choose_faces(private, found, classes=EXPLAINED, each=each)

    def say(done: int, of: int) -> None:
        if verbose and done % 10 == 0:
            print(f"  {name}: {done}/{of} faces explained", flush=True)

    with Classifier(name) as classifier:
        aligned = classifier.metadata.get("alignment") == shipping.ALIGNED
        result = lime_study.study(
            classifier.predict, private, rows, found, aligned=aligned, samples=samples, progress=say
        )
        with paths.atomic(run.folder / LIME) as temporary:
            np.savez_compressed(temporary, **vars(result), samples=samples, model=np.array(_hash(classifier.path)))
    return run.folder / LIME


def read_lime(name: str) -> tuple[lime_study.Study, dict[str, str]]:
    """The recorded study, and its facts: `samples` a map rests on, `model`, the ONNX file's SHA-256.

    Raises FileNotFoundError when nothing is recorded.
    """
    with np.load(_there(name, LIME, "lime"), allow_pickle=False) as file:
        content = {key: file[key] for key in file.files}
    facts = {key: str(content.pop(key)) for key in ("samples", "model")}
    return lime_study.Study(**content), facts


def _there(name: str, file: str, command: str) -> Path:
    path = Run(name).folder / file
    if not path.is_file():
        raise FileNotFoundError(
            f"name: nothing recorded for {name!r}; run python -m fer_utils.evaluation {command} {name}"
        )
    return path


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the top of this file."""
    import argparse

    from fer_utils import data

    parser = argparse.ArgumentParser(
        prog="python -m fer_utils.evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("views", "robustness", "lime"))
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a shipped model with a recorded run")
    parser.add_argument("--rows", type=int, help="robustness: so many PrivateTest rows (default: all)")
    options = parser.parse_args(arguments)
    fer = data.load()
    print(data.describe(fer), flush=True)
    record = {
        "views": record_views,
        "robustness": functools.partial(record_robustness, rows=options.rows),
        "lime": functools.partial(record_lime, verbose=True),
    }[options.what]
    for run in options.runs:
        print(record(run, fer), flush=True)
    print(shipping.update_manifest())


if __name__ == "__main__":
    main()
