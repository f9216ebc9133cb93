"""Opening ONNX files, the detector's and the classifiers'; one line says what a file is that is none."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

# How files begin that lie where a network should: what they are, and what to do.
_OTHERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the network itself: run `git lfs pull`",
    b"<": "is a web page, not an ONNX file: download the file itself (its raw address)",
}


class ModelError(ValueError):
    """A model file that is missing, damaged, altered, or not what this project feeds and reads."""


class Closing(AbstractContextManager):
    """What has a `close()` that leaving the `with` block calls; a second call does nothing."""

    def __exit__(self, *_: object) -> None:
        self.close()


def read_network(path: Path) -> bytes:
    """The content of an ONNX file; ModelError when it cannot be read, is empty, or is plainly something else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    begin = content[:1000].lstrip(b"\xef\xbb\xbf \r\n\t")
    if not begin:
        raise ModelError(f"{path} is empty: download it again, or restore it with git")
    if what := next((what for start, what in _OTHERS.items() if begin.startswith(start)), None):
        raise ModelError(f"{path} {what}")
    return content


def open_network(path: Path, content: bytes, threads: int) -> Any:
    """An ONNX Runtime session of what `read_network` gave; ModelError when it is cut off or no ONNX."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads would take the core that reads the camera, draws and writes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights beside the file (PyTorch's model.onnx.data).
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exception types share no public base
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{path} is cut off or no ONNX file ({len(content):,} bytes; {reason}): download it again, or "
                         "restore it with git") from None  # fmt: skip
