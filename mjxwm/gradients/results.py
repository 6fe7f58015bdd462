"""What an experiment found, as plain values."""

from typing import Any, NamedTuple

import numpy as np

from mjxwm.gradients import landscape, summary
from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.gate import Gate


class Report(NamedTuple):
    """What was found; `plain` turns it into JSON."""

    task: str
    horizon: int
    starts: dict[str, int]
    """Start states by stratum."""
    gates: list[Gate]
    plan: summary.Rows
    """Action-sequence gradients by estimator, at their start states."""
    actor: summary.Rows
    """Gradients with respect to the policy's parameters, of the mean over start states; empty
    where they were not measured, as `lines` and `improvements` are without a landscape."""
    strata: dict[str, summary.Rows]
    """`plan` for the start states of each stratum."""
    horizons: dict[int, summary.Rows]
    """`plan` by horizon, the longest included."""
    growth: dict[str, dict[str, Any]]
    """Growth of the first action's gradient with the horizon, see `summary.growth`."""
    ahead: dict[str, dict[str, Interval]]
    """By level and stratum: the model's statistics less the simulator's, on the same draws."""
    lines: list[landscape.Line]
    improvements: list[landscape.Improvement]
    states: summary.States
    """What pooling over several reports needs of every start state."""


def plain(value: Any) -> Any:
    """A report as JSON takes it: no tuples with names; NaN is null, infinity a word."""
    if isinstance(value, Interval):
        return [plain(x) for x in value]
    if hasattr(value, "_asdict"):
        return {k: plain(v) for k, v in value._asdict().items()}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        if np.isinf(value):
            return "infinity" if value > 0 else "-infinity"
        return float(f"{value:.6g}") if np.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    return value
