"""Keeps TensorFlow's start-up notes (no GPU found, oneDNN is on) out of notebooks and terminals.

They come from C++ while `import tensorflow` runs, before any setting of TensorFlow's takes effect, so the file
descriptor itself is turned away for that moment. To see them: TF_CPP_MIN_LOG_LEVEL=0.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["stderr_held", "tensorflow"]

_STDERR = 2


@contextmanager
def stderr_held() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; show it after all when the block raises."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # a process without stderr has nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)


class _Finder(MetaPathFinder):
    """Finds TensorFlow as usual, but has it loaded with stderr held back."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
                  ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "tensorflow" else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with stderr_held():
                execute(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def tensorflow() -> None:
    """Make a later `import tensorflow`, by whomever, a silent one; not when TF_CPP_MIN_LOG_LEVEL asks for its notes."""
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
