"""The committed notebooks agree with themselves: the prose's numbers with the outputs, the figures with their files."""

import base64
import html
import re
from collections.abc import Iterator
from decimal import Decimal

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from fer_utils import paths
from tools import run_notebooks

# All of `NAMES` once all eight are.
NOTEBOOKS = [path.stem for path in run_notebooks.find()]
NUMBER = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+)"
STATED = re.compile(rf"(?<![\w.])({NUMBER})(\s?(?:%|percent|points?\b))?")
RECORDED = re.compile(rf"(?<![\d.]){NUMBER}")
# What is no quantity: code, links to notebooks, targets of links, sizes, names such as ResNet-18, the confidence of
# intervals, an author's year, the numbers of headings, lists and notebooks.
NAMES = re.compile("|".join([
    r"`[^`]*`", r"\[[^\]]*\]\(\d\d_[^)]*\)", r"\]\([^)]*\)", r"<[^>]*>", r"\d+ × \d+(?: × \d+)?", r"\b[A-Za-z]\w*-\d+",
    r"95 % (?:bootstrap |confidence )*(?:CI|interval)", r"^#+ \d\d ·", r"^\s*\d+\. ", r"\bnotebooks? \d\d\b",
    r"[A-Z](?:\w+ et al\.|\w\w+(?: and [A-Z]\w+)?),? \(?(?:19|20)\d\d\b",
]), re.MULTILINE)  # fmt: skip


def value(number: str) -> Decimal:
    return Decimal(number.replace(",", ""))


def recorded(cell) -> Iterator[Decimal]:
    """Every number in a code cell's source and in the text of its outputs."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        page = re.sub(r"(?s)<style.*?</style>|<[^>]*>", " ", data.get("text/html", ""))
        plain = re.sub(r"0x[0-9a-f]+", "", output.get("text", "") + " " + data.get("text/plain", ""))
        for text in (html.unescape(page), plain, data.get("text/markdown", "")):
            yield from map(value, RECORDED.findall(text))
    yield from map(value, RECORDED.findall(re.sub(r"(?<=\d)_(?=\d)", "", cell.source)))


def unseen(cells) -> list[str]:
    """The prose's numbers that no cell above shows, rounded by at most a tenth; percent may be shown as fractions."""
    above, missing = [], []
    for cell in cells:
        if cell.cell_type == "code":
            above += recorded(cell)
            continue
        for number, percent in STATED.findall(NAMES.sub(" ", cell.source)) if cell.cell_type == "markdown" else ():
            stated, scales = value(number), (1, 100) if percent else (1,)
            margin = min(Decimal(5).scaleb(stated.as_tuple().exponent - 1), stated / 10)
            if not any(abs(scale * shown - stated) <= margin for shown in above for scale in scales):
                missing.append(number + percent)
    return missing


def cells_of(name: str):
    return nbformat.read(paths.NOTEBOOKS / f"{name}.ipynb", as_version=4).cells


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_prose_states_only_numbers_that_are_shown_above_it(name):
    assert unseen(cells_of(name)) == [], "show it in a table or in code above, or leave the number out"


@pytest.mark.parametrize(("prose", "missing"), [
    ("# 02 · Sampling\n\n1. ResNet-18 (He et al. 2016) on 48 × 48 pixels, see `02_a` and [05](05_b.ipynb)", []),
    ("28,011 images, 62.9 % or 63 % agree, 0.63 in all, 3.8 points fewer, up to 1.7", []),
    ("28,012 images", ["28,012"]), ("62.8 % agree", ["62.8 %"]), ("62.94 %", ["62.94 %"]), ("it is 62.9", ["62.9"]),
    ("in 2016 images", ["2016"]), ("p < 1e-3", ["1e-3"]), ("1 of them", ["1"]), ("0 of them", ["0"]),
])  # fmt: skip
def test_a_number_that_is_not_shown_is_found(prose, missing):
    table = new_output("execute_result", data={"text/html": "<style>#T_28012 {}</style><td>0.62914</td><td>-3.81</td>"})
    code = new_code_cell("TARGET = 28_011", outputs=[table, new_output("stream", text="1.70 at 0x2016")])
    assert unseen([new_markdown_cell("No number"), code, new_markdown_cell(prose)]) == missing
    assert unseen([new_markdown_cell("28,011"), code]) == ["28,011"], "shown below only"


def test_every_saved_figure_is_shown_as_it_is_saved():
    cells = [cell for path in run_notebooks.find() for cell in cells_of(path.stem)]
    images = [output.get("data", {}).get("image/png", "") for cell in cells for output in cell.get("outputs", [])]
    shown = set(map(base64.b64decode, images))
    saved = [path for path in paths.FIGURE.glob("*.png") if path.stem != "bench"]
    assert saved and [path.name for path in saved if path.read_bytes() not in shown] == [], "no notebook shows these"
