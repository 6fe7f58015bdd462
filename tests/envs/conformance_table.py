"""All rows of the conformance sweep, and the table that docs/engines.md has of its results."""

from pathlib import Path
from typing import Any

import conformance_actuators
import conformance_bodies
import conformance_contacts
import conformance_options
import conformance_others
import conformance_sensors
from conformance import ENGINES, TOLERANCE, Row

ROWS: tuple[Row, ...] = (
    *conformance_bodies.ROWS,
    *conformance_actuators.ROWS,
    *conformance_sensors.ROWS,
    *conformance_contacts.ROWS,
    *conformance_options.ROWS,
    *conformance_others.ROWS,
)
BEGIN, END = "<!-- the table: scripts/engine_conformance.py -->", "<!-- end of the table -->"


def key(row: Row) -> str:
    """What a row is called in the results."""
    return f"{row.part}: {row.feature}"


def write(page: Path, results: dict[str, Any]) -> None:
    """Puts the table into the page, between its two marks."""
    if not page.exists():
        return
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + "\n" + "\n".join(_lines(results)) + END + after)


def _lines(results: dict[str, Any]) -> list[str]:
    lines, part = [], ""
    for row in ROWS:
        if row.part != part:
            part = row.part
            lines += ["", f"### {part[0].upper()}{part[1:]}", ""]
            lines += [f"| feature | {' | '.join(ENGINES)} |", "|---" * (1 + len(ENGINES)) + "|"]
        cells = [_cell(name, results.get(key(row), {}).get(name)) for name in ENGINES]
        lines.append(f"| {row.feature} | {' | '.join(cells)} |")
    return [*lines, ""]


def _cell(name: str, outcome: dict[str, Any] | None) -> str:
    if outcome is None:
        return "not measured"
    if outcome["verdict"] == "refused":
        return "refused"
    if TOLERANCE[name] == 0 and outcome["verdict"] == "equal":
        return "equal, bitwise"
    return f"{outcome['verdict']}, {outcome['error']:.0e}"
