"""What a report comes to, in a paragraph that its numbers write."""

import numpy as np

from mjxwm.gradients.experiment import Report
from mjxwm.gradients.laboratory import TRUTH
from mjxwm.gradients.landscape import SIZES
from mjxwm.gradients.metrics import Interval


def paragraph(report: Report) -> str:
    """The comparison of model and simulator, whoever wins."""
    said = [
        *_direction(report, "plan", "action sequences"),
        *_direction(report, "actor", "policy parameters"),
        *_strata(report),
        *_steps(report),
    ]
    failed = [gate.name for gate in report.gates if gate.passed is False]
    if failed:
        said.append(f"Read all this with care: {', '.join(failed)} did not pass.")
    return " ".join(said)


def _direction(report: Report, level: str, of: str) -> list[str]:
    rows = getattr(report, level)
    sim, model = rows["simulator"], rows["model"]
    quieter = model["variance"].value / max(sim["variance"].value, 1e-300)
    said = (
        f"For {of} over {report.horizon} steps the simulator's gradient has a cosine of "
        f"{_say(sim['cosine'])} to the truth, the model's {_say(model['cosine'])}; the variance of "
        f"the model's is {quieter:.2g} times the simulator's, its squared bias "
        f"{_say(model['bias2'])} against {_say(sim['bias2'])}."
    )
    errors = np.array([sim["mse"], model["mse"]])
    batches = np.nonzero(errors[1] < errors[0])[0]
    if len(batches) == errors.shape[1]:
        tail = "At every batch size from 1 to 4096 the model's mean squared error is the smaller."
    elif not len(batches):
        tail = "At every batch size from 1 to 4096 the simulator's mean squared error is smaller."
    else:
        tail = f"The model's mean squared error is the smaller up to batches of {4 ** batches[-1]}."
    return [said, tail]


def _strata(report: Report) -> list[str]:
    gaps = {
        name: (rows["simulator"]["cosine"].value, rows["model"]["cosine"].value)
        for name, rows in report.strata.items()
    }
    lost = [n for n, (sim, model) in gaps.items() if model < sim]
    won = [n for n, (sim, model) in gaps.items() if model > sim]
    said = []
    if won:
        said.append(f"The model points nearer to the truth in {', '.join(won)}.")
    if lost:
        said.append(f"The model loses in {', '.join(lost)}.")
    return said


def _steps(report: Report) -> list[str]:
    best = max(report.improvements, key=lambda row: row.best)
    by_name = {row.estimator: row for row in report.improvements}
    parts = []
    for name in (TRUTH, "simulator", "model"):
        row = by_name[name]
        i = int(np.argmax([g.value for g in row.gains]))
        parts.append(f"{name} {_say(row.gains[i])} (a step of {SIZES[i]:g})")
    return [f"The best step along each gained: {'; '.join(parts)}; most of all {best.estimator}."]


def _say(x: Interval) -> str:
    return f"{x.value:.3g} [{x.low:.2g}, {x.high:.2g}]"
