"""What `pip install` leaves: declared dependencies, the wheel's contents, and fer-realtime without the checkout."""

import ast
import csv
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fer_utils import paths
from tools import check_requirements, setup_venv

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
LINUX = check_requirements.SYSTEMS["linux"][1] | {"python_version": "3.11"}


def declared():
    """Every requirement of pyproject.toml but the project itself."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]


def test_declared_versions_admit_the_pinned_ones():
    pins = {pin.name: next(iter(pin.specifier)).version for pin in check_requirements.pinned(LINUX)}
    assert [str(need) for need in declared() if not need.specifier.contains(pins.get(need.name, "0"))] == []


def test_every_import_of_the_package_is_declared():
    names = {canonicalize_name(need.name) for need in declared()} | {"tensorflow-text"}
    owners = packages_distributions() | {"cv2": ["opencv-python"]}
    # For rare forms of data there are pyarrow and pillow_heif: an error or a note says when they are missing.
    exempt = {"fer_utils", "pyarrow", "pillow_heif", *sys.stdlib_module_names}
    missing = set()
    for file in (paths.ROOT / "fer_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in {name.partition(".")[0] for name in imported} - exempt:
                if not names & {canonicalize_name(owner) for owner in owners.get(name, ())}:
                    missing.add(f"{file.name}: {name}")
    assert missing == set()


@pytest.mark.parametrize(("needs", "problems"), [
    (['b>=2; python_version >= "3.11"', 'c; sys_platform == "win32"', 'd; extra == "more"'], 0),
    (["a>=3"], 1),
    (["missing"], 1),
    (["a[more]"], 1),
])
def test_unmet_needs_of_wheels_are_found(needs, problems):
    pins = [Requirement("a==1"), Requirement("b==2.1")]
    wheels = [{"name": "a", "requires_dist": ['d; extra == "more"']}, {"name": "b", "requires_dist": needs}]
    assert len(check_requirements.unmet(pins, wheels, LINUX)) == problems


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The project's wheel, built from a copy: setuptools leaves its build folder beside the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(paths.ROOT / "fer_utils", source / "fer_utils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(paths.ROOT / "models", source / "models", ignore=shutil.ignore_patterns("runs"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(paths.ROOT / name, source)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, source], check=True)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_package_and_the_light_model(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    source = paths.ROOT / "fer_utils"
    files = {path.relative_to(paths.ROOT).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= held
    shipped = {name.rpartition("/")[2] for name in held if name.startswith("fer_utils/shipped/")}
    networks = {f"mtcnn_{name}.onnx" for name in ("pnet", "rnet", "onet")}
    assert shipped == {"manifest.json", "mobilenet_v3_large.onnx"} | networks


@pytest.mark.slow
def test_installed_demo_labels_the_clip_from_any_folder(wheel, tmp_path):
    python = setup_venv.make_environment(tmp_path / "venv")
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
    files = (path for path in (tmp_path / "venv").rglob("*") if path.is_file() and not path.is_symlink())
    assert sum(path.stat().st_size for path in files) < 600e6
    variables = {name: value for name, value in os.environ.items() if not re.match("FER_|PYTHONPATH", name)}
    (tmp_path / "elsewhere").mkdir()
    shown = subprocess.run(
        [python.parent / "fer-realtime", "--source", "clip", "--headless", "--csv", "faces.csv"],
        cwd=tmp_path / "elsewhere", env=variables | {"HOME": str(tmp_path)}, capture_output=True, text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert os.listdir(tmp_path / "elsewhere") == ["faces.csv"]
    with (tmp_path / "elsewhere/faces.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100 and sum("Happy" in row.values() for row in rows) > 0.9 * len(rows)
