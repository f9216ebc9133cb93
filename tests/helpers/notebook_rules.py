"""What every notebook in the repository must keep; each rule returns its complaints (none: the notebook keeps it)."""

from __future__ import annotations

import ast
import base64
import importlib.metadata
import re
import sys
from pathlib import Path

from nbformat import NotebookNode

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
LONGEST_CELL = 15  # lines
LONGEST_STDERR = 400  # characters
LARGEST_IMAGE = 150_000  # bytes, decoded
_MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|work|tmp|mnt|opt|usr|var|Users)/\S*")
_POINTER = re.compile(r"\b(0[1-7]_\w+|realtime|README)\b")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def texts(cell: NotebookNode) -> list[str]:
    """Everything that a cell printed or displayed as text."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        found += [output.text] if output.output_type == "stream" else []
        found += [str(value) for kind, value in data.items() if kind.startswith("text/")]
    return found


def imported(source: str) -> set[str]:
    """Top-level names that a cell imports; IPython's own lines (% and !) are skipped."""
    lines = ["pass" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    names = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def imports_are_required(notebook: NotebookNode) -> list[str]:
    pinned = {_normal(line.partition("==")[0]) for line in REQUIREMENTS.read_text().splitlines() if "==" in line}
    providers = importlib.metadata.packages_distributions()
    known = set(sys.stdlib_module_names) | {"fer_utils"}
    # OpenCV's module may come from the build without windows, which requirements.txt does not name.
    known |= {"cv2"} if "opencv-python" in pinned else set()
    names = set().union(*(imported(cell.source) for cell in code_cells(notebook)))
    return [
        f"imports {name}, which no package of requirements.txt provides"
        for name in sorted(names - known)
        if not any(_normal(package) in pinned for package in providers.get(name, ()))
    ]


def executed_in_order(notebook: NotebookNode) -> list[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"cells are numbered {counts}, not 1 to {len(counts)}"]


def free_of_errors(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {cell.execution_count} shows {output.ename}"
        for cell in code_cells(notebook) for output in cell.outputs if output.output_type == "error"
    ]


def free_of_noise(notebook: NotebookNode) -> list[str]:
    complaints = []
    for cell in code_cells(notebook):
        said = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr")
        if len(said) > LONGEST_STDERR:
            complaints.append(f"cell {cell.execution_count} writes {len(said)} characters to stderr: {said[:80]!r}…")
    return complaints


def cells_are_short(notebook: NotebookNode) -> list[str]:
    lengths = [(cell.source.strip().count("\n") + 1, cell.source.strip()[:40]) for cell in code_cells(notebook)]
    return [f"a cell has {n} lines: {start!r}…" for n, start in lengths if n > LONGEST_CELL]


def images_are_small(notebook: NotebookNode) -> list[str]:
    complaints = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            for kind, content in output.get("data", {}).items():
                size = len(base64.b64decode(content)) if kind in ("image/png", "image/jpeg") else 0
                size = len(content) if kind == "image/svg+xml" else size
                if size > LARGEST_IMAGE:
                    complaints.append(f"cell {cell.execution_count} shows an image of {size:,} bytes")
    return complaints


def opens_with_title(notebook: NotebookNode) -> list[str]:
    first = notebook.cells[0] if notebook.cells else None
    good = first is not None and first.cell_type == "markdown" and re.match(r"# \S", first.source)
    return [] if good else ["does not open with a title (# …)"]


def closes_with_pointer(notebook: NotebookNode) -> list[str]:
    last = notebook.cells[-1] if notebook.cells else None
    said = "" if last is None else "\n".join([last.source if last.cell_type == "markdown" else "", *texts(last)])
    return [] if _POINTER.search(said) else ["does not close with what comes next (a notebook's name, or README)"]


def free_of_machine_paths(notebook: NotebookNode) -> list[str]:
    return [
        f"names a path of one machine: {found.group()}"
        for cell in notebook.cells for text in (cell.source, *texts(cell)) for found in _MACHINE_PATH.finditer(text)
    ]


RULES = (
    imports_are_required, executed_in_order, free_of_errors, free_of_noise, cells_are_short, images_are_small,
    opens_with_title, closes_with_pointer, free_of_machine_paths,
)
