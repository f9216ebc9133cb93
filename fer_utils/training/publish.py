"""What models/ ships: recorded runs exported and measured, every file listed with its hash in manifest.json.

    python -m fer_utils.models.onnx_export xception …      export these runs, check them, list everything
    python -m fer_utils.models.onnx_export                 list only: after any other change in models/
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_utils import paths
from fer_utils.evaluation import metrics
from fer_utils.evaluation.runs import Run
from fer_utils.faces import to_inputs
from fer_utils.models import _build as models
from fer_utils.models import onnx_export as export
from fer_utils.models import weights_file
from fer_utils.models.classifier import MANIFEST, Classifier, ModelError, manifest

if TYPE_CHECKING:
    from fer_utils.data import Fer2013

__all__ = ["PARITY", "faces_for", "listed", "ship", "update_manifest"]

PARITY = 1e-4  # largest difference of a probability between Keras and ONNX that is shipped
CHECKED = 256  # faces compared
ALIGNED = "five landmarks, similarity transform"
WHOLE_FRAMES = "none, whole frames"
# What a person writes about the files is not listed, nor is the list itself.
UNLISTED = (MANIFEST, "README.md")


def faces_for(metadata: dict[str, str], fer: Fer2013, *, other: bool = False) -> np.ndarray:
    """uint8 [N, 48, 48]: the faces of `fer` as a model (its file's metadata) wants them, aligned or as they are.

    `other` : the one of the two that it does not want.
    """
    if (metadata.get("alignment", WHOLE_FRAMES) == WHOLE_FRAMES) != other:
        return fer.images
    from fer_utils import faces

    return faces.align_all(fer.images, faces.load_landmarks(fer))[0]


def ship(run: str, fer: Fer2013, *, folder: str | Path | None = None) -> dict[str, Any]:
    """Export a recorded run to `<folder>/<run>.onnx` and list it in the folder's manifest.

    Parameters
    ----------
    run : a finished run with weights, see `runs.recorded`.
    fer : what parity is checked on (256 PrivateTest faces) and, unless it is the drawn sample, what accuracy and
        macro-F1 are measured on: this very file, all PrivateTest rows. On the sample they come from metrics.json.
    folder : default `models/`.

    Returns
    -------
    The file's entry in the manifest.

    Raises
    ------
    FileNotFoundError for a run without result or weights; ModelError when Keras and ONNX differ by more than 1e-4,
    in which case the former file stays.
    """
    recorded, model = Run(run), models.load(run)
    metadata = _metadata(recorded)
    private = fer.split("PrivateTest")
    faces = faces_for(metadata, private)
    path = Path(folder or paths.models_dir()) / f"{run}.onnx"
    with paths.atomic(path) as temporary:
        report = export.to_onnx(model, temporary, name=run, metadata=metadata)
        difference = export.parity(model, temporary, to_inputs(faces[:CHECKED]))
        if not difference <= PARITY:
            raise ModelError(f"run: Keras and ONNX must agree within {PARITY:g}; {run} differs by {difference:.1e}")
    if path.parent == paths.models_dir():
        weights_file.thin(recorded.folder / "model.weights.h5", path, report.halved)
    facts = {
        "run": run,
        "private_test": _scores(path, private, faces, recorded),
        "parity": difference,
        "nodes": {"converted": report.nodes_before, "simplified": report.nodes_after},
    }
    update_manifest(path.parent, facts={path.name: facts})
    return manifest(path.parent)["files"][path.name]


def _metadata(recorded: Run) -> dict[str, Any]:
    config = recorded.config
    return {
        "run": recorded.name,
        "alignment": ALIGNED if config.get("aligned") else WHOLE_FRAMES,
        "trained_on": "drawn sample, not FER2013" if config.get("is_sample") else "FER2013, Training split",
        "initial_weights": str(config.get("initial_weights", "unknown")),
        "seed": config.get("seed"),
    }


def _scores(path: Path, private: Fer2013, faces: np.ndarray, recorded: Run) -> dict[str, Any]:
    if private.is_sample:
        scores, origin = recorded.metrics["private"], "metrics.json of the run"
    else:
        with Classifier(path, check=False) as classifier:
            scores = metrics.summary(private.labels, classifier.predict(to_inputs(faces)))
        origin = "this file on all PrivateTest rows"
    return {"n": scores["n"], "accuracy": scores["accuracy"], "macro_f1": scores["macro_f1"], "measured_by": origin}


def update_manifest(folder: str | Path | None = None, *, facts: dict[str, dict[str, Any]] | None = None) -> Path:
    """List every shipped file of a folder in its manifest: SHA-256, bytes, and what is known about it.

    Parameters
    ----------
    folder : default `models/`. Files in its subfolders are listed as `subfolder/name`, hidden ones and README.md not.
    facts : file name → what to record beside hash, size and (ONNX) inputs and outputs. A file whose hash has not
        changed keeps the facts it had; a changed one loses them, for they were measured on other bytes.

    Returns
    -------
    The manifest's path. It is replaced in one step. Raises ValueError when `facts` names a file that is not there.
    """
    folder = Path(folder or paths.models_dir())
    old, facts = manifest(folder)["files"], facts or {}
    found = listed(folder)
    if missing := sorted(set(facts) - set(found)):
        raise ValueError(f"facts: must name files in {folder}; got {', '.join(missing)}")
    files = {key: _entry(found[key], old.get(key, {}), facts.get(key, {})) for key in sorted(found)}
    with paths.atomic(folder / MANIFEST) as temporary:
        text = json.dumps({"format": 1, "files": files}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return folder / MANIFEST


def listed(folder: Path) -> dict[str, Path]:
    """The files of a folder that a manifest lists: name relative to the folder → path.

    Weights of a run without an ONNX file are not shipped (.gitignore), and a list that names them fails elsewhere.
    """
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        key: path for key, path in found.items()
        if path.name not in UNLISTED and "/." not in f"/{key}"
        and (path.name != "model.weights.h5" or (folder / f"{path.parent.name}.onnx").is_file())
    }


def _entry(path: Path, old: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    entry = old if old.get("sha256") == digest else {}
    if not entry:
        entry = {"sha256": digest, "bytes": len(content)}
        if path.suffix == ".onnx":
            entry |= _ports(content)
    return {**entry, **facts}


def _ports(content: bytes) -> dict[str, dict[str, str]]:
    """Inputs and outputs of an ONNX file: name → type and shape, such as "float32 [N, 96, 96, 3]"."""
    import onnx

    def text(value: Any) -> str:
        tensor = value.type.tensor_type
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        sides = [str(dim.dim_value) if dim.HasField("dim_value") else "free" for dim in tensor.shape.dim]
        sides[0] = "N" if sides[0] == "free" else sides[0]
        return f"{kind} [{', '.join(sides)}]"

    graph = onnx.load_from_string(content).graph
    return {
        "inputs": {value.name: text(value) for value in graph.input},
        "outputs": {value.name: text(value) for value in graph.output},
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the top of this file."""
    import argparse

    from fer_utils import data

    parser = argparse.ArgumentParser(
        prog="python -m fer_utils.models.onnx_export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a folder of models/ with a finished run")
    runs = parser.parse_args(arguments).runs
    if runs:
        fer = data.load()
        print(data.describe(fer), flush=True)
    for run in runs:
        entry = ship(run, fer)
        scores, nodes = entry["private_test"], entry["nodes"]
        print(
            f"{run}.onnx: {entry['bytes'] / 1e6:.1f} MB, {nodes['converted']} → {nodes['simplified']} nodes, Keras and "
            f"ONNX differ by at most {entry['parity']:.1e}, PrivateTest accuracy {scores['accuracy']:.4f}, macro-F1 "
            f"{scores['macro_f1']:.4f} (n {scores['n']:,}; {scores['measured_by']})", flush=True,
        )
    print(f"{update_manifest()}: {len(manifest()['files'])} files")
