"""Cells of a gradient study, read from the files that `mjxwm gradients --json` wrote."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from mjxwm import ConfigError
from mjxwm.gradients.config import TRUTH

PAIR = ("model", "simulator")


class Training(NamedTuple):
    """How a cell's model and critics were trained; 0 is as the run's training left them."""

    data: int = 0
    """Env steps that the model was trained on anew."""
    window: int = 0
    """Steps that it predicted in that."""
    values: int = 0
    """Env steps from whose returns critics were fitted anew."""

    @property
    def words(self) -> str:
        """What it is called."""
        model = f"{self.data:,} steps of data, windows of {self.window}" if self.data else ""
        values = f"values from {self.values:,} steps" if self.values else ""
        return ", ".join(filter(None, (model, values))) or "as trained"


class Condition(NamedTuple):
    """What cells that differ in their seed alone have in common."""

    body: str
    """The task, without what its name says of stiffness."""
    contact_time: float | None
    """Time constant of its contacts [s]; None for a body without such a field."""
    share: float
    """Stage of training: the share of the run's iterations."""
    training: Training


class Cell(NamedTuple):
    """One report's start states."""

    name: str
    """Its file's name."""
    condition: Condition
    seed: int
    """Seed of the run that policy and model are of."""
    strata: list[NDArray]
    """Indices of the start states of each stratum."""
    states: dict[int, dict[str, dict[str, Float[NDArray, " S"]]]]
    """By horizon, estimator and column, see `summary.States`."""
    faults: dict[int, list[str]]
    """By horizon: the gates that did not pass there, and what they say."""


def read(paths: Sequence[Path]) -> list[Cell]:
    """The cells of these files, in order of their conditions and seeds.

    Raises:
        ConfigError: a file is no report's, or one of a version without states; or two are of one
            condition and seed.
    """
    cells = sorted((_read(path) for path in paths), key=lambda c: (_order(c.condition), c.seed))
    for one, other in itertools.pairwise(cells):
        if (one.condition, one.seed) == (other.condition, other.seed):
            raise ConfigError(f"{one.name} and {other.name} are of one condition and seed")
    return cells


def _order(condition: Condition) -> tuple[Any, ...]:
    stiff = -(condition.contact_time or 0.0)  # from soft to stiff
    return condition.body, stiff, condition.share, condition.training


def _read(path: Path) -> Cell:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values = values.get("result", values)  # as a study keeps it
        cell, states, gates = values["cell"], values["states"], values["gates"]
        stratum = np.array(states["stratum"])
        columns = {
            int(h): {
                name: {key: np.array(x, float) for key, x in parts.items()}
                for name, parts in estimators.items()
            }
            for h, estimators in states["horizons"].items()
        }
        condition = Condition(
            body=cell["body"],
            contact_time=cell["contact_time"],
            share=round(cell["share"], 2),
            training=Training(**cell["training"]),
        )
        return Cell(
            name=path.stem,
            condition=condition,
            seed=int(cell["seed"]),
            strata=[np.nonzero(stratum == name)[0] for name in dict.fromkeys(stratum)],
            states=columns,
            faults={h: _faults(gates, h) for h in columns},
        )
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is no cell of a gradient study: it is not what `mjxwm gradients --json` writes"
        ) from error


def _faults(gates: list[dict[str, Any]], horizon: int) -> list[str]:
    """Gates that did not pass at a horizon."""
    faults = []
    for gate in gates:
        at_each = gate["by_horizon"]
        passed = at_each.get(str(horizon)) if at_each else gate["passed"]
        if passed is not True:
            word = "failed" if passed is False else "not decided"
            faults.append(f"{gate['name']} {word}: {gate['verdict']}")
    return faults


def statistics(cell: Cell, horizon: int, ids: NDArray, batch: int) -> dict[str, float]:
    """Cosines and errors of model and simulator at some start states, and their differences.

    Args:
        cell: the cell.
        horizon: steps.
        ids: start states, repeats allowed.
        batch: samples of the mean whose squared error is meant, as a share of the squared truth.
    """
    rows = cell.states[horizon]
    truth2 = rows[TRUTH]["norm2"][ids].mean()
    values = {}
    for name in PAIR:
        norm2, inner, variance = (
            rows[name][key][ids].mean() for key in ("norm2", "inner", "variance")
        )
        ends = min(norm2, truth2) > 0
        values[f"{name} cosine"] = inner / np.sqrt(norm2 * truth2) if ends else np.nan
        bias2 = max(norm2 + truth2 - 2 * inner, 0.0)
        values[f"{name} error"] = (bias2 + variance / batch) / truth2 if truth2 > 0 else np.nan
    for key in ("cosine", "error"):
        values[key] = values[f"model {key}"] - values[f"simulator {key}"]
    return values
