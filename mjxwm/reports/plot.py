"""Learning curves from the records of runs."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mjxwm.reports import means
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
    figure, axes = _figure(9, 2)
    rows_of = {label: read(path) for label, path in records.items()}
    collected = any(row.get("env_steps") for rows in rows_of.values() for row in rows)
    first = "env_steps" if collected else "iteration"
    for i, rows in enumerate(rows_of.values()):
        for axis, x in zip(axes, (first, "minutes"), strict=True):
            _line(axis, rows, x, "collect/return", color=f"C{i}", **_COLLECTED)
            _line(axis, rows, x, "eval/return", color=f"C{i}", **_EVALUATED)
    axes[0].set_xlabel("env steps, all worlds" if collected else "iterations, no env steps taken")
    axes[1].set_xlabel("minutes, compilation included")
    axes[0].set_ylabel("return of an episode")
    for axis in axes:
        axis.grid(alpha=0.3)
    if handles := _handles(rows_of):
        axes[1].legend(handles=handles, fontsize="small")
    figure.suptitle(_plain(title))
    target.parent.mkdir(parents=True, exist_ok=True)
    return _save(figure, target)


_COLLECTED: dict[str, Any] = {"alpha": 0.3, "linewidth": 1}
_EVALUATED: dict[str, Any] = {"marker": "."}
_WORDS = {
    "eval/return": ("evaluated", _EVALUATED),
    "collect/return": ("collected, with the policy's noise", _COLLECTED),
}
"""What the two kinds of lines show, and their style."""


def _handles(rows_of: dict[str, list[dict[str, Any]]]) -> list[Any]:
    """A legend's entries: the colour of each run, and what lines of each kind show."""
    from matplotlib.lines import Line2D

    kinds = [
        (words, style)
        for name, (words, style) in _WORDS.items()
        if any(row.get(name) is not None for rows in rows_of.values() for row in rows)
    ]
    colour = "C0" if len(rows_of) == 1 else "k"
    runs = enumerate(rows_of) if len(rows_of) > 1 else ()
    handles = [Line2D([], [], color=f"C{i}", label=_plain(label)) for i, label in runs]
    return handles + [Line2D([], [], color=colour, label=what, **style) for what, style in kinds]


def _figure(width: float, panels: int) -> tuple[Any, Any]:
    """A figure of panels side by side, which have one vertical axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, panels, sharey=True, squeeze=False)[0]


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
    groups: dict[str, list[dict[str, NDArray]]],
    target: Path,
    title: str = "",
    y: str = "return",
    colours: dict[str, int] | None = None,
) -> Path:
    """Draws the mean over seeds, with its 95% bootstrap interval, against every other quantity.

    One seed has no interval; seeds that have no place in common are drawn one by one.

    Args:
        groups: runs by label; each run has an array per quantity, `y` among them.
        target: the PNG to write.
        title: above the figure.
        y: what is drawn.
        colours: number of each label's colour; by default their order.
    """
    against = [name for name in next(iter(groups.values()))[0] if name != y]
    figure, axes = _figure(4.5 * len(against), len(against))
    for axis, x in zip(axes, against, strict=True):
        for i, (label, runs) in enumerate(groups.items()):
            colour = f"C{colours[label] if colours else i}"
            _mean(axis, [(run[x], run[y]) for run in runs], colour, _plain(label))
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


def _mean(axis: Any, curves: list[tuple[NDArray, NDArray]], colour: str, label: str) -> None:
    """Draws the mean of several curves, and its interval where there is one."""
    mean = means.mean_curve(curves)
    if mean is None:
        for i, (x, y) in enumerate(curves):
            axis.plot(x, y, color=colour, marker=".", label="" if i else label)
        return
    few = len(mean.x) <= _FEW
    axis.plot(mean.x, mean.mean, color=colour, label=label, marker="." if few else None)
    if len(mean.x) == 1:
        axis.vlines(mean.x, mean.low, mean.high, color=colour, alpha=0.4, linewidth=4)
    else:
        axis.fill_between(mean.x, mean.low, mean.high, color=colour, alpha=0.2, linewidth=0)


_FEW = 30
"""Up to so many places of a mean have a mark each."""
