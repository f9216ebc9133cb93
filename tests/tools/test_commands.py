"""Every command's --help only helps; `make` copes with a folder's name that has a space."""

import os
import subprocess
import sys

import pytest

from fer_utils import paths

FILES = [*paths.ROOT.glob("fer_utils/*/__main__.py"), *paths.ROOT.glob("tools/**/*.py")]
COMMANDS = sorted(
    ".".join(file.relative_to(paths.ROOT).with_suffix("").parts).removesuffix(".__main__")
    for file in FILES if '__name__ == "__main__"' in file.read_text(encoding="utf-8")
)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_only_helps(tmp_path, name):
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "FER_MODELS": str(tmp_path), "FER_CACHE": str(tmp_path)}
    command = [sys.executable, "-X", "importtime", "-m", name, "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("usage: ")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported and not imported & {"tensorflow", "keras", "torch", "kagglehub"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["run", "demo", "clean"])
def test_make_keeps_a_folder_with_a_space_together(target):
    done = subprocess.run(
        ["make", "-n", target, "OUT=my out", "SOURCE=clip", "SCREEN="], cwd=paths.ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if "my out" in line and "echo" not in line]
    assert lines and all(line.count('"my out') == line.count("my out") for line in lines)
