"""`mjxwm replay`: what the guard stopped a run for, once more."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


@dataclasses.dataclass(frozen=True)
class _Replay:
    run: tyro.conf.Positional[Path]
    """The run folder; its folder `dump` is read."""
    json: Annotated[Path | None, tyro.conf.arg()] = None
    """File for the result."""


def replay(args: list[str]) -> int:
    """Runs the iterations before a stop again; status 0 if it comes to the same end, else 1."""
    options = parse(_Replay, args, "replay")
    with progress.loading():
        from mjxwm.runs import exits, folders, guard, json_rows, replaying
    run = folders.of_any_kind(options.run)
    result = replaying.replay(run, lambda line: print(line, flush=True))
    event = result.event
    if result.iteration is None:
        print(f"not reproduced: up to iteration {event.stopped} everything was finite")
    else:
        same = "bit by bit" if result.bitwise else "but with other numbers"
        how = f"reproduced, {same}" if result.reproduced else "something else than before"
        print(
            f"{how}: in iteration {result.iteration} the first that was not finite is the stage "
            f"{result.stage!r}: {guard.described(result.stage)}"
        )
        for name, value in result.metrics.items():
            if name.startswith("guard/") and value and name.removeprefix("guard/") in guard.STAGES:
                print(f"  {name} {value:g}")
    values = {
        "run": str(run.path),
        "iteration": result.iteration,
        "stage": result.stage,
        "reproduced": result.reproduced,
        "bitwise": result.bitwise,
        "metrics": json_rows.plain(result.metrics),
    }
    write(values, options.json)
    return exits.DONE if result.reproduced else exits.FAILED
