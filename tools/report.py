"""Writes stored results into README.md and the model card: `python -m tools.report`. No number there is typed.

The results' table stands between `<!-- results:start -->` and `<!-- results:end -->`, the benchmark's between the same
with `bench`. Single numbers stand between `<!-- value RUN KEY FORMAT -->` and `<!-- end -->`, e.g.
`<!-- value xception private.accuracy .1% -->` or `<!-- value xception outcome.minutes .0f -->`; not at the beginning
of a line, where Markdown takes the comment for a block of HTML.
`--check` writes nothing, shows what differs and exits with 1.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import numpy as np

from fer_utils import data, models, paths
from fer_utils.evaluation import Run, ensemble, list_runs, summary
from tools.bench import table as bench
from tools.bench.results import find

__all__ = ["DOCUMENTS", "bench_table", "filled", "main", "results_table", "shown_runs", "value"]

DOCUMENTS = (paths.ROOT / "README.md", paths.ROOT / "models" / "README.md")
# What others report on PrivateTest; not measured here.
LITERATURE = {
    "Residual Masking Network, 224 px, TTA ([Pham et al. 2020](https://doi.org/10.1109/ICPR48806.2021.9411919))":
        "74.1 %",
    "Kaggle's winner, 2013 ([Tang 2013](https://arxiv.org/abs/1306.0239))": "71.2 %",
    "people ([Goodfellow et al. 2013](https://arxiv.org/abs/1307.0414))": "65 ± 5 %",
}
SCENES = ("640x480-1", "1280x720-4")  # of the benchmark, for README's small table

_TABLE = re.compile(r"(<!-- (results|bench):start -->\n).*?(<!-- \2:end -->)", re.DOTALL)
_VALUE = re.compile(r"(<!-- value (\S+) (\S+) (\S+) -->).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("Model", "Accuracy (95 % CI)", "Macro-F1", "Balanced accuracy", "Parameters", "M MACs", "ONNX file")
_NOTE = """PrivateTest, all {:,} images, FER2013's own labels; one network and a single crop unless a row says \
otherwise. Calibration and ensemble weights were fitted on PublicTest; the CI is a bootstrap over images. Last rows: \
as reported, `fer` as measured by `make bench`."""
_NO_RUN = "(no stored run)"


def shown_runs() -> list[Run]:
    """The runs that the table shows, best first: those of a backbone's name, and those shipped as ONNX."""
    names = {*list_runs()} & {*models.BACKBONES, *models.available()}
    return sorted(map(Run, sorted(names)), key=lambda run: -run.metrics["private"]["accuracy"])


def results_table() -> str:
    """The table in Markdown, with a line that says what it was measured on; ValueError: runs on different images."""
    runs = shown_runs()
    if not runs:
        return f"{_NO_RUN}\n"
    (probabilities, labels), files = ensemble.stacked(runs), models.manifest()["files"]
    parameters, work = (np.array([run.outcome[key] for run in runs]) for key in ("parameters", "m_macs"))
    rows = [
        _row(run.title, run.metrics["private"], *costs, files.get(f"{run.name}.onnx", {}).get("bytes"))
        for run, *costs in zip(runs, parameters, work, strict=True)
    ]
    majority = np.full(len(labels), np.bincount(labels).argmax())
    rows.append(_row(f"always “{data.CLASSES[majority[0]]}”", summary(labels, np.eye(7)[majority])))
    if len(runs) > 1:
        weights = ensemble.fit_weights(*ensemble.stacked(runs, "public"))
        looks = {"": (probabilities, 1)}
        if all((run.folder / ensemble.TTA).is_file() for run in runs):
            looks[f", {ensemble.CROPS} crops (TTA)"] = ensemble.stacked(runs, tta=True)[0], ensemble.CROPS
        for words, (found, times) in looks.items():
            scores = summary(labels, np.average(found, axis=0, weights=weights))
            rows.append(_row(f"ensemble of these {len(runs)}{words}", scores, parameters.sum(), times * work.sum()))
    rows += [[title, accuracy, *["–"] * (len(_HEAD) - 2)] for title, accuracy in _others().items()]
    lines = [_HEAD, ["---", *["--:"] * (len(_HEAD) - 1)], *rows]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in lines), "", _NOTE.format(len(labels)), ""])


def _row(title: str, scores: Mapping, parameters: float = 0, work: float = 0, size: int | None = None) -> list[str]:
    accuracy, low, high = (f"{100 * scores[key]:.1f}" for key in ("accuracy", "accuracy_low", "accuracy_high"))
    rest = (f"{scores[key]:.3f}" for key in ("macro_f1", "balanced_accuracy"))
    costs = (f"{parameters / 1e6:.1f} M", f"{work:,.0f}") if parameters else ("–", "–")
    return [title, f"**{accuracy} %** ({low}–{high})", *rest, *costs, f"{size / 1e6:.1f} MB" if size else "–"]


def _bench() -> dict:
    return json.loads((paths.FIGURE / "bench.json").read_text(encoding="utf-8"))


def _others() -> dict[str, str]:
    """Title → accuracy of what is not this project's."""
    fer = find(_bench(), "fer")
    package = "package [`fer`](https://pypi.org/project/fer/) (mini-Xception)"
    return LITERATURE | ({package: f"{100 * fer['accuracy']:.1f} %"} if fer else {})


def bench_table() -> str:
    """The benchmark's whole pipelines in two of its scenes, in Markdown."""
    results = _bench()
    scenes = [scene for scene in results["scenes"] if scene["name"] in SCENES]
    labelling = [entry for entry in results["contenders"] if entry["labels"]]
    return bench.table(results | {"scenes": scenes, "contenders": labelling}) + "\n"


def value(name: str, key: str, form: str) -> str:
    """One stored number of a run: `value("xception", "private.macro_f1", ".3f")`, "config.epochs" or "outcome.…".

    Raises ValueError when the run has no such number.
    """
    if name not in list_runs():
        return _NO_RUN
    run = Run(name)
    try:
        number = reduce(lambda found, part: found[part], key.split("."),
                        {"config": run.config, "outcome": run.outcome, **run.metrics})
        return format(number, form).replace("%", " %")
    except (KeyError, TypeError):
        raise ValueError(f"key: run {name} has no number {key}") from None


def filled(text: str) -> str:
    """`text` with its tables and its numbers replaced by the stored ones."""
    tables = {"results": results_table, "bench": bench_table}
    text = _TABLE.sub(lambda found: f"{found[1]}{tables[found[2]]()}{found[3]}", text)
    return _VALUE.sub(lambda found: f"{found[1]}{value(*found.groups()[1:4])}{found[5]}", text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when `--check` finds a document that differs from the stored results."""
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; show the difference and exit with 1")
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS)
    options, differing = parser.parse_args(arguments), False
    for path in options.documents:
        old = path.read_text(encoding="utf-8")
        new = filled(old)
        if new != old and options.check:
            differing = True
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(path), "stored"))
        elif new != old:
            with paths.atomic(path) as temporary:
                temporary.write_text(new, encoding="utf-8")
            print(f"wrote {path}")
    return int(differing)


if __name__ == "__main__":
    sys.exit(main())
