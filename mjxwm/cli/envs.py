"""`mjxwm envs`: what there is; `mjxwm envs check`: whether it is sound."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments import task_fields
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress

_ABOUT = "Lists environments. `mjxwm envs check NAME ...` says whether they are sound."
_CHECK = (
    "Whether an environment is sound. Fields of the task are set as in training: "
    "--task.episode_length 100."
)
_HEADER = f"{'task':30} {'obs':>4} {'actions':>7} {'steps':>6}  engines"


def envs(args: list[str]) -> int:
    """Lists environments, or checks some."""
    if args and args[0] == "check":
        return _check(args[1:])

    @dataclasses.dataclass(frozen=True)
    class Options:
        names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
        """Suites or tasks; by default all that are shipped."""
        json: Path | None = None
        """File for the rows."""

    fields, args = task_fields.take(args)
    options = parse(Options, args, "envs", description=_ABOUT)
    with progress.loading():
        from mjxwm_envs.registry import listing
    rows: list[Any] = []
    try:
        for row in listing.rows(options.names, **fields):
            if not rows or row.suite != rows[-1].suite:
                print(f"\n{row.suite}: {listing.sources(row.suite)}\n{_HEADER}")
            rows.append(row)
            print(_line(row), flush=True)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for suite in set(options.names) & {"gymnasium", "maniskill"}:
        print(f"{suite}: {listing.sources(suite)}; any of its ids, as {suite}/ID")
    if not options.names:
        print("\nforeign, `mjxwm envs SUITE` lists them:")
        for suite in listing.FOREIGN:
            print(f"  {suite}/...  {listing.sources(suite)}")
    write([row._asdict() for row in rows], options.json)
    return 0


def _line(row: Any) -> str:
    if row.missing:
        return f"{row.name:30} {row.missing}"
    name = row.name + "".join(f" (-{variant})" for variant in row.variants)
    engines = ", ".join(row.engines)
    engines += "".join(f"\n{'':52}not {name}: {why}" for name, why in row.refused.items())
    return f"{name:30} {row.obs_size:4} {row.action_size:7} {row.episode_length:6}  {engines}"


def _check(args: list[str]) -> int:
    from mjxwm_envs import check
    from mjxwm_envs.registry import listing

    from mjxwm.runs import exits

    @dataclasses.dataclass(frozen=True)
    class Options:
        names: Annotated[tuple[str, ...], tyro.conf.Positional]
        """Suites or tasks: shipped, foreign, or your own as module:attribute."""
        config: tyro.conf.OmitArgPrefixes[check.Config] = check.Config()
        json: Path | None = None
        """File for the findings."""

    fields, args = task_fields.take(args)
    try:
        options = parse(Options, args, "envs check", description=_CHECK)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not options.names:
        raise ConfigError("envs check needs a task or a suite: mjxwm envs check NAME ...")
    findings: dict[str, list[check.Finding]] = {}
    try:
        names = [name for item in options.names for _, name in listing.expand(item)]
        if not names:
            raise ConfigError(f"nothing to check: {', '.join(options.names)} has no tasks")
        for name in names:
            with progress.step(f"checks   {name}: compiles and steps it"):
                findings[name] = check.check(name, options.config, **fields)
            print(name)
            for finding in findings[name]:
                mark = {True: "ok", False: "WRONG", None: "-"}[finding.ok]
                print(f"  {mark:6} {finding.what:16} {finding.text}", flush=True)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    write({name: [f._asdict() for f in rows] for name, rows in findings.items()}, options.json)
    wrong = [name for name, rows in findings.items() if any(f.ok is False for f in rows)]
    print(
        f"{len(findings) - len(wrong)} of {len(findings)} sound"
        + (f"; not {wrong}" if wrong else "")
    )
    return exits.FAILED if wrong else exits.DONE
