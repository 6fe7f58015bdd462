"""`mjxwm export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments import outputs
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


@dataclasses.dataclass(frozen=True)
class _Export:
    run: tyro.conf.Positional[Path | None] = None
    """The run folder, or a copy of its folder `policy`."""
    pretrained: str | None = None
    """Name of a policy that comes with the package, in place of a run."""
    to: str = ""
    """Format: onnx, numpy (.npz) or torch (.pt2, an exported program)."""
    file: Annotated[Path | None, tyro.conf.arg(name="out")] = None
    """The file; by default `policy` with the format's suffix, in the run's folder."""
    best: bool = False
    """The policy that had the best evaluation, not the last."""
    json: Path | None = None
    """File for the result: the file, what is in it, and how far its actions are from the run's."""


def export(args: list[str]) -> int:
    """Writes a run's policy as a file of another kind, and checks that it acts alike."""
    options = parse(_Export, args, "export")
    if options.file is not None and (refusal := outputs.refused("out", options.file, ())):
        raise ConfigError(refusal)
    with progress.loading():
        from mjxwm.interop import export
        from mjxwm.runs import shipped
    run = shipped.choose(options.run, options.pretrained, "export")
    if options.pretrained and options.file is None:
        raise ConfigError("--pretrained needs --out FILE: the package's own folder is left alone")
    with progress.step("writes   the policy, and compares its actions"):
        done = export.export(run, options.to, options.file, options.best)
    sizes = f"{done.about['obs_size']} observations, {done.about['action_size']} actions"
    print(f"file     {done.file}: {sizes}, {done.parameters:,} numbers")
    print(f"rate     an action every {done.about['action_dt']:g} s")
    print(f"checked  actions differ by at most {done.difference:.1e} from the run's own")
    if done.difference > export.SAME:
        print("note     that is more than 1e-5: this network makes the most of rounding errors")
    if done.about["planner"]:
        print("note     the run is evaluated with its planner; the file is its policy alone")
    result = {"file": str(done.file), "difference": done.difference, "about": done.about}
    write(result, options.json)
    return 0
