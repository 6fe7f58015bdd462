"""The commands that repeat a run, go on with it, evaluate it and hand it on."""

from mjxwm.reports.one_run.material import Material
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.runs.folders import quoted


def parts(material: Material) -> list[Html]:
    """The commands, each with what it does."""
    return [page.command(text, about) for about, text in _commands(material)]


def _commands(material: Material) -> list[tuple[str, str]]:
    run = material.run
    path = quoted(run.path)
    if material.algorithm == "pretrain":
        return [
            ("Go on with it", f"mjxwm pretrain --resume {path}"),
            ("Evaluate it on all its tasks", f"mjxwm eval --suite TASKS --model {path}"),
            ("The policy of one of its tasks", f"mjxwm extract TASK --model {path}"),
        ]
    again = quoted(f"{run.path.name}-again")
    commands = [
        (
            "Repeat it, with the same seed; another seed with --seed",
            f"mjxwm train {quoted(run.config)} --run {again}",
        ),
        ("Go on with it, where it was stopped", f"mjxwm train --resume {path}"),
        ("Look at its policy live, in a browser", f"mjxwm view {path}"),
        ("Evaluate its policy on 100 start states", f"mjxwm eval {path} --episodes 100"),
    ]
    if material.best is not None:
        commands.append(("Evaluate the policy of its best evaluation", f"mjxwm eval {path} --best"))
    if (run.dump / "event.json").is_file():
        commands.append(("Repeat what the guard stopped it for", f"mjxwm replay {path}"))
    commands += [
        ("Hand its policy on, as ONNX, numpy or torch", f"mjxwm export {path} --to onnx"),
        ("Compare it with other runs", f"mjxwm report {path} OTHER_RUN"),
        ("Write this page anew", f"mjxwm report {path}"),
    ]
    return commands
