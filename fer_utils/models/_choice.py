"""Which classifier real time takes when none is named, and what there is to choose from."""

from collections.abc import Iterator

import numpy as np

from fer_utils import paths
from fer_utils.faces import ModelError
from fer_utils.models._manifest import available, manifest
from fer_utils.models.classifier import Classifier

# Most suitable first: the first that is there is taken, but for a camera or stream the second on a machine where the
# first needs more than SLOW milliseconds a face, too many for 15 frames a second.
PREFERRED = ("xception", "mobilenet_v3_large", "efficientnet_b0", "resnet18")
SLOW = 50.0


def preferred() -> list[str]:
    """Names of the classifiers in models/, most suitable first; ModelError when there is none."""
    if there := available():
        return [*(name for name in PREFERRED if name in there), *(name for name in there if name not in PREFERRED)]
    raise ModelError("model: there is no classifier in models/; train one (notebook 04) and export it (notebook 07)")


def suitable(*, live: bool = False, **options: object) -> Classifier:
    """Open the classifier for who names none; `options` as for `Classifier`.

    Examples
    --------
    >>> with suitable(live=True, threads=2) as classifier:
    ...     print(classifier.path.stem)
    """
    first, *others = preferred()
    classifier = Classifier(first, **options)
    if live and others and np.median(classifier.latency(3)) > SLOW:
        classifier.close()
        return Classifier(others[0], **options)
    return classifier


def overview(*, threads: int = 0) -> Iterator[str]:
    """The classifiers in models/, a line each: accuracy on PrivateTest, milliseconds a face measured now, megabytes."""
    yield f"{'model':<24}{'PrivateTest':>12}{'ms a face':>12}{'MB':>8}"
    for name in preferred():
        scores = manifest()["files"].get(f"{name}.onnx", {}).get("private_test", {})
        accuracy = f"{100 * scores['accuracy']:.1f} %" if scores else "–"
        megabytes = (paths.models_dir() / f"{name}.onnx").stat().st_size / 1e6
        with Classifier(name, threads=threads, own=()) as classifier:
            milliseconds = np.median(classifier.latency(20))
        yield f"{name:<24}{accuracy:>12}{milliseconds:>12.1f}{megabytes:>8.1f}"
