"""`mjxwm view`."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments import task_fields
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


@dataclasses.dataclass(frozen=True)
class _View:
    target: tyro.conf.Positional[str] = ""
    """A run's folder, or a copy of its folder `policy`; or a task, without a policy."""
    pretrained: str | None = None
    """Name of a policy that comes with the package, in place of a run."""
    policy: str | None = None
    """The policy at first: last, best, or "checkpoint N" of a run; random or zero of a task."""
    worlds: int = 4
    """Worlds that are stepped; the page shows one at a time."""
    engine: str | None = None
    """Engine: native, mjx or warp; by default native, which alone lets bodies be pushed."""
    seed: int = 0
    """Seed of the start states."""
    host: str = "127.0.0.1"
    """Address to listen at. The default lets nobody in from other machines, 0.0.0.0 everybody."""
    port: int = 8080
    """Port to listen at; 0 for any that is free."""
    seconds: float | None = None
    """Ends after this time; by default with Ctrl-C."""
    json: Path | None = None
    """File for the result, with --seconds: pictures and steps per second while a browser looked."""


def view(args: list[str]) -> int:
    """Shows a policy live in a browser."""
    fields, args = task_fields.take(args)
    options = parse(_View, args, "view")
    _check(options)
    with progress.loading():
        from mjxwm.reports.viewer import opening, server
        from mjxwm.reports.viewer.show import Show
        from mjxwm.runs import shipped

    target = options.target or str(shipped.find(options.pretrained))
    with progress.step(f"opens    {target}"):
        opened = opening.of_target(target, options.engine, fields)
    page = server.serve(options.host, options.port, opened.policies.title)
    with progress.step(f"compile  a step of {options.worlds} worlds"):
        started = opening.start(opened, options.policy, options.worlds, options.seed)
    show = Show(*started, opened.policies, page)
    for line in server.addresses(options.host, show.port):
        print(line, flush=True)
    pace = show.run(options.seconds)
    seconds = max(pace.seconds, 1e-9)
    result: dict[str, Any] = {
        "port": show.port,
        "seconds_looked_at": round(pace.seconds, 3),
        "frames_per_second": round(pace.frames / seconds, 2),
        "steps_per_second": round(pace.steps / seconds, 2),
    }
    write(result, options.json)
    return 0


def _check(options: _View) -> None:
    if bool(options.target) == (options.pretrained is not None):
        raise ConfigError(
            "view takes one of a run's folder, a task, or --pretrained NAME: mjxwm view runs/A, "
            "mjxwm view ant, mjxwm view --pretrained ant"
        )
    if options.worlds < 1:
        raise ConfigError(f"worlds={options.worlds} is out of range; it must be at least 1")
    if options.seconds is not None and not options.seconds > 0:
        raise ConfigError(f"seconds={options.seconds} is out of range; it must be above 0")
    for package in ("mjviser", "viser"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(f"{package} is not installed; run: pip install 'mjxwm[viewer]'")
