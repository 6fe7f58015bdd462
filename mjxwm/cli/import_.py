"""`mjxwm import`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.cli.arguments.presets import Output
from mjxwm.runs import progress


def import_(args: list[str]) -> int:
    """Reads others' files: a checkpoint becomes a model's run, chunks of data a data set."""
    parts = {"checkpoint": _import_checkpoint, "data": _import_data}
    if not args or args[0] not in parts:
        what = f"{args[0]!r} cannot be imported" if args else "import needs to know what"
        near = nearest(args[0], parts) if args else ""
        raise ConfigError(f"{what}{near}. There are: {', '.join(parts)}")
    return parts[args[0]](args[1:])


def _import_checkpoint(args: list[str]) -> int:
    @dataclasses.dataclass(frozen=True)
    class Options:
        file: tyro.conf.Positional[Path]
        """A checkpoint of TD-MPC2's or PWM's."""
        tasks: str = "mt80"
        """The task set that it was made for, or the name of its single task."""
        data: str = ""
        """Folder of the data set that policies are to be extracted with."""
        action_repeat: int | None = None
        """Control steps per action; by default 2, TD-MPC2's protocol, or that of the task's own
        suite."""
        output: Annotated[Output, tyro.conf.OmitArgPrefixes] = Output()

    options = parse(Options, args, "import checkpoint")
    with progress.loading():
        from mjxwm.interop import importing
    with progress.step(f"reads    {options.file}"):
        run, counts = importing.checkpoint(
            options.file,
            options.tasks,
            options.data,
            options.output.run,
            options.output.folder,
            options.action_repeat,
        )
    print(f"run      {run.path}")
    print(f"model    {', '.join(f'{name} {count:,}' for name, count in counts.items() if count)}")
    write({"run": str(run.path), "parameters": counts}, options.output.json)
    return 0


def _import_data(args: list[str]) -> int:
    @dataclasses.dataclass(frozen=True)
    class Options:
        files: tyro.conf.Positional[tuple[Path, ...]]
        """Chunks of TD-MPC2's data, `chunk_0.pt` and so on."""
        tasks: Literal["mt30", "mt80"] = "mt80"
        """The task set that they are of."""
        data: Path = Path("data")
        """Folder of the data set."""
        action_repeat: int | None = None
        """Control steps per action; by default 2, TD-MPC2's protocol: its files do not say."""
        json: Path | None = None
        """File for the result."""

    options = parse(Options, args, "import data", ("data",))
    if not options.files:
        raise ConfigError("import data needs files: mjxwm import data FILE ...")
    with progress.loading():
        from mjxwm.interop import importing
    with progress.step(f"reads    {len(options.files)} files"):
        rows = importing.chunks(
            options.files, options.tasks, options.data, print, options.action_repeat
        )
    total = sum(rows.values())
    print(f"{options.data}: {total:,} rows of {len(rows)} tasks added")
    write({"data": str(options.data), "rows": rows}, options.json)
    return 0
