"""The report's figures: of what is finite, on logarithmic axes where anything is above 0."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.laboratory import TRUTH
from mjxwm.gradients.landscape import POINTS, REACH, SIZES
from mjxwm.gradients.results import Report
from mjxwm.gradients.summary import BATCHES


def png(figure: Any) -> bytes:
    """A figure as a file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def by_horizon(report: Report) -> Any:
    """Cosine, ESNR and length of the first action's part against the horizon."""
    figure, axes = _figure(3)
    horizons = sorted(report.horizons)
    for name in report.plan:
        rows = [report.horizons[h][name] for h in horizons]
        lengths = [report.growth[name]["length"][h] for h in horizons]
        if name != TRUTH:
            _draw(axes[0], horizons, [row["cosine"] for row in rows], name)
        _draw(axes[1], horizons, [row["esnr"] for row in rows], name)
        _draw(axes[2], horizons, lengths, name)
    titles = ("cosine to the truth", "ESNR", "length, first action's part")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xlabel="steps", title=title)
        axis.grid(alpha=0.3)
        _finish(axis)
    axes[1].set_yscale("symlog", linthresh=1e-3)
    _logarithmic(axes[2])
    _legend(axes[2])
    return figure


def errors(report: Report) -> Any:
    """Mean squared error against the batch size."""
    figure, axes = _figure(2)
    for axis, rows, title in zip(
        axes, (report.plan, report.actor), ("action sequences", "policy parameters"), strict=True
    ):
        for name, row in rows.items():
            _draw(axis, BATCHES, row["mse"], name)
        axis.set(xlabel="samples in a batch N", title=title)
        axis.grid(alpha=0.3)
        _finish(axis)
        _logarithmic(axis)
        _legend(axis)
    axes[0].set_ylabel("mean squared error: bias² + variance / N")
    return figure


def landscape(report: Report) -> Any:
    """The objective along shared directions."""
    names = list(dict.fromkeys(line.direction for line in report.lines))
    figure, axes = _figure(max(1, len(names)))
    x = np.linspace(-REACH, REACH, POINTS)
    for axis, name in zip(axes, names, strict=False):
        for line in report.lines:
            if line.direction == name:
                colour = "C0" if line.dynamics == "simulator" else "C1"
                style = "-" if line.noise else ":"
                label = f"{line.dynamics}, noise {'on' if line.noise else 'off'}"
                axis.plot(x, line.values, style, color=colour, label=label)
        axis.set(title=name, xlabel="share of the parameters' length")
        axis.locator_params(axis="x", nbins=5)
        axis.grid(alpha=0.3)
    _legend(axes[0])
    return figure


def steps(report: Report) -> Any:
    """What steps along each gradient gained."""
    figure, axes = _figure(1)
    for row in report.improvements:
        _draw(axes[0], SIZES, row.gains, row.estimator)
    axes[0].set(xlabel="step, share of the parameters' length", ylabel="gain in return")
    axes[0].grid(alpha=0.3)
    _finish(axes[0])
    _legend(axes[0])
    return figure


def _figure(columns: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * columns, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _draw(axis: Any, x: Sequence[float], values: Sequence[Interval], name: str) -> None:
    """Draws the finite values with their intervals as a line; the truth in black."""
    finite = [(at, value) for at, value in zip(x, values, strict=True) if np.isfinite(value.value)]
    if not finite:
        return
    places, intervals = zip(*finite, strict=True)
    colour = {"color": "k"} if name == TRUTH else {}
    centers = [interval.value for interval in intervals]
    axis.errorbar(places, centers, _bars(intervals), marker=".", label=name, **colour)


def _bars(values: Sequence[Interval]) -> np.ndarray:
    bars = np.array([[f.value - f.low, f.high - f.value] for f in values]).T
    return np.nan_to_num(np.maximum(bars, 0), posinf=0)


def _drawn(axis: Any) -> bool:
    return bool(axis.get_lines())


def _finish(axis: Any) -> None:
    """Logarithmic along x, where all places are above 0; a word where nothing was drawn."""
    if _drawn(axis):
        axis.set_xscale("log")
        return
    words = "nothing is finite here:\nmore start states (--states) or samples are needed"
    axis.text(0.5, 0.5, words, ha="center", va="center", transform=axis.transAxes, fontsize="small")


def _logarithmic(axis: Any) -> None:
    """Logarithmic along y, where anything is above 0."""
    if any((np.asarray(line.get_ydata(), float) > 0).any() for line in axis.get_lines()):
        axis.set_yscale("log")


def _legend(axis: Any) -> None:
    if _drawn(axis):
        axis.legend(fontsize="x-small")
