"""The command line: `mjxwm train | eval | plot | bench | doctor`."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from mjxwm import system
from mjxwm.config import ConfigError, load_preset, load_yaml, nearest, preset_names

USAGE = """usage: mjxwm COMMAND ...

  train [PRESET] [--FIELD VALUE ...]   learn a policy; without a preset, cartpole-swingup
  train --resume RUN                   go on with a run
  eval RUN                             evaluate a run's policy: deterministic, closed loop
  plot RUN [RUN ...]                   learning curves of runs in one figure
  bench sim                            collection against the bare simulator
  doctor                               what was found here, and what to do about what is missing

`mjxwm COMMAND --help` lists the options; every command takes --json FILE for its result."""


@dataclasses.dataclass(frozen=True)
class _Output:
    run: str | None = None
    """Name of the run; by default the preset's name with the date and time."""
    folder: Path = Path("runs")
    """Where runs are kept."""
    json: Path | None = None
    """File for the result."""


@dataclasses.dataclass(frozen=True)
class _Resume:
    resume: Path
    """The run folder to go on with; its own config.yaml holds, other options are refused."""
    json: Path | None = None
    """File for the result."""


@dataclasses.dataclass(frozen=True)
class _Eval:
    run: tyro.conf.Positional[Path]
    """The run folder."""
    episodes: int | None = None
    """Number of episodes; by default the run's."""
    seed: int | None = None
    """Seed of the start states; by default those of the run's own evaluations."""
    video: Path | None = None
    """An MP4 file for the first episode."""
    json: Path | None = None
    """File for the result."""


@dataclasses.dataclass(frozen=True)
class _Plot:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path = Path("curves.png")
    """The PNG file."""
    title: str = ""
    """Title of the figure."""
    json: Path | None = None
    """File for the result: the final evaluation of each run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status. A user's mistake is one line and status 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], int]] = {
        "train": _train,
        "eval": _evaluate,
        "plot": _plot,
        "bench": _bench,
        "doctor": _doctor,
    }
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    try:
        if args[0] not in commands:
            raise ConfigError(
                f"command {args[0]!r} is unknown{nearest(args[0], commands)}\n{USAGE}"
            )
        _compilation_cache()
        system.choose_rendering()
        return commands[args[0]](args[1:])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parse(cls: Any, args: list[str], prog: str, **kwargs: Any) -> Any:
    return tyro.cli(cls, args=args, prog=f"mjxwm {prog}", **kwargs)


def _compilation_cache() -> None:
    """Compiled programs are kept between runs, unless JAX's own variable says where or not."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "mjxwm" / "xla"))


def _train(args: list[str]) -> int:
    from mjxwm import runs, train

    if any(a == "--resume" or a.startswith("--resume=") for a in args):
        options = _parse(_Resume, args, "train")
        run = runs.find(options.resume)
        return _finish(load_yaml(train.Config, run.config), run, True, options.json)
    preset = args[0] if args and not args[0].startswith("-") else "cartpole-swingup"
    default = load_preset(train.Config, preset)

    @dataclasses.dataclass(frozen=True)
    class Options:
        # No prefixes: `--worlds 64`, not `--config.algo.worlds 64`.
        config: tyro.conf.OmitArgPrefixes[train.Config] = default
        output: Annotated[_Output, tyro.conf.OmitArgPrefixes] = _Output()

    rest = args[1:] if args and args[0] == preset else args
    options = _parse(Options, rest, f"train {preset}", description=_describe(preset))
    output = options.output
    run = train.new_run(options.config, preset, output.run, output.folder)
    return _finish(options.config, run, False, output.json)


def _describe(preset: str) -> str:
    return (
        f"Trains preset {preset!r}; every field of it can be changed. "
        f"Presets: {', '.join(preset_names())}, or a YAML file of your own."
    )


def _finish(cfg: Any, run: Any, resume: bool, target: Path | None) -> int:
    """Trains and says what came of it."""
    from mjxwm import train

    result = train.train(cfg, run, resume)
    summary: dict[str, Any] = {
        "run": str(run.path),
        "iteration": result.iteration,
        "env_steps": result.env_steps,
        "seconds": round(result.seconds, 1),
        "eval_return_mean": None,
    }
    if result.evaluation is None:
        print(f"stopped at iteration {result.iteration}; checkpoint saved. Go on with")
        print(f"  mjxwm train --resume {run.path}")
    else:
        summary |= _returns(result.evaluation)
        summary |= train.artifacts(cfg, run, result.evaluation)
        print(_sentence(result.evaluation, f"after {result.env_steps:,} env steps"))
        print(f"{result.seconds / 60:.1f} minutes. Look closer:")
        for name in ("curve", "video"):
            if name in summary:
                print(f"  {summary[name]}")
        print(f"  mjxwm eval {run.path} --episodes 100")
    _write(summary, target)
    return 0


def _returns(evaluation: Any) -> dict[str, Any]:
    returns, success = [float(r) for r in evaluation.episode_return], evaluation.success
    return {
        "eval_return_mean": float(evaluation.episode_return.mean()),
        "eval_return_std": float(evaluation.episode_return.std()),
        "eval_returns": returns,
        "eval_length_mean": float(evaluation.length.mean()),
        **({} if success is None else {"eval_success": float(success.mean())}),
    }


def _sentence(evaluation: Any, when: str) -> str:
    r = evaluation.episode_return
    solved = "" if evaluation.success is None else f"success {evaluation.success.mean():.0%}, "
    return (
        f"{solved}return {r.mean():.1f} +- {r.std():.1f} (least {r.min():.1f}, most {r.max():.1f}) "
        f"over {len(r)} episodes of {evaluation.length.mean():.0f} steps {when}; "
        "deterministic, closed loop"
    )


def _evaluate(args: list[str]) -> int:
    from mjxwm import runs, train, view

    options = _parse(_Eval, args, "eval")
    run = runs.find(options.run)
    if options.episodes is not None and options.episodes < 1:
        raise ConfigError(f"episodes={options.episodes} is out of range; it must be at least 1")
    cfg, evaluation, iteration = train.evaluate_run(run, options.episodes, options.seed)
    print(_sentence(evaluation, f"at iteration {iteration}"))
    if options.video:
        env = train.make_env(cfg)
        qpos = np.asarray(evaluation.qpos[: int(evaluation.length[0]) + 1])
        try:
            print(view.video(env.engine.model, qpos, env.spec.ctrl_dt, options.video))
        except view.RenderingUnavailableError as error:
            print(f"no video: {error}")
    _write({"run": str(run.path), "iteration": iteration, **_returns(evaluation)}, options.json)
    return 0


def _plot(args: list[str]) -> int:
    from mjxwm import plot, runs, track

    options = _parse(_Plot, args, "plot")
    found = {path.name: runs.find(path).metrics for path in options.runs}
    if not found:
        raise ConfigError("plot needs at least one run folder")
    for path in found.values():
        if not path.is_file():
            raise ConfigError(f"{path} does not exist: nothing was logged in this run yet")
    print(plot.learning_curve(found, options.out, options.title))
    last = {
        name: [r for r in track.read(p) if "eval/return" in r][-1:] for name, p in found.items()
    }
    _write(last, options.json)
    return 0


def _bench(args: list[str]) -> int:
    parts = {"sim": _bench_sim}
    if not args or args[0] not in parts:
        what = f"benchmark {args[0]!r} is unknown" if args else "bench needs a benchmark"
        raise ConfigError(f"{what}. There are: {', '.join(parts)}")
    return parts[args[0]](args[1:])


def _bench_sim(args: list[str]) -> int:
    from mjxwm import train
    from mjxwm.bench import simulation

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[simulation.Config] = simulation.Config()
        json: Path | None = None
        """File for the rows."""

    options = _parse(Options, args, "bench sim")
    preset = load_preset(train.Config, options.config.preset)
    if preset.algorithm != "pwm":
        raise ConfigError(
            f"preset {options.config.preset!r} is of {preset.algorithm}; bench sim measures the "
            "collection of pwm, so choose one of its presets"
        )
    rows = simulation.run(options.config, preset.algo)
    print(simulation.table(rows))
    _write([dict(row) if isinstance(row, dict) else row._asdict() for row in rows], options.json)
    return 0


def _doctor(args: list[str]) -> int:
    from mjxwm import doctor

    @dataclasses.dataclass(frozen=True)
    class Options:
        json: Path | None = None
        """File for the findings."""

    options = _parse(Options, args, "doctor")
    findings = doctor.diagnose()
    print(doctor.report(findings))
    _write([finding._asdict() for finding in findings], options.json)
    return 0


def _write(result: Any, target: Path | None) -> None:
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
