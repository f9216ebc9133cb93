"""The script that makes .venv, as far as it can be tried without the network."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess

import pytest

from fer_utils import paths

SCRIPT = paths.ROOT / "tools" / "setup_venv.py"
spec = importlib.util.spec_from_file_location("setup_venv", SCRIPT)
setup_venv = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup_venv)


def test_every_requirement_is_pinned():
    lines = [line for line in setup_venv.REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    pin = r"[A-Za-z0-9_.-]+==[0-9][\w.]*(; platform_system [!=]= \"\w+\")?"
    assert all(re.fullmatch(pin, line) for line in lines)
    assert len(setup_venv.pins("\n".join(lines))) == len(lines) > 100


def test_windowless_opencv_replaces_the_full_one_in_the_same_version():
    text = "numpy==2.0\n# a note\nopencv-python==5.0.0.93  # windows\npywinpty==3.1; platform_system == \"Windows\"\n"
    rest = ["numpy==2.0", "pywinpty==3.1; platform_system == \"Windows\""]
    assert sorted(setup_venv.wanted(text, headless=False)) == sorted([*rest, "opencv-python==5.0.0.93"])
    assert sorted(setup_venv.wanted(text, headless=True)) == sorted([*rest, "opencv-python-headless==5.0.0.93"])


@pytest.mark.parametrize(("message", "library"), [
    ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "libGL.so.1"),
    ("ImportError: numpy.core.multiarray failed to import", None),
])
def test_missing_library_is_recognized(message, library):
    assert setup_venv.missing_library(message) == library


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_other_pythons_are_refused(version):
    setup_venv.check_version((3, 12, 0))
    with pytest.raises(setup_venv.SetupError, match="Python"):
        setup_venv.check_version((*version, 0))


def test_the_wheel_of_pip_is_the_published_one():
    digest = hashlib.sha256(setup_venv.PIP_WHEEL.read_bytes()).hexdigest()
    assert digest in SCRIPT.read_text()


def test_an_environment_is_made_without_ensurepip_and_repaired_when_broken(tmp_path):
    folder = tmp_path / "venv"
    python = setup_venv.make_environment(folder)
    shown = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True).stdout
    assert f"pip {setup_venv.PIP_WHEEL.name.split('-')[1]} from {folder}" in shown
    marker = folder / "marker"
    marker.touch()
    setup_venv.make_environment(folder)
    assert marker.exists(), "a working environment must be kept"
    python.unlink()
    python.symlink_to(tmp_path / "removed")
    assert not setup_venv.works(python)
    setup_venv.make_environment(folder)
    assert setup_venv.works(python) and not marker.exists()


def test_the_package_is_found_from_anywhere(tmp_path):
    python = setup_venv.make_environment(tmp_path / "venv")
    setup_venv.add_package(python)
    shown = subprocess.run([python, "-c", "import fer_utils; print(fer_utils.__file__)"], cwd=tmp_path,
                           capture_output=True, text=True)
    assert shown.stdout.strip() == str(paths.ROOT / "fer_utils" / "__init__.py"), shown.stderr


def test_make_says_which_python_it_needs(tmp_path):
    (tmp_path / "Makefile").write_text((paths.ROOT / "Makefile").read_text())
    (tmp_path / "tools").mkdir()
    for name in ("requirements.txt", "tools/setup_venv.py"):
        (tmp_path / name).touch()
    result = subprocess.run(["make", ".venv", "PYTHON=/nowhere/python"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode != 0 and not (tmp_path / ".venv").exists()
    assert "Python 3.11, 3.12 or 3.13 is needed" in result.stderr
