"""Symptoms of learning that fails, as the run raised them on its console."""

import math
from typing import NamedTuple

from mjxwm.reports.one_run.material import Material
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.runs import symptoms


class _Symptom(NamedTuple):
    """A symptom over a run."""

    worst: float
    first: int
    last: int
    rows: int


def parts(material: Material) -> list[Html]:
    """A table of the symptoms in the record, the most frequent first; a word where none is."""
    if not material.rows:
        return []
    raised: dict[str, _Symptom] = {}
    for row in material.rows:
        for what, severity in symptoms.symptoms(row).items():
            at, one = row["iteration"], raised.get(what)
            first = at if one is None else one.first
            worst = severity if one is None else max(severity, one.worst)
            raised[what] = _Symptom(worst, first, at, 1 if one is None else one.rows + 1)
    if not raised:
        return [page.paragraph("The run raised none.", "good")]
    total = len(material.rows)
    rows = [
        (what, "" if math.isinf(one.worst) else f"{one.worst:.0%}",
         f"{one.rows:,} of {total:,}", f"{one.first:,}", f"{one.last:,}")
        for what, one in sorted(raised.items(), key=lambda item: -item[1].rows)
    ]  # fmt: skip
    head = ("symptom", "worst", "rows", "first at iteration", "last")
    words = "What the run said on its console; docs/reliability.md says what to do about each."
    return [page.paragraph(words), page.table(head, rows)]
