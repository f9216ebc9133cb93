"""Executes the notebooks in their order: `python -m tools.run_notebooks run|render [NAME …]`.

`run` leaves executed copies, HTML and figures in a folder and touches nothing else. `render` executes the notebooks in
place, figures into figure/, on the real FER2013: what a reader sees in the repository comes from it. A notebook that
fails or is interrupted stays as it was, and so do its figures.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_utils import paths

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["NotebookError", "execute", "find", "main", "render", "run"]

SOURCES = ("FER_DATA", "FER_PLUS", "FER_WEIGHTS")
PATHS = (*SOURCES, "FER_CACHE", "FER_CHECKPOINTS", "FER_MODELS")


class NotebookError(RuntimeError):
    """A cell failed, ended its kernel, or took too long."""


def find(names: Sequence[str] = (), *, folder: Path = paths.NOTEBOOKS) -> list[Path]:
    """The notebooks in reading order, numbered ones first; only those of `names` if given. ValueError: no such one."""
    known = sorted(folder.glob("*.ipynb"), key=lambda path: (not path.stem[0].isdigit(), path.stem))
    wanted = {Path(name).stem for name in names}
    if not known or wanted - {path.stem for path in known}:
        there = ", ".join(path.stem for path in known) or f"notebooks, of which {folder} has none"
        raise ValueError(f"names: must be among {there}; got {', '.join(sorted(wanted)) or 'none'}")
    return [path for path in known if not wanted or path.stem in wanted]


def execute(notebook: NotebookNode, *, folder: Path, timeout: float | None = None, **variables: str | Path) -> None:
    """Execute a notebook, in place, by a fresh kernel in `folder` with more environment variables; clear its metadata.

    `timeout`: seconds a cell may take. Raises NotebookError; the notebook is as far as it came then.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError
    from nbconvert.filters import strip_ansi
    from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor

    environment = os.environ | {name: str(value) for name, value in variables.items()}
    for name in {*PATHS} & {*environment}:  # the kernel works in another folder
        if environment[name] not in ("", "sample"):
            environment[name] = str(Path(environment[name]).expanduser().absolute())
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")]))
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the debugger's remark on frozen modules
    ClearOutputPreprocessor().preprocess(notebook, {})
    reached = [0]
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: reached.append(cell_index),
    )
    kept = {"preserve_nb_metadata_mask": ["kernelspec", ("language_info", "name")]}
    try:
        client.execute(env=environment, transport_encryption="auto")
    except (CellControlSignal, DeadKernelError) as error:
        place, source = reached[-1], notebook.cells[reached[-1]].source
        raise NotebookError(f"cell {place}:\n\n{source}\n\n{type(error).__name__}: {strip_ansi(str(error))}") from None
    finally:
        ClearMetadataPreprocessor(preserve_cell_metadata_mask=["tags"], **kept).preprocess(notebook, {})


def _write(path: Path, text: str) -> None:
    with paths.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def run(path: Path, out: Path, **options: float | str | Path) -> None:
    """Execute a notebook into `out`: <name>.ipynb (as far as it came), <name>.html and figure/; see `execute`."""
    import nbformat
    from nbconvert import HTMLExporter

    out.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(path, as_version=4)
    try:
        execute(notebook, folder=out, FER_FIGURE=out.absolute() / "figure", **options)
    finally:
        _write(out / path.name, nbformat.writes(notebook) + "\n")
    logging.getLogger("traitlets").setLevel(logging.ERROR)  # it remarks on each image without alternative text
    page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    _write(out / f"{path.stem}.html", page)


def render(path: Path) -> None:
    """Execute a notebook in place; what it shows is rid of this machine's paths and of warnings. See `execute`."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as figures:
        execute(notebook, folder=path.parent, FER_FIGURE=figures)
        folders = [Path(os.environ[name]).absolute().parent for name in SOURCES if os.environ.get(name)]
        places = re.compile("|".join(re.escape(f"{place}/") for place in (paths.ROOT, figures, *folders)))
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.get("outputs", []):
                for texts in (output, output.get("data", {})):
                    for key in (key for key in texts if key.startswith("text")):
                        texts[key] = places.sub("", texts[key]).replace(str(Path.home()), "~")
        for figure in Path(figures).iterdir():
            with paths.atomic(paths.FIGURE / figure.name) as temporary:
                shutil.copyfile(figure, temporary)
    _write(path, nbformat.writes(notebook) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, 1 (a cell failed) or 2 (nothing to work on)."""
    from fer_utils import data

    parser = argparse.ArgumentParser(prog="python -m tools.run_notebooks", description=__doc__)
    parser.add_argument("action", choices=["run", "render"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks, by name; all without")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for `run` (default: out)")
    parser.add_argument("--folder", type=Path, default=paths.NOTEBOOKS, help="where the notebooks are")
    options = parser.parse_intermixed_args(arguments)
    try:
        notebooks, fer = find(options.names, folder=options.folder), data.load()
        if options.action == "render" and fer.is_sample:
            raise ValueError("FER_DATA: must name the real FER2013 for render; got the embedded sample")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(data.describe(fer), flush=True)
    for path in notebooks:
        start, failure = time.monotonic(), None
        print(f"{path.stem:<20}", end="", flush=True)
        try:
            run(path, options.out) if options.action == "run" else render(path)
        except NotebookError as error:
            failure = error
        print(f"{time.monotonic() - start:7.1f} s  {'FAILED' if failure else 'ok'}", flush=True)
        if failure:
            print(f"\n{path.name}, {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
