"""Figures of how far a run's model and critics see."""

from typing import Any

from mjxwm.reports.one_run import foresight
from mjxwm.reports.one_run.material import Material
from mjxwm.reports.pages import page
from mjxwm.reports.pages.charts import INK, Chart, Line
from mjxwm.reports.pages.page import Html
from mjxwm.runs.folders import quoted


def figures(material: Material) -> list[Html]:
    """Its figures; a word, with the command that measures it, where it was not measured."""
    values = foresight.read(material.run)
    if material.algorithm == "pretrain":
        return []
    if not values.keys() - {"iteration", "reason"}:
        again = f"not measured yet; `mjxwm report {quoted(material.run.path)}` does it."
        why = values.get("reason") or again
        return [page.missing("Model and critics against what then happened", why)]
    return [
        _errors(values, "latent", "latent_unchanged", "latent as it was at first", "latents"),
        _errors(values, "reward", "reward_mean", "mean reward of the episodes", "rewards"),
        _cumulated(values),
        _pairs(values.get("values", {}), "value", "Value of the critics", "discounted return"),
    ]


def _line(name: str, values: dict[str, list[float]], colour: int) -> Line:
    steps = list(range(1, len(values["mean"]) + 1))
    return Line(name, steps, values["mean"], values["low"], values["high"], colour)


def _errors(values: dict[str, Any], name: str, other: str, plain: str, what: str) -> Html:
    if name not in values:
        return Html("")
    lines = [_line("world model", values[name], 0), _line(plain, values[other], INK)]
    return page.figure(
        f"Open-loop error of the model, {what}",
        Chart(lines, "steps ahead, by actions that were taken", zero=True),
        f"How far predicted {what} are from those of the episode, without a look at it in between; "
        "in black the error of a guess that knows nothing of the actions.",
        "a blue line that reaches the black one: from that many steps on the model knows nothing.",
    )


def _cumulated(values: dict[str, Any]) -> Html:
    if "imagined" not in values:
        return Html("")
    lines = [
        _line("imagined by the model", values["imagined"], 0),
        _line("real", values["real"], INK),
    ]
    return page.figure(
        "Imagined against real return",
        Chart(lines, "steps ahead, by the policy"),
        "Sum of the rewards from the same states on: as the model imagines the policy (without a "
        "planner), and as it was.",
        "an imagined line that climbs above the real one: the policy exploits errors of the model.",
    )


def _pairs(pairs: dict[str, list[float]], name: str, title: str, real: str) -> Html:
    if name not in pairs:
        return Html("")
    ends = [min(pairs["real"]), max(pairs["real"])]
    lines = [
        Line("states of the episodes", pairs["real"], pairs[name], style="points"),
        Line("right", ends, ends, colour=INK, style="dashed"),
    ]
    return page.figure(
        f"{title} against the {real}",
        Chart(lines, f"real {real} from there on"),
        "What the critics expect of single states, and the discounted rewards that followed. Where "
        "the time limit cut an episode off, their value of its last state stands for the rest.",
        "points above the line: the critics are too hopeful, and the policy is led by it.",
    )
