"""Writes stored results into README.md and the model card: `python -m tools.report`. No number there is typed.

The results' table stands between `<!-- results:start -->` and `<!-- results:end -->`, the benchmark's between the same
with `bench`. Single numbers stand between `<!-- value RUN KEY FORMAT -->` and `<!-- end -->`, e.g.
`<!-- value xception private.accuracy .1% -->` or `<!-- value xception outcome.minutes .0f -->`.
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
from tools.bench.table import table as bench_rows

__all__ = ["DOCUMENTS", "filled", "main", "results_table", "shown_runs", "value"]

DOCUMENTS = (paths.ROOT / "README.md", paths.ROOT / "models" / "README.md")

_TABLE = re.compile(r"(<!-- (results|bench):start -->\n).*?(<!-- \2:end -->)", re.DOTALL)
_VALUE = re.compile(r"(<!-- value (\S+) (\S+) (\S+) -->).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("Model", "Accuracy (95 % interval)", "Macro-F1", "Balanced accuracy", "Precision", "Recall", "F1",
         "PublicTest accuracy", "Parameters", "M MACs", "ONNX file")
_NOTE = """PrivateTest, all {:,} images, FER2013's own labels, a single crop through each model unless a row says \
otherwise; calibration and ensemble weights fitted on PublicTest. The interval is a bootstrap over images; precision, \
recall and F1 are weighted by class size."""
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
    rows = []
    if len(runs) > 1:
        weights = ensemble.fit_weights(*ensemble.stacked(runs, "public"))
        costs = (sum(run.outcome[key] for run in runs) for key in ("parameters", "m_macs"))
        title, (parameters, work) = f"Weighted mean of the {len(runs)} below", costs
        rows.append(_row(title, _mean(probabilities, weights, labels), parameters, work))
        if all((run.folder / ensemble.TTA).is_file() for run in runs):
            scores = _mean(ensemble.stacked(runs, tta=True)[0], weights, labels)
            rows.append(_row(f"{title}, {ensemble.CROPS} crops (TTA)", scores, parameters, work * ensemble.CROPS))
    for run in runs:
        size = files.get(f"{run.name}.onnx", {}).get("bytes")
        public = f"{100 * run.metrics['public']['accuracy']:.1f} %"
        file = f"{size / 1e6:.1f} MB" if size else "–"
        costs = run.outcome["parameters"], run.outcome["m_macs"]
        rows.append(_row(run.title, run.metrics["private"], *costs, public, file))
    majority = np.bincount(labels).argmax()
    rows.append(_row(f"always “{data.CLASSES[majority]}”", summary(labels, np.eye(7)[np.full(len(labels), majority)])))
    lines = [_HEAD, ["---", *["--:"] * (len(_HEAD) - 1)], *rows]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in lines), "", _NOTE.format(len(labels)), ""])


def _mean(probabilities: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> dict:
    return summary(labels, np.average(probabilities, axis=0, weights=weights))


def _row(
    title: str, scores: Mapping, parameters: float = 0, work: float = 0, public: str = "–", file: str = "–"
) -> list[str]:
    accuracy, low, high = (f"{100 * scores[key]:.1f}" for key in ("accuracy", "accuracy_low", "accuracy_high"))
    rest = (f"{scores[key]:.3f}" for key in ("macro_f1", "balanced_accuracy", "precision", "recall", "f1"))
    costs = (f"{parameters / 1e6:.1f} M", f"{work:,.0f}") if parameters else ("–", "–")
    return [title, f"**{accuracy} %** ({low}–{high})", *rest, public, *costs, file]


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
    def table(found: re.Match) -> str:
        bench = paths.FIGURE / "bench.json"
        body = results_table() if found[2] == "results" else bench_rows(json.loads(bench.read_text("utf-8"))) + "\n"
        return f"{found[1]}{body}{found[3]}"

    return _VALUE.sub(lambda found: f"{found[1]}{value(*found.groups()[1:4])}{found[5]}", _TABLE.sub(table, text))


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
