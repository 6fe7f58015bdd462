"""`mjxwm doctor`."""

import dataclasses
from pathlib import Path

from mjxwm.cli.arguments.options import parse, write


def doctor(args: list[str]) -> int:
    """Prints what works on this machine, and what to do about what is missing."""
    from mjxwm.cli.doctor import checks

    @dataclasses.dataclass(frozen=True)
    class Options:
        json: Path | None = None
        """File for the findings."""

    options = parse(Options, args, "doctor")
    findings = checks.diagnose()
    print(checks.report(findings))
    write([finding._asdict() for finding in findings], options.json)
    return 0
