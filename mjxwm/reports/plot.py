"""Learning curves from the records of runs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjxwm.maths import bootstrap
from mjxwm.runs import checksums
from mjxwm.runs.record import read


def learning_curve(records: dict[str, Path], target: Path, title: str = "") -> Path:
    """Draws returns against env steps and minutes; against iterations where no env steps are taken.

    Args:
        records: `metrics.jsonl` files by label; each gets a colour, evaluated returns a solid line
            and those of collected episodes, with the policy's noise, a faint one.
        target: the PNG to write.
        title: above the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    rows_of = {label: read(path) for label, path in records.items()}
    collected = any(row.get("env_steps") for rows in rows_of.values() for row in rows)
    first = "env_steps" if collected else "iteration"
    for i, (label, rows) in enumerate(rows_of.items()):
        for axis, x in zip(axes, (first, "minutes"), strict=True):
            _line(axis, rows, x, "collect/return", color=f"C{i}", alpha=0.3, linewidth=1)
            _line(axis, rows, x, "eval/return", color=f"C{i}", marker=".", label=_plain(label))
    axes[0].set_xlabel("env steps, all worlds" if collected else "iterations, no env steps taken")
    axes[1].set_xlabel("minutes, compilation included")
    axes[0].set_ylabel("return of an episode")
    for axis in axes:
        axis.grid(alpha=0.3)
    if axes[1].get_legend_handles_labels()[0]:
        axes[1].legend(fontsize="small")
    figure.suptitle(_plain(title))
    target.parent.mkdir(parents=True, exist_ok=True)
    return _save(figure, target)


def _save(figure: Any, target: Path) -> Path:
    """Replaces a figure's file at once: a full disk leaves the one before, and no half of one."""
    with checksums.replacing(target) as partial:
        figure.savefig(partial, dpi=120, format=target.suffix[1:].lower())
    return target


def _plain(text: str) -> str:
    """Text that matplotlib draws as it is: no formula for a $, no label left out for a first _."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def _line(axis: Any, rows: list[dict[str, Any]], x: str, y: str, **style: Any) -> None:
    points = [(row[x], row[y]) for row in rows if x in row and row.get(y) is not None]
    if points:
        axis.plot(*zip(*points, strict=True), **style)


def comparison(
    groups: dict[str, list[dict[str, NDArray]]], target: Path, title: str = "", y: str = "return"
) -> Path:
    """Draws the mean over seeds, with its 95% bootstrap interval, against every other quantity.

    Args:
        groups: runs by label; each run has an array per quantity, `y` among them.
        target: the PNG to write.
        title: above the figure.
        y: what is drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    against = [name for name in next(iter(groups.values()))[0] if name != y]
    figure = Figure(figsize=(4.5 * len(against), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(against), sharey=True, squeeze=False)[0]
    for axis, x in zip(axes, against, strict=True):
        for i, (label, runs) in enumerate(groups.items()):
            # Only as far as every run of the group goes: a mean of fewer would be another one.
            start, end = max(r[x][0] for r in runs), min(r[x][-1] for r in runs)
            grid = np.linspace(start, max(start, end), 60)
            values = np.stack([np.interp(grid, r[x], r[y]) for r in runs])
            low, high = mean_interval(values)
            axis.plot(grid, values.mean(axis=0), color=f"C{i}", label=_plain(label))
            axis.fill_between(grid, low, high, color=f"C{i}", alpha=0.2, linewidth=0)
        ends = [r[x][-1] for runs in groups.values() for r in runs]
        if max(ends) > 20 * min(ends) > 0:
            axis.set_xscale("log")  # PWM makes tens of updates where SHAC makes one
        axis.set_xlabel(x)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(y)
    axes[-1].legend(fontsize="small")
    figure.suptitle(_plain(title))
    target.parent.mkdir(parents=True, exist_ok=True)
    return _save(figure, target)


def mean_interval(values: NDArray) -> tuple[NDArray, NDArray]:
    """Ends [n] of the 95% bootstrap interval of the mean over the rows of `values` [S, n].

    With one row both ends are that row.
    """
    return bootstrap.interval(lambda drawn: drawn.mean(axis=1), [values])
