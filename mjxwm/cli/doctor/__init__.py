"""`mjxwm doctor`."""

import dataclasses
from pathlib import Path

from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import exits, progress


def doctor(args: list[str]) -> int:
    """Prints what works on this machine; or compiles Warp's kernels of a preset ahead.

    The status is 1 if something that is needed is broken.
    """

    @dataclasses.dataclass(frozen=True)
    class Options:
        json: Path | None = None
        """File for the findings."""
        warm: str | None = None
        """Compile Warp's kernels of this preset instead, so that a GPU finds them."""
        arch: int | None = None
        """With --warm: architecture of the GPU, 90 for an H100; by default of the one here."""

    options = parse(Options, args, "doctor")
    with progress.loading():
        from mjxwm.cli.doctor import checks, warming
    if options.warm is not None:
        write(warming.warm(options.warm, options.arch), options.json)
        return 0
    with progress.step("tries    engines, rendering and packages"):
        findings = checks.diagnose()
    print(checks.report(findings))
    write([finding._asdict() for finding in findings], options.json)
    broken = any(finding.status == checks.BROKEN for finding in findings)
    return exits.FAILED if broken else exits.DONE
