"""Figures of notebooks 04 (how the networks learn) and 05 (how good they are)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.figures.style import ACCENT, COLORS, GRAY, MUTED, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "accuracy_intervals",
    "augmented_views",
    "balancing_intervals",
    "class_metrics",
    "confusion_matrices",
    "learning_curves",
    "loss_weights",
    "reliability_diagram",
    "robustness_curves",
    "speed_accuracy",
    "strength_panels",
]

_NUMBER = re.compile(r"[\d.]+[°%]?")
METRIC_COLORS = {"precision": "#56B4E9", "recall": "#0072B2", "f1": "#E69F00"}


def _percent(axis) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def augmented_views(originals: np.ndarray, views: np.ndarray, *, note: str = "") -> Figure:
    """Each face and what training sees of it: `originals` uint8 [N, 48, 48], `views` uint8 [N, V, 48, 48]."""
    import matplotlib.pyplot as plt

    rows, columns = len(originals), views.shape[1] + 1
    fig, axes = plt.subplots(rows, columns, figsize=(WIDTH, WIDTH * rows / columns + 0.4), squeeze=False)
    for row in range(rows):
        for column, face in enumerate([originals[row], *views[row]]):
            axis = axes[row, column]
            axis.imshow(face, cmap="gray", vmin=0, vmax=255)
            axis.set_xticks([]), axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(column == 0)
                spine.set(color=ACCENT, linewidth=2)
    fig.suptitle(
        f"The face (framed) and views that training sees of it{note}", x=0.01, ha="left", fontsize=11, weight="bold"
    )
    return fig


def learning_curves(histories: Mapping[str, pd.DataFrame], *, note: str = "") -> Figure:
    """Training loss and PublicTest accuracy by epoch, a line for each run.

    `histories` holds, by title, tables with epoch, train_loss, public_accuracy (`Run.history`).
    """
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.3))
    for (title, table), color in zip(
        histories.items(), list(COLORS.values())[4:] + list(COLORS.values()), strict=False
    ):
        left.plot(table["epoch"], table["train_loss"], color=color, marker="o", markersize=3.5)
        right.plot(table["epoch"], table["public_accuracy"], color=color, marker="o", markersize=3.5, label=title)
    left.set(title=f"Training loss{note}", xlabel="epoch", ylabel="loss (augmented views, soft labels)")
    right.set(title=f"PublicTest accuracy{note}", xlabel="epoch")
    _percent(right)
    right.legend(loc="lower right", fontsize=9)
    return fig


def loss_weights(tables: Mapping[str, np.ndarray], classes: Sequence[str], *, note: str = "") -> Figure:
    """How much one row of each class counts under each loss, relative to cross-entropy: values float [classes]."""
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(WIDTH, 3.2))
    width = 0.8 / len(tables)
    for index, (title, weights) in enumerate(tables.items()):
        x = np.arange(len(classes)) + (index - (len(tables) - 1) / 2) * width
        axis.bar(x, weights, width * 0.92, label=title, color=list(METRIC_COLORS.values())[index % 3])
    axis.axhline(1, color=GRAY, linewidth=0.8)
    axis.set_xticks(range(len(classes)), classes)
    axis.set(title=f"What one training row counts for{note}", ylabel="weight (cross-entropy = 1)")
    axis.legend(fontsize=9)
    axis.grid(axis="x", visible=False)
    return fig


def confusion_matrices(matrices: Mapping[str, np.ndarray], classes: Sequence[str], *, note: str = "") -> Figure:
    """Row-normalized confusion matrices in percent, by title; counts would hide Disgust.

    `matrices` holds int [7, 7], row = label, column = prediction.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    columns = 2 if len(matrices) > 1 else 1
    rows = -(-len(matrices) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(WIDTH, 3.9 * rows), squeeze=False)
    for axis, (title, matrix) in zip(axes.flat, matrices.items(), strict=False):
        share = 100 * matrix / np.maximum(1, matrix.sum(1, keepdims=True))
        sns.heatmap(
            share, ax=axis, vmin=0, vmax=100, cmap="Blues", cbar=False, square=True, annot=True, fmt=".0f",
            annot_kws={"fontsize": 8.5}, xticklabels=classes, yticklabels=classes,
        )
        axis.tick_params(length=0, labelsize=8.5)
        axis.tick_params(axis="x", rotation=40)
        axis.tick_params(axis="y", rotation=0)
        axis.set(title=f"{title}{note}", xlabel="predicted", ylabel="label")
    for axis in list(axes.flat)[len(matrices) :]:
        axis.set_axis_off()
    fig.suptitle("Percent of each label's rows", x=0.01, ha="left", fontsize=9, color=GRAY)
    return fig


def class_metrics(per_class: Mapping[str, Mapping[str, float]], title: str, *, note: str = "") -> Figure:
    """Precision, recall and F1 of each class as bars; `per_class` as in `metrics.summary`."""
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(WIDTH, 3.4))
    names = list(per_class)
    for index, (metric, color) in enumerate(METRIC_COLORS.items()):
        x = np.arange(len(names)) + (index - 1) * 0.27
        values = [per_class[name][metric] for name in names]
        axis.bar(x, values, 0.25, color=color, label={"f1": "F1"}.get(metric, metric))
        for position, value in zip(x, values, strict=True):
            axis.text(position, value + 0.01, f"{100 * value:.0f}", ha="center", fontsize=7.5, color=GRAY)
    axis.set_xticks(range(len(names)), [f"{name}\nn = {per_class[name]['n']}" for name in names])
    axis.set(title=f"{title}{note}", ylim=(0, 1.12))
    _percent(axis)
    axis.grid(axis="x", visible=False)
    axis.legend(ncols=3, loc="upper right", fontsize=9)
    return fig


def accuracy_intervals(summaries: Mapping[str, Mapping[str, float]], *, note: str = "") -> Figure:
    """Accuracy and macro-F1 with their 95 % intervals, a line for each model, beside the majority baseline."""
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(WIDTH, 1.3 + 0.55 * len(summaries)))
    for row, (_title, scores) in enumerate(summaries.items()):
        for name, offset, color in (("accuracy", -0.12, ACCENT), ("macro_f1", 0.12, "#E69F00")):
            low, high = scores[f"{name}_low"], scores[f"{name}_high"]
            axis.plot([low, high], [row + offset] * 2, color=color, linewidth=2, solid_capstyle="round")
            label = {"accuracy": "accuracy", "macro_f1": "macro-F1"}[name] if row == 0 else None
            axis.plot(scores[name], row + offset, "o", color=color, label=label)
            axis.annotate(
                f"{100 * scores[name]:.1f}", (high, row + offset), xytext=(5, 0), textcoords="offset points",
                va="center", fontsize=9, color=GRAY,
            )
    axis.set_yticks(range(len(summaries)), list(summaries))
    axis.set_ylim(len(summaries) - 0.5, -0.5)
    axis.margins(x=0.08)  # room for the last number
    n = next(iter(summaries.values()))["n"]
    axis.set(title=f"PrivateTest, n = {n:,}, with 95 % intervals{note}", xlabel="percent")
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
    axis.grid(axis="y", visible=False)
    axis.legend(loc="best", fontsize=9)
    return fig


def balancing_intervals(table: pd.DataFrame, *, note: str = "") -> Figure:
    """Each way to counter the imbalance by several scores with their 95 % intervals; `table` from `balancing.compare`.

    A panel a score, a line a way; the dashed line stands at the first way, the one that the others are held against.
    """
    import matplotlib.pyplot as plt

    ways, scores = list(table["way"].unique()), list(table["score"].unique())
    fig, axes = plt.subplots(1, len(scores), figsize=(WIDTH, 0.9 + 0.3 * len(ways)), sharey=True, squeeze=False)
    for axis, score in zip(axes.flat, scores, strict=True):
        part = table[table["score"] == score].set_index("way").loc[ways]
        axis.axvline(part["value"].iloc[0], color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
        for row, (value, low, high) in enumerate(part[["value", "low", "high"]].to_numpy()):
            color = GRAY if row == 0 else ACCENT
            axis.plot([low, high], [row, row], color=color, linewidth=1.8, solid_capstyle="round")
            axis.plot(value, row, "o", color=color, markersize=4)
            axis.annotate(
                f"{100 * value:.1f}", (value, row), xytext=(0, 3.5), textcoords="offset points", ha="center",
                fontsize=7, color=GRAY,
            )
        axis.set_title(textwrap.fill(score, 10), fontsize=9, loc="left")
        axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        axis.xaxis.set_major_locator(plt.MaxNLocator(3))
        axis.tick_params(axis="x", labelsize=8)
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.12)
    axes[0, 0].set_yticks(range(len(ways)), ways, fontsize=8.5)
    axes[0, 0].set_ylim(len(ways) - 0.5, -0.7)
    fig.suptitle(f"PrivateTest, percent, with 95 % intervals{note}", x=0.01, ha="left", fontsize=11, weight="bold")
    return fig


def reliability_diagram(
    panels: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
    errors: Mapping[str, Mapping[str, float]],
    *,
    note: str = "",
) -> Figure:
    """Accuracy against confidence, a panel a model, a line for each state of it (as trained, calibrated).

    `panels` holds, by model and state, what `metrics.reliability` returns, `errors` the ECE of each. Bins with fewer
    than ten rows are not drawn.
    """
    import matplotlib.pyplot as plt

    columns = min(4, max(2, len(panels)))
    rows = -(-len(panels) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(WIDTH, 2.7 * rows + 0.2), sharex=True, sharey=True, squeeze=False)
    for axis, (title, tables) in zip(axes.flat, panels.items(), strict=False):
        axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        for (state, table), color in zip(tables.items(), (GRAY, ACCENT), strict=False):
            seen = table["n"] >= 10
            axis.plot(
                table["confidence"][seen], table["accuracy"][seen], marker="o", markersize=3.5, color=color,
                label=f"{state}\nECE {100 * errors[title][state]:.1f} %",
            )
        axis.set_title(title, fontsize=10, loc="left")
        axis.set(xlabel="confidence", xlim=(0.1, 1), ylim=(0, 1))
        axis.legend(loc="lower right", fontsize=8, handlelength=1.2)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("share that is right")
    fig.suptitle(f"Confidence and truth on PrivateTest{note}", x=0.01, ha="left", fontsize=11, weight="bold")
    return fig


def strength_panels(table: pd.DataFrame) -> tuple[Figure, dict[str, Axes], Axes]:
    """An empty panel for each change in `table` (change, strength, setting), its strengths along x, 0 as "–".

    Returns the figure, its panels by change, and one without axes for the legend.
    """
    import matplotlib.pyplot as plt

    settings = {
        change: part.sort_values("strength")["setting"] for change, part in table.groupby("change", sort=False)
        if len(part) > 1
    }
    columns = 4
    rows = -(-(len(settings) + 1) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(WIDTH, 2.1 * rows + 0.3), sharey=True, squeeze=False)
    panels = dict(zip(settings, axes.flat, strict=False))
    for change, axis in panels.items():
        # "σ 0.6 px" at every tick would collide with the next one: the numbers stand there, the unit in the title.
        numbers = [_NUMBER.search(setting)[0] for setting in settings[change]]
        unit = " ".join(_NUMBER.sub(" ", settings[change].iloc[0]).split())
        axis.set_xticks([0, 1, 3, 5], ["–", *numbers[::2]], fontsize=7.5)
        axis.set_title(f"{change}, {unit}" if unit else change, fontsize=10, loc="left")
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    return fig, panels, axes.flat[len(panels)]


def robustness_curves(tables: Mapping[str, pd.DataFrame], *, note: str = "") -> Figure:
    """Accuracy against the strength of each change, a panel a change, a line a model with its 95 % interval.

    `tables` holds, by title, what `evaluation.read_robustness` returns; strength 0 is the faces as they are.
    """
    fig, panels, spare = strength_panels(next(iter(tables.values())))
    colors = list(COLORS.values())[4:] + list(COLORS.values())
    for change, axis in panels.items():
        for (title, table), color in zip(tables.items(), colors, strict=False):
            part = table[(table["change"] == change) | (table["strength"] == 0)].sort_values("strength")
            axis.plot(part["strength"], part["accuracy"], color=color, marker="o", markersize=3, label=title)
            low, high = part["accuracy_low"], part["accuracy_high"]
            axis.fill_between(part["strength"], low, high, color=color, alpha=0.15, linewidth=0)
        axis.set_ylim(0, 0.8)
        _percent(axis)
    spare.legend(*axis.get_legend_handles_labels(), loc="center", fontsize=8.5)
    fig.suptitle(f"Accuracy on PrivateTest faces made worse{note}", x=0.01, ha="left", fontsize=11, weight="bold")
    return fig


def speed_accuracy(rows: Sequence[Mapping[str, float]], *, note: str = "") -> Figure:
    """Accuracy against milliseconds for one face; `rows` hold title, latency (ms), accuracy and megabytes."""
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(WIDTH * 0.75, 3.6))
    for row, color in zip(rows, list(COLORS.values())[4:] + list(COLORS.values()), strict=False):
        axis.scatter(row["latency"], row["accuracy"], s=20 + 5 * row["megabytes"], color=color, alpha=0.85)
        axis.annotate(
            f"{row['title']}\n{row['megabytes']:.0f} MB",
            (row["latency"], row["accuracy"]),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=GRAY,
        )
    axis.margins(0.35, 0.5)
    axis.set(
        title=f"Accuracy against time{note}",
        xlabel="milliseconds for one face (ONNX Runtime, CPU)",
        ylabel="PrivateTest accuracy",
    )
    _percent(axis)
    return fig
