"""The notebooks: their rules, a whole run of each on the embedded sample, and the runner itself."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import notebook_rules as rules
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fer_utils import paths
from tools import run_notebooks as notebooks

EXPECTED = [
    "01_eda", "02_sampling", "03_alignment", "04_finetuning", "05_comparison", "06_lime", "07_export_onnx", "realtime",
]
ALL = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


def save(folder: Path, name: str, *sources: str) -> Path:
    """A notebook of code cells between a title and a pointer."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, sources), new_markdown_cell("Next: 02_sampling")]
    nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def command_line(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.run_notebooks", *map(str, arguments)]
    variables = os.environ | {"FER_DATA": "sample"} | variables
    return subprocess.run(command, cwd=paths.ROOT, text=True, capture_output=True, env=variables)


def repository() -> set[tuple[str, int, int]]:
    """Name, size and time of every file of the repository that git would not ignore."""
    skipped = {".git", ".venv", "out", "data", "checkpoints", "__pycache__", ".pytest_cache", ".ruff_cache"}
    state = set()
    for folder, children, files in os.walk(paths.ROOT):
        children[:] = [child for child in children if child not in skipped]
        for name in files:
            path = os.path.join(folder, name)
            state.add((os.path.relpath(path, paths.ROOT), os.stat(path).st_size, os.stat(path).st_mtime_ns))
    return state


# ---------------------------------------------------------------------------------------------------- the rules


def good() -> nbformat.NotebookNode:
    picture = base64.b64encode(b"\x89PNG" + bytes(1000)).decode()
    shown = new_output("display_data", data={"image/png": picture, "text/plain": "<Figure>"})
    word = new_output("stream", name="stderr", text="a word")
    imports = "%matplotlib inline\nimport os\nimport numpy as np\nfrom fer_utils import paths"
    return new_notebook(cells=[
        new_markdown_cell("# Title\n\nWhat you will learn."),
        new_code_cell(imports, execution_count=1),
        new_code_cell(""),
        new_code_cell("plot()", execution_count=2, outputs=[shown, word]),
        new_markdown_cell("Found: much. Next: [sampling](02_sampling.ipynb)."),
    ])


def breaking(notebook: nbformat.NotebookNode, rule: str) -> None:
    cell = notebook.cells[3]
    if rule == "imports_are_required":
        cell.source = "def late():\n    from a_package_nobody_has.deep import thing"
    elif rule == "executed_in_order":
        cell.execution_count = 5
    elif rule == "free_of_errors":
        cell.outputs.append(new_output("error", ename="ValueError", evalue="", traceback=[]))
    elif rule == "free_of_noise":
        cell.outputs.append(new_output("stream", name="stderr", text="W" * 400))
    elif rule == "cells_are_short":
        cell.source = "\n".join(["x = 1"] * 16)
    elif rule == "images_are_small":
        cell.outputs[0].data["image/png"] = base64.b64encode(bytes(150_001)).decode()
    elif rule == "opens_with_title":
        notebook.cells[0].source = "What you will learn."
    elif rule == "closes_with_pointer":
        notebook.cells[-1].source = "That was it."
    elif rule == "free_of_machine_paths":
        cell.outputs.append(new_output("stream", name="stdout", text="read /home/ann/fer2013.csv"))


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_rule_finds_the_notebook_that_breaks_it(rule):
    assert rule(good()) == []
    broken = good()
    breaking(broken, rule.__name__)
    assert rule(broken), f"{rule.__name__} sees nothing wrong"
    assert [other.__name__ for other in rules.RULES if other(broken)] == [rule.__name__]


@pytest.mark.parametrize("counts", [(None, None), (2, 1), (1, 1), (0, 1), (1, 3)])
def test_any_other_numbering_is_out_of_order(counts):
    notebook = good()
    notebook.cells[1].execution_count, notebook.cells[3].execution_count = counts
    assert rules.executed_in_order(notebook)


def test_the_notebooks_are_all_there():
    assert [path.stem for path in notebooks.find()] == EXPECTED


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path, rule):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert rule(notebook) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_committed_notebook_is_clean_and_from_real_data(path):
    notebook = nbformat.read(path, as_version=4)
    before = nbformat.writes(notebook)
    assert nbformat.writes(notebooks.clean(notebook)) == before, "has volatile metadata: make render"
    said = "\n".join(text for cell in rules.code_cells(notebook) for text in rules.texts(cell))
    assert "synthetic sample, not FER2013" not in said, "was rendered on the sample: make render"


# ------------------------------------------------------------------------------------ every notebook on the sample


@pytest.mark.notebook
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_notebook_runs_on_the_sample(path, tmp_path):
    before = repository()
    out = tmp_path / "elsewhere"
    notebooks.run([path], out, timeout=400, FER_DATA="sample", FER_CHECKPOINTS=tmp_path / "checkpoints")
    executed = nbformat.read(out / path.name, as_version=4)
    kept = [rule for rule in rules.RULES if rule is not rules.free_of_machine_paths]
    assert [complaint for rule in kept for complaint in rule(executed)] == []
    assert (out / f"{path.stem}.html").stat().st_size > 10_000
    assert not repository() ^ before, "a notebook wrote into the repository"


# --------------------------------------------------------------------------------------------------- the runner


def test_find_orders_and_selects(tmp_path):
    for name in ("realtime", "10_later", "02_b", "01_a"):
        save(tmp_path, name)
    assert [path.stem for path in notebooks.find(folder=tmp_path)] == ["01_a", "02_b", "10_later", "realtime"]
    assert [path.stem for path in notebooks.find(["realtime.ipynb", "02_b"], folder=tmp_path)] == ["02_b", "realtime"]
    with pytest.raises(ValueError, match="01_a, 02_b, 10_later, realtime; got '03_c'"):
        notebooks.find(["03_c"], folder=tmp_path)
    with pytest.raises(ValueError, match="no notebooks"):
        notebooks.find(folder=tmp_path / "empty")


def test_run_leaves_copies_pages_and_figures(tmp_path):
    folder = tmp_path / "notebooks"
    draw = "import matplotlib.pyplot as plt\nfrom fer_utils import paths\nplt.plot([1, 2])"
    first = save(folder, "01_first", f"{draw}\nplt.savefig(paths.figure_dir() / 'a.png')")
    save(folder, "02_second", "import os\nprint(os.environ['FER_DATA'], os.getcwd())")
    before = first.read_bytes()
    result = command_line("run", "--folder", folder, "--out", tmp_path / "out", "01_first", "02_second")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "sample" in lines[0]
    assert [(line.split()[0], line.split()[-1]) for line in lines[-2:]] == [("01_first", "ok"), ("02_second", "ok")]
    assert (tmp_path / "out" / "figure" / "a.png").exists() and first.read_bytes() == before
    assert "image/png" in (tmp_path / "out" / "01_first.ipynb").read_text()
    assert f"sample {tmp_path / 'out'}" in (tmp_path / "out" / "02_second.html").read_text()


def test_a_failing_cell_ends_the_run_with_its_source_and_error(tmp_path):
    folder = tmp_path / "notebooks"
    save(folder, "01_first", "a = 1", "", "b = a\nmissing_name + b", "print('never')")
    save(folder, "02_second", "print('never')")
    result = command_line("run", "--folder", folder, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].endswith("FAILED")
    assert "01_first: code cell 2 of 3 failed" in result.stderr and "    missing_name + b" in result.stderr
    assert "NameError: name 'missing_name' is not defined" in result.stderr and "\x1b" not in result.stderr
    assert "NameError" in (tmp_path / "out" / "01_first.ipynb").read_text()
    assert not (tmp_path / "out" / "02_second.ipynb").exists()


@pytest.mark.parametrize(
    ("source", "reason"),
    [("import os\nos._exit(3)", "died"), ("import time\ntime.sleep(300)", "time"), ("def broken(:", "SyntaxError")],
    ids=["dead kernel", "too long", "syntax error"],
)
def test_other_ways_to_fail_name_the_cell_too(tmp_path, source, reason):
    path = save(tmp_path, "01_first", "a = 1", source)
    start = time.monotonic()
    with pytest.raises(notebooks.NotebookError, match=reason) as failure:
        notebooks.execute(path, folder=tmp_path, variables=notebooks.environment(), timeout=10)
    assert (failure.value.cell, failure.value.cells, failure.value.source) == (2, 2, source)
    assert time.monotonic() - start < 200


def test_render_refuses_the_sample(tmp_path):
    path = save(tmp_path, "01_first", "a = 1")
    before = path.read_bytes()
    result = command_line("render", "--folder", tmp_path)
    assert result.returncode == 2 and "render needs the real FER2013" in result.stderr
    assert path.read_bytes() == before


def test_render_works_in_place_and_leaves_no_trace_of_the_machine(tmp_path, monkeypatch):
    data_file = tmp_path / "fer2013.csv"
    monkeypatch.setenv("FER_DATA", str(data_file))
    code = "import os, time\nprint('from', os.environ['FER_DATA'])\nos.environ['FER_FIGURE']"
    path = save(tmp_path / "notebooks", "01_first", code, "1 + 1")
    notebooks.render([path])
    rendered = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in rules.code_cells(rendered)] == [1, 2]
    assert rendered.cells[1].outputs[0].text == "from fer2013.csv\n"
    assert rendered.cells[1].outputs[1].data["text/plain"] == "'figure'"
    assert all(not cell.metadata for cell in rendered.cells)
    assert rendered.metadata.kernelspec.name == "python3" and "version" not in rendered.metadata.language_info


def test_a_failing_render_leaves_the_notebook_as_it_was(tmp_path):
    path = save(tmp_path, "01_first", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(notebooks.NotebookError, match="ZeroDivisionError"):
        notebooks.render([path])
    assert path.read_bytes() == before


def test_bad_data_is_one_clear_line(tmp_path):
    save(tmp_path, "01_first", "a = 1")
    nothing = str(tmp_path / "nothing.csv")
    result = command_line("run", "--folder", tmp_path, "--out", tmp_path / "out", FER_DATA=nothing)
    assert result.returncode == 2 and "nothing.csv" in result.stderr and "Traceback" not in result.stderr


def test_a_kernel_gets_absolute_paths_and_the_package(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FER_DATA", "data/fer2013.csv")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    variables = notebooks.environment(FER_FIGURE=tmp_path / "f")
    assert variables["FER_DATA"] == str(tmp_path / "data" / "fer2013.csv")
    assert variables["PYTHONPATH"].split(os.pathsep) == [str(paths.ROOT), "/elsewhere"]
    assert variables["FER_FIGURE"] == str(tmp_path / "f")
    assert notebooks.environment(FER_DATA="sample")["FER_DATA"] == "sample"
