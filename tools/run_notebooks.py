"""Executes the notebooks in their order: `python -m tools.run_notebooks run|render [NAME …]`.

`run` leaves executed copies, HTML and figures in a folder and touches nothing else. `render` executes the notebooks in
place on the real FER2013: what a reader sees in the repository comes from it.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fer_utils import paths

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

__all__ = ["NotebookError", "clean", "environment", "execute", "find", "main", "render", "run", "scrub", "to_html"]

_PATHS = ("FER_DATA", "FER_PLUS", "FER_WEIGHTS", "FER_CACHE", "FER_CHECKPOINTS", "FER_MODELS")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(eq=False)
class NotebookError(RuntimeError):
    """A cell failed. cell: its number among the `cells` code cells, from 1, as Jupyter shows it; error: the plain
    traceback; partial: the notebook as far as it was executed."""

    notebook: str
    cell: int
    cells: int
    source: str
    error: str
    partial: NotebookNode = field(repr=False)

    def __str__(self) -> str:
        source = textwrap.indent(self.source, "    ")
        return f"{self.notebook}: code cell {self.cell} of {self.cells} failed\n\n{source}\n\n{self.error}"


def find(names: Sequence[str] = (), *, folder: Path = paths.NOTEBOOKS) -> list[Path]:
    """The notebooks in reading order, numbered ones first; only those of `names` (with or without .ipynb) if given.

    Raises ValueError for a name that no notebook has, or when there is none at all.
    """
    ordered = sorted(folder.glob("*.ipynb"), key=lambda path: (not path.stem[0].isdigit(), path.stem))
    known = {path.stem: path for path in ordered}
    wanted = [Path(name).stem for name in names] or list(known)
    for name in wanted:
        if name not in known:
            raise ValueError(f"notebook must be one of {', '.join(known)}; got {name!r}")
    if not wanted:
        raise ValueError(f"no notebooks in {folder}")
    return [path for name, path in known.items() if name in wanted]


def environment(**changes: str | Path) -> dict[str, str]:
    """This process's environment as a notebook's kernel needs it, with `changes`.

    Paths become absolute (a kernel works in another folder), and the package is found without installing it.
    """
    variables = dict(os.environ) | {name: str(value) for name, value in changes.items()}
    for name in _PATHS:
        if variables.get(name, "sample") not in ("", "sample"):
            variables[name] = str(Path(variables[name]).expanduser().absolute())
    inherited = variables.get("PYTHONPATH")
    variables["PYTHONPATH"] = os.pathsep.join([str(paths.ROOT), *([inherited] if inherited else [])])
    # Figures go into the notebook whatever the shell says; the debugger's remark on frozen modules goes nowhere.
    inline = "module://matplotlib_inline.backend_inline"
    return variables | {"MPLBACKEND": inline, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _client(notebook: NotebookNode, folder: Path, timeout: float | None) -> NotebookClient:
    import zmq
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient

    class Client(NotebookClient):
        def create_kernel_manager(self) -> AsyncKernelManager:
            # Without folders to look in, "python3" is this very interpreter, not one a user registered by that name.
            specs = KernelSpecManager(kernel_dirs=[])
            # Unencrypted, a kernel would warn on the terminal: other users of the machine could listen in.
            encryption = "auto" if zmq.has("curve") else "disabled"
            self.km = AsyncKernelManager(
                kernel_name="python3", kernel_spec_manager=specs, transport_encryption=encryption
            )
            return self.km

    return Client(notebook, timeout=timeout, record_timing=False, coalesce_streams=True,
                  resources={"metadata": {"path": str(folder)}})


def execute(path: Path, *, folder: Path, variables: dict[str, str], timeout: float | None = 3600) -> NotebookNode:
    """Execute a notebook from a fresh kernel in `folder`; each cell may take `timeout` seconds.

    Raises NotebookError for the first cell that fails, kills its kernel or takes too long.
    """
    import nbformat
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    reached = []
    client = _client(notebook, folder, timeout)
    client.on_cell_execute = lambda cell, cell_index: reached.append(cell)
    try:
        client.execute(env=variables)
    except (CellControlSignal, DeadKernelError) as error:
        cell = reached[-1] if reached else notebook.cells[0]
        number = next((i for i, known in enumerate(code, 1) if known is cell), 0)
        raise NotebookError(path.stem, number, len(code), cell.source, _reason(cell, error), notebook) from None
    return notebook


def _reason(cell: NotebookNode, error: Exception) -> str:
    """The cell's own traceback without colours, else (a dead kernel, a timeout) what the runner noticed."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return _ANSI.sub("", "\n".join(output.traceback)) or f"{output.ename}: {output.evalue}"
    return f"{type(error).__name__}: {_ANSI.sub('', str(error))}"


def clean(notebook: NotebookNode) -> NotebookNode:
    """Strip, in place, what differs from run to run or machine to machine but says nothing; returns the notebook."""
    widgets = notebook.metadata.get("widgets")
    notebook.metadata.clear()
    notebook.metadata.update({
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })
    if widgets:
        notebook.metadata["widgets"] = widgets
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata.clear()
        if tags:
            cell.metadata["tags"] = tags
    return notebook


def scrub(notebook: NotebookNode, places: dict[str, str]) -> NotebookNode:
    """Replace, in place, one machine's paths (keys) in texts that cells printed; returns the notebook."""
    pattern = re.compile("|".join(re.escape(place) for place in sorted(places, key=len, reverse=True)))

    def plain(text: str) -> str:
        return pattern.sub(lambda found: places[found.group()], text)

    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.output_type == "stream":
            output.text = plain(output.text)
        for kind in (kind for kind in output.get("data", {}) if kind.startswith("text/")):
            output.data[kind] = plain(output.data[kind])
    return notebook


def to_html(notebook: NotebookNode, title: str) -> str:
    """A notebook as one HTML page, images inside."""
    from nbconvert import HTMLExporter

    logging.getLogger("traitlets").setLevel(logging.ERROR)  # it remarks on each image without alternative text
    page, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return page


def _write(notebook: NotebookNode, path: Path) -> None:
    import nbformat

    with paths.atomic(path) as temporary:
        nbformat.write(notebook, temporary)


def run(notebooks: Sequence[Path], out: Path, *, timeout: float | None = 3600, **changes: str | Path) -> None:
    """Execute notebooks into `out`: <name>.ipynb, <name>.html and figure/. `changes` go into their environment.

    One progress line a notebook. Raises NotebookError; the failed notebook's copy, as far as it came, is in `out` too.
    """
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    variables = environment(FER_FIGURE=out / "figure", **changes)
    for path in notebooks:
        with _Progress(path.stem):
            try:
                notebook = clean(execute(path, folder=out, variables=variables, timeout=timeout))
            except NotebookError as failure:
                _write(clean(failure.partial), out / path.name)
                raise
            _write(notebook, out / path.name)
            with paths.atomic(out / f"{path.stem}.html") as temporary:
                temporary.write_text(to_html(notebook, path.stem), encoding="utf-8")


def render(notebooks: Sequence[Path], *, timeout: float | None = None) -> None:
    """Execute notebooks in place, figures into figure/. A notebook that fails stays as it was."""
    variables = environment(FER_FIGURE=paths.FIGURE)
    places = {f"{paths.ROOT}/": "", str(Path.home()): "~"}
    for name in ("FER_DATA", "FER_PLUS", "FER_WEIGHTS"):
        if name in variables:  # a file's own name says something, the folders above it do not
            places[f"{Path(variables[name]).resolve().parent}/"] = places[f"{Path(variables[name]).parent}/"] = ""
    for path in notebooks:
        with _Progress(path.stem):
            notebook = execute(path, folder=path.parent, variables=variables, timeout=timeout)
            _write(scrub(clean(notebook), places), path)


class _Progress:
    """Prints one line around a notebook: its name when it starts, seconds and ok or FAILED when it ends."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.start = time.monotonic()
        print(f"{self.name:<20}", end="", flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        print(f"{time.monotonic() - self.start:7.1f} s  {'FAILED' if kind else 'ok'}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 1 (a cell failed) or 2 (nothing to work on)."""
    parser = argparse.ArgumentParser(prog="python -m tools.run_notebooks", description=__doc__)
    parser.add_argument("action", choices=["run", "render"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks, by name; all without")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for `run` (default: out)")
    parser.add_argument("--folder", type=Path, default=paths.NOTEBOOKS, help="where the notebooks are")
    options = parser.parse_intermixed_args(arguments)

    from fer_utils import data

    try:
        notebooks = find(options.names, folder=options.folder)
        fer = data.load()
        print(data.describe(fer), flush=True)
        if options.action == "run":
            run(notebooks, options.out)
        elif fer.is_sample:
            raise ValueError("render needs the real FER2013, and only the embedded sample was found: set FER_DATA")
        else:
            render(notebooks)
    except NotebookError as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
