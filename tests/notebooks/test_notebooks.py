"""Every notebook runs on the embedded sample, and what is committed comes from one clean pass; the runner itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fer_utils import paths
from tools import run_notebooks

SLOW = ("04_finetuning", "06_lime", "07_export_onnx")  # more than a minute each
NAMES = ("01_eda", "02_sampling", "03_alignment", *SLOW[:1], "05_comparison", *SLOW[1:], "realtime")
MACHINE = re.compile(r"(?<![\w.:/~-])/(?:home|root|work|tmp|mnt|opt|usr|var|Users)/\S*")


def save(path: Path, *sources: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tools.run_notebooks", *map(str, arguments)]
    return subprocess.run(line, cwd=paths.ROOT, text=True, capture_output=True, env=os.environ | {"FER_DATA": "sample"})


def assert_one_clean_pass(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), path.name
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"], path.name


def repository() -> dict[Path, int]:
    folders = (paths.FIGURE, paths.MODELS, paths.NOTEBOOKS)
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES])
def test_notebook_runs_on_the_sample(name, tmp_path):
    before = repository()
    run_notebooks.run(paths.NOTEBOOKS / f"{name}.ipynb", tmp_path, timeout=400, FER_DATA="sample")
    assert_one_clean_pass(tmp_path / f"{name}.ipynb")
    assert (tmp_path / f"{name}.html").stat().st_size > 10_000 and any((tmp_path / "figure").iterdir())
    assert repository() == before, "a notebook wrote into the repository"


def test_committed_notebooks_come_from_one_clean_pass_on_fer2013():
    found = run_notebooks.find()
    assert [path.stem for path in found] == list(NAMES)
    for path in found:
        assert_one_clean_pass(path)
        text = path.read_text(encoding="utf-8")
        assert not MACHINE.search(text) and "sample, not FER2013" not in text, path.name


def test_a_failing_cell_ends_the_run_and_is_shown(tmp_path):
    save(tmp_path / "01_first.ipynb", "a = 1", "missing_name + a", "print('never')")
    save(tmp_path / "02_dies.ipynb", "import os; os._exit(3)")
    result = command("run", "--folder", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 1 and result.stdout.splitlines()[-1].endswith("FAILED")
    assert "missing_name + a" in result.stderr and "NameError" in result.stderr and "\x1b" not in result.stderr
    assert "NameError" in (tmp_path / "out" / "01_first.ipynb").read_text()
    assert not (tmp_path / "out" / "02_dies.ipynb").exists()
    result = command("run", "--folder", tmp_path, "--out", tmp_path / "out", "02_dies")
    assert result.returncode == 1 and "os._exit(3)" in result.stderr


def test_render_needs_fer2013_and_names_what_is_there(tmp_path):
    path = save(tmp_path / "01_first.ipynb", "a = 1")
    before = path.read_bytes()
    for arguments, reason in ((["render"], "FER_DATA"), (["run", "03_c"], "01_first")):
        result = command(*arguments, "--folder", tmp_path)
        assert result.returncode == 2 and reason in result.stderr and path.read_bytes() == before


def test_render_works_in_place_without_a_trace_of_the_machine_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data" / "fer2013.csv"))
    monkeypatch.setattr(paths, "FIGURE", tmp_path / "figure")
    draw = "import os, pathlib\nfolder = pathlib.Path(os.environ['FER_FIGURE'])\n(folder / 'a.png').write_text('{}');"
    warn = "import sys\nprint(os.environ['FER_DATA'])\nprint('hm', file=sys.stderr)"
    path = save(tmp_path / "01_first.ipynb", draw.format("new"), warn, "str(folder / 'a.png'), pathlib.Path.home()")
    run_notebooks.render(path)
    _, said, shown = nbformat.read(path, as_version=4).cells
    assert [output.text for output in said.outputs] == ["fer2013.csv\n"]
    assert shown.outputs[0].data["text/plain"] == "('a.png', PosixPath('~'))"
    before = save(path, draw.format("later"), "1 / 0").read_bytes()
    with pytest.raises(run_notebooks.NotebookError, match="ZeroDivisionError"):
        run_notebooks.render(path)
    assert path.read_bytes() == before and (tmp_path / "figure" / "a.png").read_text() == "new"


@pytest.mark.slow
def test_the_small_network_of_04_learns_the_sample_within_a_minute():
    cells = nbformat.read(paths.NOTEBOOKS / "04_finetuning.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    last = next(at for at, source in enumerate(sources) if source.startswith("EPOCHS = "))
    seen, start = {}, time.process_time()
    for source in sources[: last + 1]:
        exec(source, seen)
    memorized, learned = seen["memory"].history["accuracy"][-1], seen["learned"].history["val_accuracy"][-1]
    assert memorized > 0.95 and seen["accuracy"] < 0.4, "fifty images are memorized, not understood"
    assert learned >= 0.5 and seen["majority"] < 0.3
    assert time.process_time() - start < 2 * 60, "seconds of two cores, imports and all"
