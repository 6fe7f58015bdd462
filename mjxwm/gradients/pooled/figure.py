"""The figure of a gradient study: the model's gradient less the simulator's, by horizon."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.gradients.pooled.analysis import AS_TRAINED, Analysis, Point
from mjxwm.gradients.pooled.cells import Condition

_ROWS = {
    "cosine": "cosine to the truth",
    "error": "mean squared error / truth²",
}


def drawing(analysis: Analysis, target: Path) -> Path:
    """Draws a panel for each body and stage: differences with their intervals, a line for each
    stiffness; above for cosines, below for errors.

    Args:
        analysis: what is drawn, of models as they were trained.
        target: the PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = [p for p in analysis.points if p.condition.training == AS_TRAINED]
    bodies = list(dict.fromkeys(p.condition.body for p in points)) or [""]
    stages = sorted({p.condition.share for p in points}) or [1.0]
    rows = [(body, key) for body in bodies for key in _ROWS]
    figure = Figure(figsize=(1.5 + 3 * len(stages), 2.3 * len(rows)), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(stages), sharex=True, sharey="row", squeeze=False)
    for i, (body, key) in enumerate(rows):
        for j, share in enumerate(stages):
            axis = axes[i, j]
            _panel(axis, [p for p in points if p.condition.body == body], share, key)
            if i == 0:
                axis.set_title(f"{share:.0%} of training", fontsize="medium")
            if i == len(rows) - 1:
                axis.set_xlabel("horizon [control steps]")
        axes[i, 0].set_ylabel(f"{body}\n{_ROWS[key]}", fontsize="small")
        axes[i, 0].set_yscale("linear" if key == "cosine" else "symlog", **_symlog(key))
        if axes[i, 0].get_legend_handles_labels()[0]:
            axes[i, 0].legend(fontsize="x-small", title="contacts", title_fontsize="x-small")
    figure.suptitle(
        "Model less simulator: above 0 the model's cosine is the better one, below 0 its error\n"
        f"(errors of means of {analysis.batch} samples; 95 % bands over seeds, then start states)",
        fontsize="medium",
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)
    return target


def _symlog(key: str) -> dict[str, Any]:
    return {} if key == "cosine" else {"linthresh": 0.1}


def _panel(axis: Any, points: Sequence[Point], share: float, key: str) -> None:
    """Lines of one body, from soft to stiff always in the same colours."""
    axis.axhline(0, color="k", linewidth=0.8)
    axis.grid(alpha=0.3)
    times = sorted({p.condition.contact_time or 0.0 for p in points}, reverse=True)
    for number, time in enumerate(times):
        line = [
            p
            for p in points
            if p.condition.share == share and (p.condition.contact_time or 0.0) == time
        ]
        if not line:
            continue
        x = [p.horizon for p in line]
        y, low, high = (np.array([p.values[key][k] for p in line]) for k in range(3))
        colour = f"C{number}"
        axis.plot(x, y, marker=".", color=colour, label=_name(line[0].condition))
        axis.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.set_xscale("log", base=2)
    ticks = sorted({p.horizon for p in points})
    axis.set_xticks(ticks, labels=map(str, ticks))


def _name(condition: Condition) -> str:
    time = condition.contact_time
    return "no contacts" if time is None else f"{1000 * time:g} ms"
