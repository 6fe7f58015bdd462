"""What a report comes to, in a paragraph that its numbers write."""

import numpy as np

from mjxwm.gradients import names
from mjxwm.gradients.bootstrap import LEAST_GROUPS, Interval
from mjxwm.gradients.config import TRUTH
from mjxwm.gradients.results import Report
from mjxwm.gradients.summary import BATCHES


def paragraph(report: Report) -> str:
    """The comparison of model and simulator, whoever wins."""
    sentences = [
        *_direction(report, "plan", "action sequences"),
        *_direction(report, "actor", "policy parameters"),
        *_strata(report),
        *_steps(report),
    ]
    states = sum(report.starts.values())
    if states < LEAST_GROUPS:
        sentences.append(
            f"There are no intervals: they need {LEAST_GROUPS} start states or more, and there "
            f"are {states}; raise --states."
        )
    failed = [gate.name for gate in report.gates if gate.passed is not True]
    if failed:
        sentences.append(f"Read all this with care: {', '.join(failed)} did not pass.")
    return " ".join(sentences)


def _direction(report: Report, level: str, of: str) -> list[str]:
    rows = getattr(report, level)
    if not rows:
        return []
    sim, model = rows["simulator"], rows["model"]
    quieter = model["variance"].value / max(sim["variance"].value, 1e-300)
    times = "unknown" if np.isnan(quieter) else f"{quieter:.2g}"
    sentence = (
        f"For {of} over {report.horizon} steps the simulator's gradient has a cosine of "
        f"{_say(sim['cosine'])} to the truth, the model's {_say(model['cosine'])}; the variance of "
        f"the model's is {times} times the simulator's, its squared bias "
        f"{_say(model['bias2'])} against {_say(sim['bias2'])}."
    )
    return [sentence, _errors(sim, model), _verdict(report.ahead[level]["cosine"])]


def _errors(sim: dict, model: dict) -> str:
    errors = np.array([[e.value for e in row["mse"]] for row in (sim, model)])
    if np.isnan(errors).any():
        return "Whose mean squared error is the smaller needs more start states or samples."
    wins = errors[1] < errors[0]
    if wins.all() or not wins.any():
        who = "model's" if wins.all() else "simulator's"
        return (
            f"At every batch size from 1 to {BATCHES[-1]} the {who} mean squared error is the "
            "smaller."
        )
    if wins[0]:
        up_to = BATCHES[int(np.argmin(wins)) - 1]
        return f"The model's mean squared error is the smaller up to batches of {up_to}."
    since = BATCHES[int(np.argmax(wins))]
    return f"The model's mean squared error is the smaller from batches of {since} on."


def _verdict(ahead: Interval) -> str:
    if np.isnan(ahead.value):
        return "Which of the two points nearer to the truth needs more start states or samples."
    difference = f"their cosines differ by {_say(ahead)}"
    if ahead.low > 0:
        return f"The model points nearer to the truth: {difference}."
    if ahead.high < 0:
        return f"The simulator points nearer to the truth: {difference}."
    return f"Which of the two points nearer to the truth is not decided: {difference}."


def _strata(report: Report) -> list[str]:
    """By stratum, on the same draws for both."""
    sentences = []
    ahead = {name: report.ahead[name]["cosine"] for name in report.strata}
    for words, chosen in (
        ("The model points nearer to the truth in", [n for n, a in ahead.items() if a.low > 0]),
        ("The model loses in", [n for n, a in ahead.items() if a.high < 0]),
        ("Not decided:", [n for n, a in ahead.items() if not (a.low > 0 or a.high < 0)]),
    ):
        if chosen:
            sentences.append(f"{words} {', '.join(chosen)}.")
    return sentences


def _steps(report: Report) -> list[str]:
    by_name = {row.estimator: row for row in report.improvements}
    if not by_name:
        return []
    parts = [
        f"{names.estimator(name)} {_say(by_name[name].gain)} (a step of {by_name[name].size:g})"
        for name in (TRUTH, "simulator", "model", f"{TRUTH}, all samples")
    ]
    samples = by_name["model"].samples
    return [
        f"A step along the mean of {samples} samples per start state, of the length that was best "
        f"at half of the states, gained at the other half: {'; '.join(parts)}."
    ]


def _say(x: Interval) -> str:
    if np.isnan(x.value):
        return "unknown"
    if np.isnan(x.low):
        return f"{x.value:.3g} (no interval)"
    return f"{x.value:.3g} [{x.low:.2g}, {x.high:.2g}]"
