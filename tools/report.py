"""Writes recorded results into README.md and the model card: `python -m tools.report`. No number there is typed.

Between `<!-- results:start -->` and `<!-- results:end -->` stands the results table. Single numbers stand between
`<!-- value RUN KEY FORMAT -->` and `<!-- end -->`, e.g. `<!-- value xception private.accuracy .1% -->`. `--check` only
compares.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_utils import models, paths
from fer_utils.evaluation import Run, compare, ensemble, list_runs, summary

__all__ = ["DOCUMENTS", "filled", "main", "results_table", "shown_runs", "value"]

DOCUMENTS = (paths.ROOT / "README.md", paths.ROOT / "models" / "README.md")

_TABLE = re.compile(r"(<!-- results:start -->\n).*?(<!-- results:end -->)", re.DOTALL)
_VALUE = re.compile(r"(<!-- value (\S+) (\S+) (\S+) -->).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("Model", "Accuracy (95 % interval)", "Macro-F1", "Balanced accuracy", "Precision", "Recall", "F1",
         "PublicTest accuracy", "Parameters", "M MACs", "ONNX file")
_NO_RUN = "(no recorded run)"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def shown_runs() -> list[Run]:
    """The recorded runs that the table shows, best first: each backbone, its partner on aligned faces, and whatever is
    shipped as ONNX. Experiments on one backbone stay in their notebook, and so does an aligned run whose partner is
    one of them: beside the backbone's last part it would look as if alignment had cost what that part gained."""
    partners = {after.name: before.name for before, after in compare.alignment_pairs()}
    shipped = set(models.available())
    names = [name for name in list_runs() if name in shipped or partners.get(name, name) in models.BACKBONES]
    return sorted((Run(name) for name in names), key=lambda run: -run.metrics["private"]["accuracy"])


def _scores(private: dict) -> list[str]:
    interval = f"{100 * private['accuracy_low']:.1f}–{100 * private['accuracy_high']:.1f}"
    return [
        f"**{_percent(private['accuracy'])}** ({interval})",
        *(f"{private[key]:.3f}" for key in ("macro_f1", "balanced_accuracy", "precision", "recall", "f1")),
    ]


def _row(run: Run) -> list[str]:
    file = models.manifest()["files"].get(f"{run.name}.onnx")
    return [
        models.title(run.name), *_scores(run.metrics["private"]), _percent(run.metrics["public"]["accuracy"]),
        f"{run.outcome['parameters'] / 1e6:.1f} M", f"{run.outcome['m_macs']:,.0f}",
        f"{file['bytes'] / 1e6:.1f} MB" if file else "–",
    ]


def _together(shown: Sequence[Run]) -> list[list[str]]:
    """Rows of all shown networks' weighted mean, one view of a face and, where recorded, twelve; none for one."""
    if len(shown) < 2 or not all((run.folder / "predictions.npz").is_file() for run in shown):
        return []
    known = all((run.folder / ensemble.TTA).is_file() for run in shown)
    parameters, work = (sum(run.outcome[key] for run in shown) for key in ("parameters", "m_macs"))
    rows, weights = [], ensemble.fit_weights(*ensemble.stacked(shown, "public"))
    for augmented in (False, True)[: 1 + known]:
        probabilities, labels = ensemble.stacked(shown, tta=augmented)
        scores = summary(labels, np.average(probabilities, axis=0, weights=weights))
        costs = [f"{parameters / 1e6:.1f} M", f"{work * (ensemble.CROPS if augmented else 1):,.0f}", "–"]
        views = ", twelve views of each face (test-time augmentation)" if augmented else ""
        rows.append([f"Weighted mean of the {len(shown)} below{views}", *_scores(scores), "–", *costs])
    return rows


def _baseline(private: dict) -> list[str]:
    """The row of a model that always says the most frequent label."""
    share = private["majority"]
    label = max(private["per_class"], key=lambda name: private["per_class"][name]["n"])
    classes = sum(entry["n"] > 0 for entry in private["per_class"].values())
    f1 = 2 * share / (1 + share)
    scores = (f"{f1 / classes:.3f}", f"{1 / classes:.3f}", f"{share**2:.3f}", f"{share:.3f}", f"{share * f1:.3f}")
    return [f"always “{label}”", _percent(share), *scores, "–", "–", "–", "–"]


def results_table() -> str:
    """The table in Markdown, with a line that says what it was measured on.

    Raises ValueError when the runs were not evaluated on the same rows.
    """
    shown = shown_runs()
    if not shown:
        return f"{_NO_RUN}\n"
    sizes = {run.metrics["private"]["n"] for run in shown}
    if len(sizes) > 1:
        raise ValueError(f"runs must be evaluated on the same PrivateTest rows; got {sorted(sizes)}")
    body = [*_together(shown), *map(_row, shown), _baseline(shown[0].metrics["private"])]
    rows = [_HEAD, ["---", *["--:"] * (len(_HEAD) - 1)], *body]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    note = (
        f"PrivateTest, all {sizes.pop():,} rows, FER2013's own labels, one forward pass of each network unless a row "
        "says otherwise; epoch, calibration and the mean's weights chosen on PublicTest. The interval is a bootstrap "
        "over rows; precision, recall and F1 are weighted by class size."
    )
    return "\n".join([*lines, "", note, ""])


def value(run: str, key: str, form: str) -> str:
    """One recorded number of a run: `value("xception", "private.macro_f1", ".3f")` of its metrics.json, or
    `value("xception", "config.minutes", ".0f")` of its config.json.

    Raises ValueError when the run has no such number.
    """
    if run not in list_runs():
        return _NO_RUN
    recorded, wanted = Run(run), key.removeprefix("config.")
    number = {**recorded.outcome, **recorded.config} if wanted != key else recorded.metrics
    for part in wanted.split("."):
        if not isinstance(number, dict) or part not in number:
            raise ValueError(f"value: {run}/{'config' if wanted != key else 'metrics'}.json has no {wanted}")
        number = number[part]
    return format(number, form).replace("%", " %")


def filled(text: str) -> str:
    """`text` with its table and its numbers replaced by the recorded ones."""
    text = _TABLE.sub(lambda found: f"{found[1]}{results_table()}{found[2]}", text)
    return _VALUE.sub(lambda found: f"{found[1]}{value(found[2], found[3], found[4])}{found[5]}", text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when `--check` finds a document that differs from the recorded results."""
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; show the difference and exit with 1")
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS)
    options = parser.parse_args(arguments)
    differing = 0
    for path in options.documents:
        old = path.read_text(encoding="utf-8")
        new = filled(old)
        if new == old:
            continue
        differing += 1
        if options.check:
            sys.stdout.writelines(difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), f"{path} as it is", "as recorded"))
            continue
        with paths.atomic(path) as temporary:
            temporary.write_text(new, encoding="utf-8")
        print(f"wrote {path}")
    return int(options.check and differing > 0)


if __name__ == "__main__":
    sys.exit(main())
