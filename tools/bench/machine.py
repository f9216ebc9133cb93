"""The machine in words: what the numbers hold for."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["busy", "describe", "sentence"]


def describe() -> dict[str, object]:
    """Processor, cores (those used, those there), memory, system, Python; not the machine's name."""
    import psutil

    there = os.cpu_count() or 1
    return {
        "cpu": _cpu(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there,
        "cores_there": there, "memory_gb": round(psutil.virtual_memory().total / 1e9), "system": _system(),
        "python": platform.python_version(),
    }


def sentence(machine: dict[str, object]) -> str:
    """A description in one line."""
    cores = f"{machine['cores']} of {machine['cores_there']} cores"
    if machine["cores"] == machine["cores_there"]:
        cores = f"{machine['cores']} cores"
    memory = f", {machine['memory_gb']} GB of memory"
    return f"{machine['cpu']}, {cores}{memory}, no accelerator; {machine['system']}, Python {machine['python']}"


def busy(seconds: float = 1.0) -> float:
    """Share of all cores that others keep busy right now, 0–1, watched for `seconds`."""
    import psutil

    return round(psutil.cpu_percent(seconds) / 100, 3)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
