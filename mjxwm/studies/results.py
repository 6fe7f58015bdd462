"""The numbers of a study: one JSON document, from which its page is drawn.

It is a function of the results alone. What is of the clock has names with `minutes`, so that two
studies of the same results can be compared without it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mjxwm.reports.one_run import material
from mjxwm.runs import record
from mjxwm.runs.config import Config as RunConfig
from mjxwm.runs.folders import RunFolder
from mjxwm.studies import scores, training
from mjxwm.studies.cells import Cell, Standing
from mjxwm.studies.config import Config
from mjxwm.studies.gradients import GradientCell
from mjxwm.studies.training import TrainCell

FORMAT = 2
AXES = ("env_steps", "gradient_steps", "minutes")
"""What curves are drawn against."""


def document(
    study: Config, cells: Sequence[Cell], standings: Mapping[str, Standing], folder: Path
) -> dict[str, Any]:
    """All that a study has come to, as JSON has it.

    Args:
        study: the study.
        cells: of it.
        standings: how they stand, by name.
        folder: where it is kept; paths are relative to it.
    """
    trains = [cell for cell in cells if isinstance(cell, TrainCell)]
    reports = [cell for cell in cells if isinstance(cell, GradientCell)]
    runs = [row for cell in trains for row in _runs(study, cell, standings[cell.name], folder)]
    groups = list(dict.fromkeys((row["world"], row["method"]) for row in runs))
    runs.sort(key=lambda row: groups.index((row["world"], row["method"])))  # seeds stay in order
    words = [standing.word for standing in standings.values()]
    return {
        "format": FORMAT,
        "title": study.title,
        "question": study.question,
        "cells": {word: words.count(word) for word in sorted(set(words))},
        "runs": runs,
        **scores.summary(runs),
        "gradients": [_gradients(cell, standings[cell.name], folder) for cell in reports],
    }


def _runs(
    study: Config, cell: TrainCell, standing: Standing, folder: Path
) -> Iterator[dict[str, Any]]:
    """A row for each run of a cell."""
    in_world = "task_fields" in study.variants.get(cell.variant, {})
    parts = {"world": [cell.task], "method": [cell.algorithm]}
    parts["world" if in_world else "method"].append(cell.variant)
    for run, config in zip(cell.runs, cell.configs, strict=True):
        # Of a program of several seeds one may have failed alone.
        whole = standing.word == "failed" and training.done(run, config)
        now = Standing("done") if whole else standing
        yield {
            "name": run.path.name,
            **{name: ", ".join(filter(None, words)) for name, words in parts.items()},
            "task": cell.task,
            "algorithm": config.algorithm,
            "seed": config.seed,
            "state": now.word,
            "why": now.why,
            "folder": run.path.relative_to(folder).as_posix(),
            **_learned(run, config, now),
        }


def _learned(run: RunFolder, config: RunConfig, standing: Standing) -> dict[str, Any]:
    """What a run has come to."""
    rows = record.read(run.metrics) if run.metrics.is_file() else []
    rows = [] if standing.word == "changed" else rows
    evaluated = [row for row in rows if material.number(row.get("eval/return")) is not None]
    each = config.algo.gradient_steps
    curve: dict[str, list[float]] = {
        "env_steps": [row["env_steps"] for row in evaluated],
        "gradient_steps": [each * row["iteration"] for row in evaluated],
        "minutes": [row.get("minutes", math.nan) for row in evaluated],
        "return": [row["eval/return"] for row in evaluated],
    }
    last = rows[-1] if rows else {}
    return {
        "budget": config.algo.env_steps,
        "env_steps": last.get("env_steps", 0),
        "gradient_steps": each * last.get("iteration", 0),
        "minutes": last.get("minutes"),
        "return": curve["return"][-1] if evaluated else None,
        "best": max(curve["return"], default=None),
        "success": material.number(evaluated[-1].get("eval/success")) if evaluated else None,
        "curve": curve,
    }


def _gradients(cell: GradientCell, standing: Standing, folder: Path) -> dict[str, Any]:
    """A row for a gradient report, with its numbers where it is done."""
    kept = cell.result.read() if standing.word == "done" else None
    result = (kept or {}).get("result", {})
    return {
        "name": cell.name,
        "task": cell.task,
        "algorithm": cell.algorithm,
        "variant": cell.variant,
        "seed": cell.seed,
        "stage": cell.stage,
        "share": cell.share,
        "state": standing.word,
        "why": standing.why,
        "file": cell.result.path.relative_to(folder).as_posix(),
        "page": cell.page.relative_to(folder).as_posix() if cell.page.is_file() else None,
        "findings": result.get("findings"),
    }
