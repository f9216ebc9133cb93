"""Whether requirements.txt installs from wheels alone on every system: `python -m tools.check_requirements [SYSTEM …]`.

For each system and Python, pip's dry run must find a wheel of every pinned package, and every package that these wheels
need there must be pinned in a version that they accept. Nothing is installed; the package index is asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fer_utils import paths

REQUIREMENTS = paths.ROOT / "requirements.txt"
PYTHONS = ("3.11", "3.12", "3.13")
NO_WHEEL = {"lime"}  # pure Python; its source archive builds everywhere
# System → tags of its wheels, and what differs in its markers.
SYSTEMS = {
    "linux": (
        ["manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 29))],
        {"platform_system": "Linux", "sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"},
    ),
    "macos": (
        ["macosx_14_0_arm64"],
        {"platform_system": "Darwin", "sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
    ),
    "windows": (
        ["win_amd64"],
        {"platform_system": "Windows", "sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
    ),
}


def applies(requirement: Requirement, target: dict[str, str], extra: str = "") -> bool:
    """Whether a requirement is asked for on a target, by an extra where one is named."""
    return requirement.marker is None or requirement.marker.evaluate(target | {"extra": extra})


def pinned(target: dict[str, str]) -> list[Requirement]:
    """The lines of requirements.txt that count on a target."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return [requirement for requirement in map(Requirement, filter(None, lines)) if applies(requirement, target)]


def unmet(pins: list[Requirement], wheels: list[dict], target: dict[str, str]) -> list[str]:
    """What wheels ask for on a target and no pin gives, one line each; `wheels` is their metadata as pip reports it."""
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    needs = {canonicalize_name(wheel["name"]): [*map(Requirement, wheel.get("requires_dist", ()))] for wheel in wheels}
    problems, seen, waiting = set(), set(), [(name, "") for name in needs]
    while waiting:  # extras that a package asks for bring needs of their own
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for need in needs.get(name, ()):
            if not applies(need, target, extra):
                continue
            given = versions.get(canonicalize_name(need.name))
            if given is None or not need.specifier.contains(given, prereleases=True):
                problems.add(f"{name} needs {need}; pinned: {given}")
            waiting += [(canonicalize_name(need.name), wanted) for wanted in need.extras]
    return sorted(problems)


def check(system: str, python: str) -> list[str]:
    """What is wrong with requirements.txt on one system and Python, one line each."""
    tags, markers = SYSTEMS[system]
    target = markers | {"python_version": python, "python_full_version": f"{python}.5"}
    pins = pinned(target)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--only-binary=:all:",
                   "--ignore-installed", "--target", folder, "--report", f"{folder}/report.json",
                   "--python-version", python, *(f"--platform={tag}" for tag in tags)]
        wanted = [f"{pin.name}{pin.specifier}" for pin in pins if canonicalize_name(pin.name) not in NO_WHEEL]
        result = subprocess.run([*command, *wanted], capture_output=True, text=True)
        if result.returncode:
            return [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        with open(f"{folder}/report.json", encoding="utf-8") as file:
            wheels = [item["metadata"] for item in json.load(file)["install"]]
    return unmet(pins, wheels, target)


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each system and Python; 0 when everything resolves."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_requirements", description=__doc__.split("\n")[0])
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"{', '.join(SYSTEMS)}; all of them without")
    parser.add_argument("--python", nargs="+", choices=PYTHONS, default=PYTHONS, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    failed = False
    for system in options.systems or SYSTEMS:
        if system not in SYSTEMS:
            parser.error(f"SYSTEM: must be one of {', '.join(SYSTEMS)}; got {system}")
        for python in options.python:
            problems = check(system, python)
            failed = failed or bool(problems)
            print(f"{system}, Python {python}: {'fails' if problems else 'resolves'}", *problems, sep="\n  ")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
