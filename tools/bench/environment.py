"""The other packages' environments: `python -m tools.bench.environment [FOLDER]`, by default in .venv-bench.

Each file in requirements/ beside this one is an environment, for packages that do not agree with the others. Every
version is fixed, and packages are installed without looking at what they ask for: facenet-pytorch allows only versions
of NumPy and PyTorch that today's TensorFlow and Python do not go with, yet it works with newer ones. What cannot be
installed is left out; the benchmark then says who does not start.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tools import setup_venv

__all__ = ["FOLDER", "REQUIREMENTS", "interpreter", "main", "wanted"]

# Name of an environment → its packages.
REQUIREMENTS = {file.stem: file for file in sorted(Path(__file__).with_name("requirements").glob("*.txt"))}
FOLDER = setup_venv.ROOT / ".venv-bench"


def interpreter(name: str, folder: Path = FOLDER) -> Path:
    """The Python of an environment; this one for "", our own."""
    return folder / name / "bin" / "python" if name else Path(sys.executable)


def wanted(text: str) -> list[str]:
    """The requirements in a file's text, comments and blank lines left out."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def install(python: Path, packages: list[str]) -> list[str]:
    """Install packages, all at once or, when that fails, one after the other; returns those that failed."""
    command = (python, "-m", "pip", "install", "-q", "--no-deps")
    if not setup_venv.run(*command, *packages).returncode:
        return []
    setup_venv.say("not everything could be installed at once; trying one by one")
    return [package for package in packages if setup_venv.run(*command, package).returncode]


def main(arguments: list[str]) -> int:
    """Make the environments; 1 when something is missing in one (the benchmark runs all the same)."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.environment", description=__doc__.split(":")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="(default: .venv-bench)")
    folder, failed = parser.parse_args(arguments).folder.resolve(), []
    for name, file in REQUIREMENTS.items():
        try:
            setup_venv.check_version(sys.version_info)
            python = setup_venv.make_environment(folder / name)
        except (setup_venv.SetupError, OSError, subprocess.SubprocessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        packages = wanted(file.read_text(encoding="utf-8"))
        setup_venv.say(f"installing {len(packages)} packages for the benchmark into {name} (once)")
        failed += install(python, packages)
    for package in failed:
        print(f"note: not installed: {package}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
