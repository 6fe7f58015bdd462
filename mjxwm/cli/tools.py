"""`mjxwm bench` and `mjxwm doctor`."""

import dataclasses
from pathlib import Path
from typing import Any

import tyro

from mjxwm.cli.options import parse, write
from mjxwm.config import ConfigError, load_preset


def bench(args: list[str]) -> int:
    """Runs the benchmark that is named."""
    parts = {
        "sim": _bench_sim,
        "gradients": _bench_gradients,
        "learner": _bench_learner,
        "planner": _bench_planner,
    }
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

    options = parse(Options, args, "bench sim")
    preset = load_preset(train.Config, options.config.preset)
    if preset.algorithm != "pwm":
        raise ConfigError(
            f"preset {options.config.preset!r} is of {preset.algorithm}; bench sim measures the "
            "collection of pwm, so choose one of its presets"
        )
    rows = simulation.run(options.config, preset.algo)
    print(simulation.table(rows))
    write([dict(row) if isinstance(row, dict) else row._asdict() for row in rows], options.json)
    return 0


def _bench_gradients(args: list[str]) -> int:
    from mjxwm import system
    from mjxwm.bench import gradients

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[gradients.Config] = gradients.Config()
        json: Path | None = None
        """File for the measurement."""

    options = parse(Options, args, "bench gradients")
    row = gradients.run(options.config)
    print(gradients.table(row))
    programs = [program._asdict() for program in row.programs]
    measured = row._asdict() | {"programs": programs, "system": system.describe()}
    write(measured, options.json)
    return 0


def _bench_learner(args: list[str]) -> int:
    from mjxwm import system
    from mjxwm.bench import learner

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[learner.Config] = learner.Config()
        json: Path | None = None
        """File for the measurement."""

    options = parse(Options, args, "bench learner")
    try:
        counts = learner.count(options.config)
        for size, parts in counts.items():
            named = ", ".join(f"{name} {count:,}" for name, count in parts.items() if count)
            print(f"{size} on {options.config.task_set}: {named}")
        result: dict[str, Any] = {"task_set": options.config.task_set, "parameters": counts}
        if not options.config.count_only:
            print(learner.HEADER)
            rows = learner.run(options.config, lambda line: print(line, flush=True))
            result["rows"] = [row._asdict() | {"ratio": row.ratio} for row in rows]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    write(result | {"system": system.describe()}, options.json)
    return 0


def _bench_planner(args: list[str]) -> int:
    from mjxwm import system
    from mjxwm.bench import planning

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[planning.Config] = planning.Config()
        json: Path | None = None
        """File for the measurement."""

    options = parse(Options, args, "bench planner")
    try:
        row = planning.run(options.config)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print(planning.table(options.config, row))
    write(row._asdict() | {"system": system.describe()}, options.json)
    return 0


def doctor(args: list[str]) -> int:
    """Says what was found here, and what to do about gaps."""
    from mjxwm import doctor

    @dataclasses.dataclass(frozen=True)
    class Options:
        json: Path | None = None
        """File for the findings."""

    options = parse(Options, args, "doctor")
    findings = doctor.diagnose()
    print(doctor.report(findings))
    write([finding._asdict() for finding in findings], options.json)
    return 0
