"""The stored run in README.md, between `<!-- bench:start -->` and `<!-- bench:end -->`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fer_utils import paths
from tools.bench.table import table

__all__ = ["fill", "filled"]

_REGION = re.compile(r"(<!-- bench:start -->\n).*?(<!-- bench:end -->)", re.DOTALL)


def filled(text: str, results: dict[str, Any]) -> str:
    """`text` with its region replaced by the table of `results`; ValueError when it has no region."""
    if not _REGION.search(text):
        raise ValueError("text: must hold <!-- bench:start --> and <!-- bench:end -->")
    return _REGION.sub(lambda found: f"{found[1]}{table(results)}\n{found[2]}", text)


def fill(results: dict[str, Any], path: Path = paths.ROOT / "README.md") -> Path:
    """Write the table into the README and return its path."""
    new = filled(path.read_text(encoding="utf-8"), results)
    with paths.atomic(path) as temporary:
        temporary.write_text(new, encoding="utf-8")
    return path
