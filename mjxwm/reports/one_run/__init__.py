"""The report of a run: a page of what is in its folder, `report.html`."""

from mjxwm.reports.one_run.report import FILE, render, write

__all__ = ["FILE", "render", "write"]
