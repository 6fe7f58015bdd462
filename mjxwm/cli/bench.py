"""`mjxwm bench`."""

import dataclasses
from pathlib import Path
from typing import Any

import tyro
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.cli.arguments.usage import parts


def bench(args: list[str]) -> int:
    """Runs the benchmark that is named, or compares two reports."""
    names = parts("bench")
    if not args or args[0] not in names:
        what = f"benchmark {args[0]!r} is unknown" if args else "bench needs a benchmark"
        near = nearest(args[0], names) if args else ""
        raise ConfigError(f"{what}{near}. There are: {', '.join(names)}")
    if args[0] == "compare":
        return _compare(args[1:])
    from mjxwm.bench import record
    from mjxwm.bench.parts import PARTS

    part = PARTS[args[0]]
    config_class: Any = part.config

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[config_class] = config_class()  # pyright: ignore[reportInvalidTypeForm]
        """What is measured, and how often."""
        json: Path | None = None
        """File for the report, which `mjxwm bench compare` reads."""

    options = parse(Options, args[1:], f"bench {args[0]}", description=part.about)
    try:
        report = part.run(options.config, lambda line: print(line, flush=True))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if report.text:
        print(report.text)
    write(record.to_json(args[0], options.config, report), options.json)
    return 0


def _compare(args: list[str]) -> int:
    from mjxwm.bench import comparing

    @dataclasses.dataclass(frozen=True)
    class Options:
        old: tyro.conf.Positional[Path]
        """Report of a benchmark, as JSON."""
        new: tyro.conf.Positional[Path]
        """A later one of the same benchmark."""
        json: Path | None = None
        """File for the changes."""

    options = parse(Options, args, "bench compare")
    changes = comparing.compare(options.old, options.new)
    print(comparing.table(options.old, options.new, changes))
    write([change._asdict() for change in changes], options.json)
    return 0
