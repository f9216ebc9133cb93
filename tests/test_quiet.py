"""TensorFlow's start-up notes: held back, but never an error's message."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import fer_utils
from fer_utils import paths


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"PYTHONPATH": str(paths.ROOT)} | variables
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_tensorflow_starts_without_a_word():
    result = python("import fer_utils, tensorflow as tf; print(int(tf.constant(1) + 1))")
    assert (result.stdout, result.stderr, result.returncode) == ("2\n", "", 0)


def test_the_notes_can_be_seen_on_request():
    result = python("import fer_utils, tensorflow", TF_CPP_MIN_LOG_LEVEL="0")
    assert result.returncode == 0 and "oneDNN" in result.stderr


def test_a_failing_import_still_says_why(tmp_path):
    code = "import os\nos.write(2, b'said below Python')\nraise ImportError('broken')\n"
    (tmp_path / "tensorflow.py").write_text(code)
    result = python("import fer_utils, tensorflow", PYTHONPATH=f"{tmp_path}{os.pathsep}{paths.ROOT}")
    assert result.returncode == 1
    assert "said below Python" in result.stderr and "ImportError: broken" in result.stderr


def test_importing_the_package_imports_nothing_heavy():
    result = python("import sys, fer_utils; print(sorted({'tensorflow', 'numpy', 'cv2', 'pandas'} & set(sys.modules)))")
    assert result.stdout == "[]\n"


def test_stderr_is_given_back(capfd):
    with fer_utils._stderr_held():
        os.write(2, b"held")
    os.write(2, b"shown")
    with pytest.raises(ValueError), fer_utils._stderr_held():
        os.write(2, b" and explained")
        raise ValueError
    assert capfd.readouterr().err == "shown and explained"
