"""The report of several runs beside one another: a page of what their folders hold."""

from mjxwm.reports.several_runs.groups import grouped, named
from mjxwm.reports.several_runs.report import render, write

__all__ = ["grouped", "named", "render", "write"]
