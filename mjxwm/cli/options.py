"""What the commands share: options from dataclasses, results as JSON."""

import json
from pathlib import Path
from typing import Any

import tyro


def parse(cls: Any, args: list[str], prog: str, **kwargs: Any) -> Any:
    """Reads `args` into the dataclass `cls`; a mistake ends the process with status 2."""
    return tyro.cli(cls, args=args, prog=f"mjxwm {prog}", **kwargs)


def write(result: Any, target: Path | None) -> None:
    """Writes a result, where a file is asked for."""
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
