"""Learning curves from the records of runs."""

from pathlib import Path
from typing import Any

from mjxwm.track import read


def learning_curve(records: dict[str, Path], target: Path, title: str = "") -> Path:
    """Draws returns against env steps and minutes.

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
    for i, (label, path) in enumerate(records.items()):
        rows = read(path)
        for axis, x in zip(axes, ("env_steps", "minutes"), strict=True):
            _line(axis, rows, x, "collect/return", color=f"C{i}", alpha=0.3, linewidth=1)
            _line(axis, rows, x, "eval/return", color=f"C{i}", marker=".", label=label)
    axes[0].set_xlabel("env steps, all worlds")
    axes[1].set_xlabel("minutes, compilation included")
    axes[0].set_ylabel("return of an episode")
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[1].legend(fontsize="small")
    figure.suptitle(title)
    figure.savefig(target, dpi=120)
    return target


def _line(axis: Any, rows: list[dict[str, Any]], x: str, y: str, **style: Any) -> None:
    points = [(row[x], row[y]) for row in rows if x in row and row.get(y) is not None]
    if points:
        axis.plot(*zip(*points, strict=True), **style)
