"""The room's public face: light, complete, with examples that run; and its command."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import numpy as np

from fer_utils import data, faces, paths


def test_examples_run():
    for name in ("alignment", "boxes", "landmarks", "mtcnn", "preprocess"):
        module = importlib.import_module(f"fer_utils.faces.{name}")
        result = doctest.testmod(module, extraglobs={"faces": faces, "data": data, "np": np})
        assert result.attempted and not result.failed, name


def test_detection_and_alignment_need_only_light_packages():
    code = (
        "import sys, numpy as np\n"
        "from fer_utils import faces\n"
        "with faces.Detector() as d: d.detect(np.zeros((60, 60, 3), np.uint8))\n"
        "faces.align(np.zeros((60, 60), np.uint8), faces.TEMPLATE)\n"
        "heavy = {'tensorflow', 'keras', 'mtcnn', 'matplotlib', 'pandas', 'scipy', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT, timeout=120)


def test_the_command_keeps_the_stored_landmarks_when_there_is_only_the_sample():
    command = [sys.executable, "-m", "tools.find_landmarks"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "FER_DATA: " in done.stderr
