"""`mjxwm gradients`: policy gradients through the model against those of the simulator."""

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.gradients.config import Config
from mjxwm.runs import progress
from mjxwm.runs.presets import load_preset, preset_names


@dataclasses.dataclass(frozen=True)
class _Options:
    task: tyro.conf.Positional[str]
    """Name of the task."""
    config: tyro.conf.OmitArgPrefixes[Config] = Config()
    policy: Path | None = None
    """Folder of a PWM run, or a copy of its folder `policy`: policy, critic and model of it are
    compared; without it, one is trained first."""
    at: float | None = None
    """Share of that run's iterations after which the policy was kept, such as 0.2; by default its
    last. Runs keep those of their field `stages`."""
    train_steps: int = 600_000
    """Env steps of that training."""
    folder: Annotated[Path, tyro.conf.arg(help="Where such a run is kept.")] = Path("runs")
    html: Path | None = Path("gradients.html")
    """The report, one file; None for the numbers alone."""
    json: Path | None = None
    """File for its numbers."""


def gradients(args: list[str]) -> int:
    """Measures, writes the report, and prints its verdict."""
    options = parse(_Options, args, "gradients")
    with progress.loading():
        from mjxwm.gradients import experiment, findings, report, results
        from mjxwm.gradients.subject import take
        from mjxwm.runs import system
    policy, path, status = _policy(options)
    run_config = policy.config
    task = experiment.Task(
        options.task, _fields(run_config, options), run_config.action_repeat or 1
    )
    anew = experiment.trained_anew(options.config, task, run_config.algo, policy.arrays)
    subject = take(run_config.algo, anew.networks)
    with _progress(experiment.steps(options.config, task)) as tick:
        result = experiment.run(options.config, task, subject, tick)
    described = system.describe()
    facts = {
        "policy": path.resolve().name,
        "iteration": policy.iteration,
        "env steps": f"{policy.iteration * run_config.algo.steps_per_iteration:,}",
        **({"trained anew": anew.facts} if anew.facts else {}),
        "commit": described["commit"],
        "devices": described["devices"],
        "date": str(datetime.date.today()),
    }
    text = findings.paragraph(result)
    # The numbers first: what takes minutes to measure is not lost with a picture of it.
    share = policy.iteration / max(run_config.algo.iterations, 1)
    about = {
        "facts": facts,
        "settings": dataclasses.asdict(options.config),
        "cell": experiment.labels(options.config, task, share, run_config.seed),
    }
    write({**about, "findings": text, **results.plain(result)}, options.json)
    if options.html is not None:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(report.render(result, facts, text), encoding="utf-8")
    for gate in result.gates:
        mark = {True: "passed", False: "FAILED", None: "not decided"}[gate.passed]
        print(f"{gate.name}: {mark}: {gate.verdict}")
    print(text)
    print(options.html or options.json or "")
    return status


def _policy(options: _Options) -> tuple[Any, Path, int]:
    """The policy to look at, its run's folder, and the exit status of a training for it."""
    from mjxwm.runs import exits, policies

    if options.at is not None and options.policy is None:
        raise ConfigError(f"at={options.at:g} is of a run that is there: give it with --policy")
    path, status = (options.policy, exits.DONE) if options.policy else _trained(options)
    policy = policies.of_run(path, at=options.at)
    if policy.config.algorithm != "pwm":
        raise ConfigError(
            f"run {path} is of {policy.config.algorithm}, which has no world model; give a run of "
            "pwm"
        )
    return policy, path, status


def _trained(options: _Options) -> tuple[Path, int]:
    """The folder of a run that trains a preset of the task for a while, and its exit status."""
    from mjxwm.runs import folders, loop, stops
    from mjxwm.runs.config import Config

    fitting = [n for n in preset_names() if _fits(load_preset(Config, n), options.task)]
    if not fitting:
        raise ConfigError(
            f"there is no preset of pwm for task {options.task!r}; train one "
            f"(mjxwm train debug --task {folders.quoted(options.task)}) and give it with --policy"
        )
    preset = max(fitting, key=lambda name: name.endswith("-cpu"))
    run_config = load_preset(Config, preset)
    algo = dataclasses.replace(run_config.algo, env_steps=options.train_steps)
    run_config = dataclasses.replace(
        run_config, algo=algo, evaluations=4, checkpoints=0, video=False
    )
    result = loop.run(run_config, preset, None, options.folder)
    run = folders.quoted(result.run.path)
    stops.refuse_more(
        result.signal, f"stopped. Go on with `mjxwm train --resume {run}`, then with --policy {run}"
    )
    return result.run.path, result.status


def _fits(run_config: Any, task: str) -> bool:
    return run_config.algorithm == "pwm" and run_config.task == task


def _fields(run_config: Any, options: _Options) -> dict[str, Any]:
    """The task's fields in the policy's run, where it is of the same task."""
    return run_config.task_fields if run_config.task == options.task else {}


def _progress(total: int) -> Any:
    """A progress bar: a context that gives the function to call after each of `total` steps.

    Where nobody watches a terminal, as in a log, a line for each thing that is done.
    """
    import rich
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if not rich.get_console().is_terminal:
        return contextlib.nullcontext(_lines(total))

    class Bar(Progress):
        def __enter__(self) -> Any:
            super().__enter__()
            bar = self.add_task("compiling", total=total)
            return lambda done: self.update(bar, advance=1, description=done)

    columns = (
        TextColumn("{task.description:40}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
    )
    return Bar(*columns, TimeElapsedColumn())


def _lines(total: int) -> Callable[[str], None]:
    """Prints what is done when that changes."""
    start, ticks, last = time.monotonic(), 0, ""

    def tick(done: str) -> None:
        nonlocal ticks, last
        ticks += 1
        if done != last:
            minutes = (time.monotonic() - start) / 60
            print(f"{ticks / total:4.0%}  {minutes:5.1f} min  {done}", flush=True)
        last = done

    return tick
