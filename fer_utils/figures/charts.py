"""Charts of tables: bars, class counts, values with intervals, curves, heatmaps. Each `title` is the figure's."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from fer_utils.figures.style import GRAY, MUTED, colors_of, legend, panels

DASHED = {"color": GRAY, "linewidth": 1, "linestyle": (0, (3, 2))}


def bars(table: pd.DataFrame, *, title: str, label: str, horizontal: bool = False, number: str = "%.0f") -> Figure:
    """Draw grouped bars with their numbers: a group a row of the table, a bar a column.

    `label`: the quantity with its unit. `number`: printf-style format of the numbers. `horizontal`: for long names.

    Examples
    --------
    >>> nodes = pd.DataFrame({"converted": [163], "simplified": [55]}, index=["Xception"])
    >>> bars(nodes, title="Simplification", label="nodes of the ONNX graph", horizontal=True)
    """
    figure, ((axis,),) = panels(1, 1, height=1.1 + 0.36 * len(table) if horizontal else 3.2, title=title)
    lines = [str(name).splitlines() for name in table.index]
    names = ["\n".join(textwrap.fill(line, 36 if horizontal else 12) for line in parts) for parts in lines]
    table.set_axis(names).plot(kind="barh" if horizontal else "bar", ax=axis, color=colors_of(table.columns), width=0.8,
                               rot=0, legend=False)
    for container in axis.containers:
        axis.bar_label(container, fmt=number, padding=2, fontsize=8, color=GRAY)
    if horizontal:
        axis.invert_yaxis()
    axis.set(**{"xlabel" if horizontal else "ylabel": label, "ylabel" if horizontal else "xlabel": ""})
    axis.grid(axis="y" if horizontal else "x", visible=False)
    axis.margins(**{"x" if horizontal else "y": 0.1})
    legend(figure, axis)
    return figure


def class_counts(counts: pd.DataFrame, *, title: str, distinct: pd.DataFrame | None = None,
                 before: pd.Series | None = None, columns: int = 3) -> Figure:
    """Draw how many images each class has, with its share: a panel a column of the table.

    Parameters
    ----------
    counts : DataFrame of int [classes, panels]
    distinct : DataFrame as `counts`, the distinct images among them; the rest of a bar is pale, and how often each
        occurs on average is written in place of the share
    before : Series of int [classes], earlier counts; a dashed outline where a bar is shorter
    columns : panels side by side

    Examples
    --------
    >>> counts = pd.DataFrame(fer.counts().T, index=data.CLASSES, columns=data.SPLITS)
    >>> class_counts(counts, title=f"Labels of each split{fer.title_note}")
    """
    rows, place = -(-counts.shape[1] // columns), np.arange(len(counts))
    figure, axes = panels(rows, columns, height=0.4 + 2.1 * rows, title=title, sharey=True)
    for axis, (name, count) in zip(axes.flat, counts.items(), strict=False):
        unique = count if distinct is None else distinct[name]
        ends = count if before is None else np.maximum(count, before)
        axis.barh(place, np.where(ends > count, ends, 0), color="none", edgecolor=GRAY, linestyle="--", linewidth=0.8)
        axis.barh(place, count, color=colors_of(counts.index).values(), alpha=0.35)
        axis.barh(place, unique, color=colors_of(counts.index).values())
        for row, (end, n, different) in enumerate(zip(ends, count, unique, strict=True)):
            copies = f" (×{n / max(different, 1):.1f})" if n >= 1.05 * different else f" of {end:,}" * (end > n)
            more = f" · {100 * n / max(count.sum(), 1):.1f} %" if distinct is None else copies
            axis.text(end, row, f" {n:,}{more}", va="center", fontsize=8, color=GRAY)
        axis.set(title=f"{name}: {count.sum():,} images", xticks=[], yticks=place, yticklabels=counts.index)
        axis.set_xlim(0, 1.75 * max(ends.max(), 1 if distinct is None else counts.to_numpy().max()))
        axis.grid(False)
    axes[0, 0].invert_yaxis()
    looks = {"distinct images": {"color": GRAY}, "copies": {"color": GRAY, "alpha": 0.35},
             "left out": {"fill": False, "edgecolor": GRAY, "linestyle": "--"}}
    for name, look in looks.items() if distinct is not None else ():
        axes[0, 0].add_patch(Rectangle((0, 0), 0, 0, label=name, **look))
    legend(figure, axes[0, 0])
    return figure


def intervals(table: pd.DataFrame, *, row: str, value: str, title: str, label: str = "percent, 95 % interval",
              series: str = "", panel: str = "", joined: Sequence[str] = (),
              references: Mapping[str, float] | None = None) -> Figure:
    """Draw values with their intervals, a line a row, as a forest plot.

    Parameters
    ----------
    table : DataFrame in long form; without its columns low and high (or where they are NaN) a dot alone is drawn
    row, value, series, panel : its columns: what stands at the left, what is drawn, what has a colour, what has a panel
    label : the quantity with its unit
    joined : panels whose series lie on one height, joined by a line
    references : panel → where its dashed line stands ("" names the only panel)

    Examples
    --------
    >>> scores = pd.DataFrame({"model": ["Xception"], "accuracy": [70.1], "low": [68.6], "high": [71.6]})
    >>> intervals(scores, row="model", value="accuracy", title="PrivateTest, n = 3,589")
    """
    table = table.reset_index(drop=True).assign(**{key: np.nan for key in ("low", "high") if key not in table})
    table = table.assign(row=table[row], value=table[value], series=table.get(series, ""), panel=table.get(panel, ""))
    rows, names, colors = table["row"].unique(), table["panel"].unique(), colors_of(table["series"])
    apart = 1 if joined else len(colors)
    height = 0.9 + (0.22 + 0.14 * len(colors)) * len(rows) + 0.2 * (len(names) > 1)
    figure, axes = panels(1, len(names), height=height, title=title, sharey=True)
    for axis, name in zip(axes[0], names, strict=True):
        own = table[table["panel"] == name]
        if name in joined:
            ends = own.groupby("row")["value"].agg(["min", "max"]).loc[rows]
            axis.hlines(range(len(rows)), ends["min"], ends["max"], color=MUTED, linewidth=3)
        for number, (key, color) in enumerate(colors.items()):
            one = own[own["series"] == key].set_index("row").reindex(rows)
            place = np.arange(len(rows)) + (0 if apart == 1 else 0.34 * (number - (apart - 1) / 2))
            spans = np.nan_to_num([one["value"] - one["low"], one["high"] - one["value"]]).clip(0)
            axis.errorbar(one["value"], place, xerr=spans, fmt="o", color=color, markersize=5, linewidth=2, label=key)
            sign = "+" if (one["low"] < 0).any() else ""
            for (x, high), y in zip(one[["value", "high"]].to_numpy(), place, strict=True):
                spot, offset = (x, (-8, -13 if number else 5)) if name in joined else (high, (4, -3))
                if np.isfinite(high):
                    text = f"{x:{sign}.1f}".replace("-", "−")  # the minus of the axis
                    axis.annotate(text, (spot, y), xytext=offset, textcoords="offset points", fontsize=8, color=GRAY,
                                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
        if references is not None and name in references:
            axis.axvline(references[name], **DASHED)
        axis.set(title=textwrap.fill(name, 62 // len(names)), xlabel=label if name == names[len(names) // 2] else "")
        axis.set_yticks(range(len(rows)), [textwrap.fill(str(text), 26) for text in rows])
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.12)
    axes[0, 0].set_ylim(len(rows) - 0.3, -0.7)
    legend(figure, axes[0, 0])
    return figure


def curves(table: pd.DataFrame, *, x: str, y: str, title: str, series: str = "", panel: str = "",
           xlabel: str | None = None, ylabel: str | None = None, columns: int = 2, height: float = 2.4,
           reference: Sequence[float] = (), **options: Any) -> Figure:
    """Draw line charts as small multiples.

    Parameters
    ----------
    table : DataFrame in long form; its columns low and high, if any, are drawn as a band
    x, y, series, panel : its columns: along, up, what has a colour, what has a panel
    xlabel, ylabel : other names for `x` and `y`
    columns, height : panels side by side, inches of a line of panels
    reference : height of a dashed line at the left and at the right edge (chance, no change, the diagonal)
    **options : of `Axes.set`, for every panel, such as ``ylim=(0, 100)``

    Examples
    --------
    >>> long = history.melt("epoch", ["loss", "accuracy"])
    >>> curves(long, x="epoch", y="value", panel="variable", title="Learning curves")
    """
    table = table.assign(series=table.get(series, ""), panel=table.get(panel, ""))
    names, colors = table["panel"].unique(), colors_of(table["series"])
    rows, columns = -(-len(names) // columns), min(columns, len(names))
    figure, axes = panels(rows, columns, height=height * rows + 0.6, title=title, sharey=True)
    for axis, name in zip(axes.flat, names, strict=False):
        if len(reference):
            axis.plot([0, 1], reference, **DASHED, transform=axis.get_yaxis_transform())
        for key, color in colors.items():
            own = table[(table["panel"] == name) & (table["series"] == key)]
            axis.plot(own[x], own[y], color=color, marker="o", markersize=3, label=key)
            if "low" in own:
                axis.fill_between(own[x], own["low"], own["high"], color=color, alpha=0.15, linewidth=0)
        if pd.api.types.is_integer_dtype(table[x]):  # no tick between two epochs
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(title=textwrap.fill(name, 92 // columns), **options)
    for axis in axes[-1]:
        axis.set_xlabel(x if xlabel is None else xlabel)
    figure.supylabel(y if ylabel is None else ylabel, fontsize=9, color=GRAY)
    legend(figure, axes[0, 0])
    return figure


def robustness_curves(tables: Mapping[str, pd.DataFrame], *, title: str, value: str = "accuracy",
                      **options: Any) -> Figure:
    """Draw a score in percent against the severity of each image corruption, a line a model, with 95 % intervals.

    `tables`: model → DataFrame with corruption, severity (0: the original image, which starts every line), setting, and
    the column `value`, low, high (or `value`_low, …) as 0–1. `options` as in `curves`.

    Examples
    --------
    >>> tables = {run.title: evaluation.robustness.read_robustness(run.name) for run in runs}
    >>> robustness_curves(tables, title="Corrupted PrivateTest images", ylim=(0, 80))
    """
    parts = []
    for model, table in tables.items():
        table = table.rename(columns={f"{value}_low": "low", f"{value}_high": "high"})
        for name, own in table[table["severity"] > 0].groupby("corruption", sort=False):
            points = pd.concat([table[table["severity"] == 0], own.sort_values("severity")])
            points[[value, "low", "high"]] *= 100
            parts.append(points.assign(model=model, panel=f"{name}, up to {own['setting'].iloc[-1]}"))
    options = {"ylabel": f"{value}, percent", "columns": 4, "height": 1.9, "xticks": range(6)} | options
    return curves(pd.concat(parts), x="severity", y=value, series="model", panel="panel", title=title, **options)


def heatmaps(tables: Mapping[str, pd.DataFrame], *, title: str, xlabel: str = "", ylabel: str = "",
             diagonal: bool = False) -> Figure:
    """Draw tables of percent as heatmaps with their numbers, two side by side.

    `tables`: panel → DataFrame of float, 0–100. `diagonal`: frame the cells whose row and column mean the same.

    Examples
    --------
    >>> shares = 100 * evaluation.confusion(labels, predicted) / np.bincount(labels)[:, None]
    >>> heatmaps({"Xception": pd.DataFrame(shares, data.CLASSES, data.CLASSES)}, title="Percent of each label")
    """
    columns = min(len(tables), 2)
    rows = -(-len(tables) // columns)
    figure, axes = panels(rows, columns, height=0.35 + (3.3 if columns == 1 else 3.6) * rows, title=title)
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=False):
        # Twice the range, so that no cell is too dark for black text.
        sns.heatmap(table, ax=axis, vmin=0, vmax=200, cmap="Blues", cbar=False, annot=True, fmt=".0f",
                    annot_kws={"color": "black", "fontsize": 8})
        for place in range(min(table.shape) if diagonal else 0):
            axis.add_patch(Rectangle((place, place), 1, 1, fill=False, edgecolor=GRAY, linewidth=1.2))
        axis.set(title=name, xlabel=xlabel, ylabel=ylabel)
        axis.tick_params(axis="x", length=0, labelsize=8, rotation=0 if columns == 1 else 40)
        axis.tick_params(axis="y", length=0, labelsize=8, rotation=0)
    return figure
