"""FER2013 from raw pixels to a label on a live face, in eight rooms.

TensorFlow writes start-up notes from C++ while it is imported, before any of its settings takes effect. After `import
fer_utils`, TensorFlow is imported with file descriptor 2 held back, which is shown after all when the import fails. To
see the notes: TF_CPP_MIN_LOG_LEVEL=0.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

__version__ = "0.1.0"


@contextmanager
def _stderr_held() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; show it after all when the block raises."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class _QuietTensorFlow(MetaPathFinder):
    """Finds TensorFlow as usual, but has it loaded with stderr held back."""

    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if name == "tensorflow" else None
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _stderr_held()(spec.loader.exec_module)
        return spec


# A user's keras.json may name another backend; the models here are TensorFlow's.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow turns oneDNN's kernels on by itself only where the CPU has AVX-512; with AVX2 they are faster too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
    sys.meta_path.insert(0, _QuietTensorFlow())
