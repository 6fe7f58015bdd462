"""How the cells of a study stand: by their files, by how processes ended, and by what runs."""

from collections.abc import Collection, Mapping, Sequence

from mjxwm import ConfigError
from mjxwm.studies.cells import Cell, Standing
from mjxwm.studies.journal import Journal


def of_all(
    cells: Sequence[Cell],
    journal: Journal,
    running: Collection[str] = (),
    before: Mapping[str, Standing] | None = None,
) -> dict[str, Standing]:
    """How each cell stands, by its name, in the order of the cells.

    Args:
        cells: of the study, those that others need before these.
        journal: the attempts.
        running: names of cells whose process runs, as far as their files do not tell.
        before: how they stood; what was done is not looked at again.
    """
    standings: dict[str, Standing] = {}
    for cell in cells:
        old = (before or {}).get(cell.name)
        done = old is not None and old.word == "done"
        standing = Standing("done") if done else _of(cell, journal, running)
        lacking = [name for name in cell.needs if standings[name].word != "done"]
        if standing.word == "waiting" and lacking:
            why = ", ".join(f"{name} ({standings[name].word})" for name in lacking)
            standing = Standing("waiting", f"needs {why}")
        standings[cell.name] = standing
    return standings


def _of(cell: Cell, journal: Journal, running: Collection[str]) -> Standing:
    if cell.name in running or cell.busy():
        return Standing("running")
    standing = cell.standing()
    ended = journal.ended(cell.name)
    if standing.word in ("done", "changed") or ended is None or not ended.status:
        return standing
    return Standing("failed" if ended.failed else "stopped", _why(ended.status, ended.message))


def _why(status: int, message: str) -> str:
    return f"status {status}: {message}" if message else f"status {status}"


def refuse_changed(standings: dict[str, Standing]) -> None:
    """Raises ConfigError where cells were configured otherwise: a page would mix both."""
    changed = {name: one.why for name, one in standings.items() if one.word == "changed"}
    if not changed:
        return
    each = "\n  ".join(f"{name}: {why}" for name, why in list(changed.items())[:8])
    more = f"\n  and {len(changed) - 8} more" if len(changed) > 8 else ""
    count = f"{len(changed)} cell{'s were' if len(changed) > 1 else ' was'}"
    raise ConfigError(f"{count} configured otherwise when begun:\n  {each}{more}")
