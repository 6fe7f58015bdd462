"""`mjxwm train` and `mjxwm eval`."""

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments import outputs, presets, task_fields
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress, trackers
from mjxwm.runs.output import say
from mjxwm.runs.presets import load_preset, preset_names


@dataclasses.dataclass(frozen=True)
class _Output:
    run: str | None = None
    """Name of the run; by default the preset's name with the date and time."""
    folder: Path = Path("runs")
    """Where runs are kept."""
    seeds: int = 1
    """How many seeds to train in one program, from --seed on: runs NAME-seed0, NAME-seed1, ...,
    each as it would be alone, and one curve of them all."""
    go_on: bool = False
    """Go on with the run of this name where it has a checkpoint, else begin it: so that a job that
    is started again is the same command."""
    distributed: bool = False
    """Join the other processes of a SLURM or Kubernetes job; with `--devices all`."""
    json: Path | None = None
    """File for the result."""


@dataclasses.dataclass(frozen=True)
class _Resume:
    resume: tuple[Path, ...]
    """The run folder to go on with; its own config.yaml holds, other options are refused. Several,
    which differ in their seeds alone, go on in one program."""
    env_steps: int | None = None
    """Another budget than before, the steps so far included: so that a run that is finished goes
    on."""
    minutes: float | None = None
    """Another time than before, the minutes so far included."""
    devices: int | Literal["all"] | None = None
    """Another number of devices than before."""
    track: tuple[trackers.Name, ...] | None = None
    """Other tools that are handed the rows than before; those of before under the same id."""
    distributed: bool = False
    """Join the other processes of a SLURM or Kubernetes job."""
    json: Path | None = None
    """File for the result."""


@dataclasses.dataclass(frozen=True)
class _Eval:
    run: tyro.conf.Positional[Path | None] = None
    """The run folder, or a copy of its folder `policy`."""
    pretrained: str | None = None
    """Name of a policy that comes with the package, in place of a run."""
    best: bool = False
    """Evaluate the policy that had the best evaluation, not the last."""
    engine: str | None = None
    """Engine: native, mjx, warp, or auto; by default that of the run's evaluations."""
    episodes: int | None = None
    """Number of episodes; by default the run's."""
    seed: int | None = None
    """Seed of the start states; by default those of the run's own evaluations."""
    video: Path | None = None
    """An MP4 file for the first episode."""
    json: Path | None = None
    """File for the result."""


_FEW = (
    *("task", "engine", "env_steps", "minutes", "worlds", "update_ratio", "gamma", "seed", "seeds"),
    *("devices", "evaluations", "episodes", "video", "track", "run", "folder", "go_on", "json"),
)
"""The fields that people change first."""


def train(args: list[str]) -> int:
    """Trains a preset, or goes on with a run."""
    with progress.loading():
        from mjxwm.cli import seeds
        from mjxwm.runs import begun, loop, several
        from mjxwm.runs.config import Config

    if any(a == "--resume" or a.startswith("--resume=") for a in args):
        return _resume(args)
    fields, args = task_fields.take(args)
    first = args[0] if args and not args[0].startswith("-") else "cartpole-swingup"
    preset = _preset(first)
    default = load_preset(Config, preset)
    default = dataclasses.replace(default, task_fields={**default.task_fields, **fields})

    @dataclasses.dataclass(frozen=True)
    class Options:
        # No prefixes: `--worlds 64`, not `--config.algo.worlds 64`.
        config: tyro.conf.OmitArgPrefixes[Config] = default
        output: Annotated[_Output, tyro.conf.OmitArgPrefixes] = _Output()

    rest = args[1:] if args and args[0] == first else args
    options = parse(
        Options, rest, f"train {preset}", ("folder", "data"), _FEW, description=_describe(preset)
    )
    output = options.output
    _join(output.distributed)
    place = preset, output.run, output.folder
    if output.go_on and (runs := begun.runs(options.config, output.seeds, *place[1:])):
        changes = {"devices": options.config.devices, "track": options.config.track}
        if output.seeds != 1:
            return seeds.report(several.resume(runs, **changes), output.json)
        return report(loop.resume(runs[0], **changes), output.json)
    if output.seeds != 1:
        return seeds.report(several.run(options.config, output.seeds, *place), output.json)
    return report(loop.run(options.config, *place), output.json)


def _preset(name: str) -> str:
    """The preset of a name, which may be that of a task: then it is said."""
    preset, line = presets.of_task(name)
    if line:
        say(f"preset   {line}")
    elif advice := presets.of_other_machines(preset):
        print(f"note     {advice}", flush=True)
    return preset


def _resume(args: list[str]) -> int:
    """Goes on with a run, or with several in one program, up to another budget maybe."""
    from mjxwm.cli import seeds
    from mjxwm.runs import budgets, folders, loop, several

    options = parse(_Resume, args, "train", ("resume",))
    runs = [folders.find(path) for path in options.resume]
    if not runs:
        raise ConfigError("--resume needs the folder of a run")
    _join(options.distributed)
    budgets.change(runs, options.env_steps, options.minutes)
    changes = {
        name: getattr(options, name)
        for name in ("devices", "track")
        if getattr(options, name) is not None
    }
    if len(runs) > 1:
        return seeds.report(several.resume(runs, **changes), options.json)
    return report(loop.resume(runs[0], **changes), options.json)


def _join(distributed: bool) -> None:
    if distributed:
        from mjxwm.runs import devices

        devices.join()


def _describe(preset: str) -> str:
    return (
        f"Trains preset {preset!r}; every field of it can be changed, and those "
        "of the task: --task.episode_length 500. "
        f"Presets: {', '.join(preset_names())}, a YAML file of your own, or a task that has one."
    )


def report(result: Any, target: Path | None) -> int:
    """Says what came of a training run: its evaluation, curve and video, and how to go on."""
    from mjxwm.reports import outcome
    from mjxwm.runs import budgets, devices, folders, policy_files

    if not devices.leads():
        return result.status
    run = result.run
    summary: dict[str, Any] = {
        "run": str(run.path),
        "iteration": result.iteration,
        "env_steps": result.env_steps,
        "seconds": round(result.seconds, 1),
        "eval_return_mean": None,
    }
    if not result.finished:
        print(f"stopped at iteration {result.iteration}; {saved(result)}. Go on with")
        print(f"  mjxwm train --resume {folders.quoted(run.path)}", flush=True)
        summary |= outcome.page(run)
    elif result.evaluation is None:
        print(f"finished before, at iteration {result.iteration}: nothing is left to train")
        print(f"  mjxwm eval {folders.quoted(run.path)} --episodes 100  # look closer")
        print(f"  {budgets.way_on([run], result.config)}  # go on")
    else:
        best = policy_files.best(run.path)
        summary |= outcome.returns(result.evaluation) | outcome.best_row(best)
        write(summary, target)  # before pictures, which may fail
        summary |= outcome.artifacts(result.config, run, result.evaluation)
        print(_sentence(result.evaluation, f"after {result.env_steps:,} env steps"))
        print(f"{result.seconds / 60:.1f} minutes{_cut(result)}. Look closer:")
        for name in ("report", "curve", "video"):
            if name in summary:
                print(f"  {folders.quoted(summary[name])}")
        if "/" not in result.config.task:  # not a world that is simulated elsewhere
            print(f"  mjxwm view {folders.quoted(run.path)}  # live in a browser")
        print(f"  mjxwm eval {folders.quoted(run.path)} --episodes 100")
        if best is not None and best.iteration != result.iteration:
            returned = f"return {best.eval_return:.1f} at iteration {best.iteration}"
            print(f"  mjxwm eval {folders.quoted(run.path)} --best  # {returned}")
    if result.finished and result.unwritten:
        print(f"finished, but {saved(result)}")
    write(summary, target)
    return result.status


def _cut(result: Any) -> str:
    """How much of its budget a run had when its time was up, in words; "" if it had all of it."""
    algo = result.config.algo
    if result.iteration >= algo.iterations:
        return ""
    share = result.iteration / algo.iterations
    limit = f"--minutes {result.config.minutes:g}"
    return f" ({limit} was over at {share:.0%} of its env steps)"


def saved(result: Any) -> str:
    """Whether a run that ends is on disk, in words."""
    missing = " and ".join(result.unwritten)
    return f"NOT WRITTEN: {missing}" if missing else "checkpoint saved"


def _sentence(evaluation: Any, when: str) -> str:
    r = evaluation.episode_return
    if not evaluation.steps:
        return (
            f"no step of the {len(r)} episodes {when} was valid: in the first of each physics, "
            "action, observation or reward was not finite, so there is no return"
        )
    solved = "" if evaluation.success is None else f"success {evaluation.success.mean():.0%}, "
    lost = evaluation.lost
    ends = f", {lost} of which physics that diverged cut short," if lost else ""
    if evaluation.ended is not None and evaluation.ended.any():
        ends = f" ({evaluation.ended.mean():.0%} ended before the time limit){ends}"
    numbers = "".join(f"; {name} {x.mean():.3g}" for name, x in evaluation.measures.items())
    return (
        f"{solved}return {r.mean():.1f} +- {r.std():.1f} (least {r.min():.1f}, most {r.max():.1f}) "
        f"over {len(r)} episodes of {evaluation.length.mean():.0f} steps{ends} {when}; "
        f"deterministic, closed loop{numbers}"
    )


def evaluate(args: list[str]) -> int:
    """Evaluates the policy of a run."""
    if any(a == "--suite" or a.startswith("--suite=") for a in args):
        return _suite(args)
    fields, args = task_fields.take(args)
    options = parse(_Eval, args, "eval")
    with progress.loading():
        from mjxwm.reports import outcome, video
        from mjxwm.runs import policies, shipped
        from mjxwm.runs.folders import RunFolder, quoted
    run = RunFolder(shipped.choose(options.run, options.pretrained, "eval"))
    if options.episodes is not None and options.episodes < 1:
        raise ConfigError(f"episodes={options.episodes} is out of range; it must be at least 1")
    refused = outputs.refused("video", options.video) if options.video else ""
    if refused:
        print(f"no video will be made: {refused}", flush=True)
    config, evaluation, iteration = outcome.evaluate_run(
        run, options.episodes, options.seed, fields, options.engine, options.best
    )
    print(_sentence(evaluation, f"at iteration {iteration}"))
    # Before the video, which may fail.
    write(
        {"run": str(run.path), "iteration": iteration, **outcome.returns(evaluation)}, options.json
    )
    if refused:
        raise ConfigError(f"no video: {refused}")
    if options.video:
        try:
            reader = functools.partial(policies.of_run, run.path, options.best)
            print(quoted(outcome.film(config, evaluation, options.video, reader)))
        except video.RenderingUnavailableError as error:
            print(f"no video: {error}")
    return 0


def _suite(args: list[str]) -> int:
    from mjxwm.reports import suite

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[suite.Config]
        json: Path | None = None
        """File for the rows."""

    options = parse(Options, args, "eval")
    print("| task | score | |\n|---|---|---|")
    rows = suite.run(options.config, lambda line: print(line, flush=True))
    summary = suite.summary(rows)
    if summary["score"] is not None:
        print(f"| mean of {summary['tasks']} | {summary['score']:.1f} | |")
    write({**summary, "rows": [row._asdict() for row in rows]}, options.json)
    return 0
