"""Make .venv from nothing but a Python of 3.11 to 3.13: `python3 tools/setup_venv.py [FOLDER]`.

Debian and Ubuntu ship Python without pip and without ensurepip, so pip comes from the wheel beside this file
(pip 26.3 as published, MIT, sha256 f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13).
Only the standard library is used. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
PIP_WHEEL = next((ROOT / "tools").glob("pip-*.whl"))
BUILD_TOOLS = ("setuptools", "wheel")  # lime has no wheel; a fixed builder keeps it building
OLDEST, NEWEST = (3, 11), (3, 13)
# A user's own pip settings for --user would make every install into a virtual environment fail.
PIP_ENVIRONMENT = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0"}


class SetupError(RuntimeError):
    """What went wrong and what to do about it, in words for the terminal."""


def check_version(version: tuple[int, ...]) -> None:
    """Raise SetupError unless `version` (major, minor, …) is one that the fixed packages exist for."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        raise SetupError(
            f"Python {version[0]}.{version[1]} is not supported: 3.11, 3.12 or 3.13 is needed, "
            "e.g. `make run PYTHON=python3.12`"
        )


def pins(text: str) -> dict[str, str]:
    """Name → what follows `==` (a version, and a marker where there is one); comments and blank lines are skipped."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return dict(line.split("==", 1) for line in lines if line)


def wanted(text: str, *, headless: bool) -> list[str]:
    """The packages to install, with OpenCV's build without windows in place of the full one when `headless`."""
    swap = {"opencv-python": "opencv-python-headless"} if headless else {}
    return [f"{swap.get(name, name)}=={rest}" for name, rest in pins(text).items()]


def missing_library(message: str) -> str | None:
    """The shared library that an import error names (`libGL.so.1`), None for any other error."""
    found = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", message)
    return found.group(1) if found else None


def say(message: str) -> None:
    print(message, flush=True)


def run(*command: str | Path, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], env=os.environ | PIP_ENVIRONMENT, text=True, capture_output=quiet
    )


def pip(python: Path, *arguments: str | Path) -> None:
    if run(python, "-m", "pip", *arguments).returncode:
        raise SetupError("pip could not install the packages (its message is above); `make` again goes on from here")


def works(python: Path) -> bool:
    """Whether `python` starts and is of this interpreter's version (a moved or upgraded system breaks it)."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return python.exists() and run(python, "-c", check, quiet=True).returncode == 0


def make_environment(folder: Path) -> Path:
    """Make the virtual environment unless a working one is there; put pip into it. Returns its python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not works(python):
        try:
            import venv
        except ImportError as error:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            raise SetupError(f"this Python has no venv module: `apt-get install {package}`") from error
        say(f"making {folder} with Python {sys.version.split()[0]}")
        venv.EnvBuilder(with_pip=False, clear=True, symlinks=os.name != "nt").create(folder)
    version = run(python, "-m", "pip", "--version", quiet=True).stdout
    if PIP_WHEEL.name.split("-")[1] not in version.split():
        command = (python, PIP_WHEEL / "pip", "install", "-q", "--no-index", "--no-compile", PIP_WHEEL)
        if run(*command).returncode:
            raise SetupError(f"pip could not be installed from {PIP_WHEEL}")
    return python


def has(python: Path, package: str) -> bool:
    return run(python, "-m", "pip", "show", "-q", package, quiet=True).returncode == 0


def install(python: Path, folder: Path) -> None:
    """Install requirements.txt; an OpenCV that was swapped before stays swapped (both at once break each other)."""
    text = REQUIREMENTS.read_text()
    packages = wanted(text, headless=has(python, "opencv-python-headless"))
    build = [package for package in packages if package.split("==")[0] in BUILD_TOOLS]
    say(f"installing {len(packages)} packages (3.4 GB on disk; some minutes, once)")
    start = time.monotonic()
    pip(python, "install", "-q", *build)
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(packages) + "\n")
    pip(python, "install", "-q", "--no-build-isolation", "-r", listed)
    say(f"installed in {time.monotonic() - start:.0f} s")


def check_opencv(python: Path) -> None:
    """Import OpenCV; where the desktop's libraries are missing, put its build without windows in its place."""
    tried = run(python, "-c", "import cv2", quiet=True)
    library = missing_library(tried.stderr)
    if tried.returncode and library:
        version = pins(REQUIREMENTS.read_text())["opencv-python"]
        say(f"{library} is missing here: opencv-python-headless {version} in place of opencv-python (no windows)")
        pip(python, "uninstall", "-q", "-y", "opencv-python")
        pip(python, "install", "-q", f"opencv-python-headless=={version}")
        tried = run(python, "-c", "import cv2", quiet=True)
    if tried.returncode:
        raise SetupError(f"OpenCV does not import:\n{tried.stderr}")


def add_package(python: Path) -> None:
    """Put this folder on the environment's path, relative to it, so that the whole folder can be moved."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(run(python, "-c", code, quiet=True).stdout.strip())
    (site_packages / "fer_utils.pth").write_text(os.path.relpath(ROOT, site_packages) + "\n")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 tools/setup_venv.py", description=__doc__.split(":")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".venv", help="(default: .venv)")
    folder = parser.parse_args(arguments).folder.resolve()
    try:
        check_version(sys.version_info)
        python = make_environment(folder)
        install(python, folder)
        check_opencv(python)
        add_package(python)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
