"""`models/manifest.json`: every shipped file with its hash, size, input and output, and what is known about it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from fer_utils import paths
from fer_utils.faces import ModelError

MANIFEST = "manifest.json"
UNLISTED = (MANIFEST, "README.md")
NOT_CLASSIFIERS = "mtcnn_"  # MTCNN's three networks lie in the same folder and name no expression


def available(folder: str | Path | None = None) -> list[str]:
    """Names of the classifiers that `Classifier(name)` can open, in alphabetical order; `folder` is `models/` or given.

    Examples
    --------
    >>> "xception" in available()
    True
    """
    found = Path(folder or paths.models_dir()).glob("*.onnx")
    return sorted(path.stem for path in found if not path.name.startswith((NOT_CLASSIFIERS, ".")))


def manifest(folder: str | Path | None = None) -> dict[str, Any]:
    """What the `manifest.json` of a folder (default `models/`) says; ModelError when it cannot be read.

    It is {"format": 1, "files": {file name: {"sha256", "bytes", …}}}, without files when there is no manifest.

    Examples
    --------
    >>> manifest()["files"]["xception.onnx"]["inputs"]
    {'image': 'float32 [N, 96, 96, 3]'}
    """
    path = Path(folder or paths.models_dir()) / MANIFEST
    if not path.is_file():
        return {"format": 1, "files": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["files"].keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a manifest ({error}); restore it with git") from None
    return content


def update_manifest(folder: str | Path | None = None, *, facts: dict[str, dict[str, Any]] | None = None) -> Path:
    """List every shipped file of a folder (default `models/`) in its manifest, in one step, and return its path.

    `facts`: file name → what to record beside hash, size and (ONNX) inputs and outputs; ValueError when there is no
    such file. A file whose hash has not changed keeps its facts; a changed one loses them: they are of other bytes.

    Examples
    --------
    >>> update_manifest(facts={"xception.onnx": {"run": "xception"}}).name
    'manifest.json'
    """
    folder = Path(folder or paths.models_dir())
    old, facts, found = manifest(folder)["files"], facts or {}, listed(folder)
    if missing := sorted(set(facts) - set(found)):
        raise ValueError(f"facts: must name files in {folder}; got {', '.join(missing)}")
    files = {key: _entry(found[key], old.get(key, {})) | facts.get(key, {}) for key in sorted(found)}
    with paths.atomic(folder / MANIFEST) as temporary:
        text = json.dumps({"format": 1, "files": files}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return folder / MANIFEST


def listed(folder: Path) -> dict[str, Path]:
    """The files of a folder that a manifest lists: name relative to the folder → path; hidden ones and README.md not.

    Weights of a run without an ONNX file are not shipped (.gitignore), and a list that names them fails elsewhere.
    """
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {key: path for key, path in found.items()
            if path.name not in UNLISTED and "/." not in f"/{key}"
            and (path.name != "model.weights.h5" or (folder / f"{path.parent.name}.onnx").is_file())}


def _entry(path: Path, old: dict[str, Any]) -> dict[str, Any]:
    """The old entry of an unchanged file, else a new one."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if old.get("sha256") == digest:
        return old
    return {"sha256": digest, "bytes": len(content)} | (_ports(content) if path.suffix == ".onnx" else {})


def _ports(content: bytes) -> dict[str, dict[str, str]]:
    """Inputs and outputs of an ONNX file: name → type and shape, such as "float32 [N, 96, 96, 3]"."""
    import onnxruntime as ort

    def text(port: ort.NodeArg) -> str:
        return f"{port.type} {port.shape}".replace("tensor(float)", "float32").replace("'", "")

    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    ports = {"inputs": session.get_inputs(), "outputs": session.get_outputs()}
    return {key: {port.name: text(port) for port in values} for key, values in ports.items()}
