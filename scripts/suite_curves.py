"""Learning curves on dm_control beside TD-MPC2's published ones: a figure of docs/results.

    python scripts/suite_curves.py [RUN ...] --out FOLDER

Keeps each run's evaluations, settings and machine in FOLDER/runs.json, draws a panel per task of
all that is kept there (mean and range over seeds, `curves.png`), writes `curves.json` and prints
the table. A run's env steps are actions of `action_repeat` control steps each; TD-MPC2 counts
control steps. Its points are those of the results that its authors publish with their code
(nicklashansen/tdmpc2, results/tdmpc2/TASK.csv, 3 seeds, evaluated with its planner).
"""

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import summarise
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mjxwm.runs import system

parser = argparse.ArgumentParser()
parser.add_argument("runs", nargs="*", type=Path)
parser.add_argument("--out", type=Path, required=True)

PUBLISHED: dict[str, dict[int, tuple[float, ...]]] = {
    "cheetah-run": {100_000: (614, 454, 489), 200_000: (711, 522, 611)},
    "cup-catch": {0: (0, 0, 0), 100_000: (973.3, 983.7, 986.7), 200_000: (972.1, 977.0, 980.6)},
    "pendulum-swingup": {
        0: (1.4, 0, 0),
        100_000: (756.0, 563.7, 852.2),
        200_000: (876.9, 801.6, 795),
    },
    "reacher-easy": {
        0: (91.4, 51.5, 140.8),
        100_000: (972.8, 977.9, 859.9),
        200_000: (985.5, 969.3, 973.9),
    },
    "walker-walk": {100_000: (948, 967, 971)},
}
"""Returns by control steps, one per seed."""


def curve(kept: dict[str, Any]) -> tuple[str, int, np.ndarray, float]:
    """Task, seed, [control steps, return] and minutes of a run that is kept."""
    config, evaluations = kept["config"], np.array(kept["evaluations"])
    points = evaluations[:, [0, 2]] * [config["action_repeat"] or 1, 1]
    return config["task"], config["seed"], points, float(evaluations[-1, 1])


def panel(axis: Any, task: str, curves: list[np.ndarray]) -> None:
    """Ours as a band over the seeds, theirs as points with their range."""
    end = min(points[-1, 0] for points in curves)
    x = np.linspace(max(points[0, 0] for points in curves), end, 100)
    ys = np.array([np.interp(x, *points.T) for points in curves])
    axis.plot(x, ys.mean(axis=0), label=f"PWM, {len(curves)} seeds")
    axis.fill_between(x, ys.min(axis=0), ys.max(axis=0), alpha=0.2)
    theirs = PUBLISHED.get(task, {})
    steps = np.array(list(theirs))
    values = np.array(list(theirs.values()))
    if len(steps):
        mean = values.mean(axis=1)
        spread = np.abs(np.array([values.min(axis=1), values.max(axis=1)]) - mean)
        axis.errorbar(steps, mean, spread, fmt="ks", capsize=3, label="TD-MPC2, published")
    axis.set_title(task, fontsize="medium")
    axis.set_xlabel("control steps")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1000)
    axis.grid(alpha=0.3)


def main() -> None:
    """Reads, draws, prints."""
    options = parser.parse_args()
    found: dict[str, dict[int, tuple[np.ndarray, float]]] = {}
    options.out.mkdir(parents=True, exist_ok=True)
    for kept in summarise.keep(options.runs, options.out / "runs.json").values():
        task, seed, points, minutes = curve(kept)
        if not points[0, 0] <= 100_000 <= points[-1, 0]:
            parser.error(
                f"{task}, seed {seed}: evaluated from {points[0, 0]:.0f} to {points[-1, 0]:.0f} "
                "control steps, which leaves out the 100,000 that are compared"
            )
        found.setdefault(task, {})[seed] = points, minutes
    figure = Figure(figsize=(3.2 * len(found), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    print("| task | at 100 k control steps | TD-MPC2 there | at the end | minutes |")
    print("|---|---|---|---|---|")
    rows = []
    for axis, (task, seeds) in zip(axes, sorted(found.items()), strict=True):
        panel(axis, task, [points for points, _ in seeds.values()])
        there = [float(np.interp(100_000, *points.T)) for points, _ in seeds.values()]
        ends = [float(points[-1, 1]) for points, _ in seeds.values()]
        theirs = PUBLISHED.get(task, {}).get(100_000, ())
        minutes = [m for _, m in seeds.values()]
        cells = [", ".join(f"{x:.0f}" for x in values) for values in (there, theirs, ends, minutes)]
        print(f"| `{task}` | {' | '.join(cells)} |")
        rows.append({"task": task, "seeds": list(seeds), "at_100k": there, "end": ends})
    axes[0].set_ylabel("return of an episode")
    axes[-1].legend(fontsize="small")
    figure.savefig(options.out / "curves.png", dpi=120)
    facts = {"machine": f"{os.cpu_count()} cores", "date": str(datetime.date.today())}
    facts |= {"rows": rows, "system": system.describe()}
    (options.out / "curves.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
