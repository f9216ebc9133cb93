"""A teacher's opinion of augmented training faces, asked once for all its students (knowledge distillation).

Teacher and student must see the same view of a face (Beyer et al. 2022): what the teacher says of the whole face is
wrong for the view whose mouth was erased. A large teacher's answer costs more than a small student's training step, so
a fixed number of views is judged once and the answers are stored; the views themselves are made again from their seed.

    python -m fer_utils.training.teacher xception --views 8      # beforehand; otherwise the first student's run does it
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from fer_utils import paths
from fer_utils.models.classifier import Classifier
from fer_utils.training.augmentation import Augmentation, augment

__all__ = ["opinions", "view"]

LEAST = 1e-7  # probability; below it float32's rounding decides


def view(images: np.ndarray, number: int, strengths: Augmentation, *, seed: int = 2013) -> np.ndarray:
    """View `number` of the faces uint8 [N, 48, 48]: augmented, the same whenever it is asked for."""
    return augment(images, strengths, np.random.default_rng([seed, 0x7EAC, number]))


def opinions(
    teacher: str,
    images: np.ndarray,
    number: int,
    strengths: Augmentation,
    *,
    seed: int = 2013,
    folder: Path | None = None,
) -> np.ndarray:
    """The teacher's logits for `view(images, number, strengths, seed=seed)`, computed or read from the disk.

    Parameters
    ----------
    teacher : a shipped model's name, or several joined by "+", whose probabilities are averaged.
    images : uint8 [N, 48, 48], before augmentation.
    folder : where answers are kept; default `teacher/` in the checkpoint folder. The file's name holds a hash of
        everything that they depend on, the models' bytes included.

    Returns
    -------
    float32 [N, 7]: logarithms of probabilities, which are logits up to a constant of each row.

    Raises
    ------
    ModelError when there is no such model.
    """
    classifiers = [Classifier(name) for name in teacher.split("+")]
    try:
        digest = hashlib.sha256(repr((sorted(strengths.items()), seed, number, images.shape)).encode())
        digest.update(np.ascontiguousarray(images))
        for classifier in classifiers:
            digest.update(classifier.path.read_bytes())
        path = (folder or paths.checkpoint_dir() / "teacher") / f"{teacher}-{number}-{digest.hexdigest()[:16]}.npy"
        if path.is_file():
            return np.load(path, allow_pickle=False)
        faces = view(images, number, strengths, seed=seed)
        answers = np.mean([each.predict_faces(faces) for each in classifiers], axis=0, dtype=np.float32)
        logits = np.log(np.maximum(answers, LEAST))
        with paths.atomic(path) as temporary, open(temporary, "wb") as file:
            np.save(file, logits)
        return logits
    finally:
        for classifier in classifiers:
            classifier.close()


def main(arguments: list[str] | None = None) -> None:
    """Command line: judge the training rows' views."""
    import argparse
    import time

    from fer_utils import data

    parser = argparse.ArgumentParser(
        prog="python -m fer_utils.training.teacher", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("teacher", help='a shipped model, or several joined by "+"')
    parser.add_argument("--views", type=int, default=8, help="how many (default %(default)s, as in training.Config)")
    options = parser.parse_args(arguments)
    fer = data.load()
    images = fer.images[data.training_indices(fer)]
    for number in range(options.views):
        start = time.perf_counter()
        opinions(options.teacher, images, number, Augmentation())
        seconds = time.perf_counter() - start
        print(f"view {number + 1}/{options.views}: {len(images):,} faces, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
