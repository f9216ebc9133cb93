"""The machine in words: what the numbers hold for."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

__all__ = ["busy", "describe", "sentence"]


def describe() -> dict[str, object]:
    """Processor, cores (those used, those there), memory, system, Python; not the machine's name."""
    there = os.cpu_count() or 1
    used = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    return {
        "cpu": _cpu(), "cores": used, "cores_there": there, "memory_gb": _memory(), "system": _system(),
        "python": platform.python_version(),
    }


def sentence(machine: dict[str, object]) -> str:
    """A description in one line."""
    cores = f"{machine['cores']} of {machine['cores_there']} cores"
    if machine["cores"] == machine["cores_there"]:
        cores = f"{machine['cores']} cores"
    memory = f", {machine['memory_gb']} GB of memory" if machine["memory_gb"] else ""
    return f"{machine['cpu']}, {cores}{memory}, no accelerator; {machine['system']}, Python {machine['python']}"


def busy(seconds: float = 1.0) -> float:
    """Share of all cores that others keep busy right now, 0–1, watched for `seconds`; NaN where it cannot be told."""
    try:
        before = _ticks()
        time.sleep(seconds)
        after = _ticks()
    except (OSError, ValueError):
        return float("nan")
    spent = [late - early for early, late in zip(before, after, strict=True)]
    idle = spent[3] + spent[4]  # idle and waiting for a disk
    return round(1 - idle / max(1, sum(spent)), 3)


def _ticks() -> list[int]:
    first = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0]
    return [int(number) for number in first.split()[1:9]]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _memory() -> int:
    """Billions of bytes; 0 where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):
        return 0


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
