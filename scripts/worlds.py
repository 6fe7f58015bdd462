"""Returns with few and many worlds at equal data: docs/performance.md, How many worlds.

    python scripts/worlds.py --out FOLDER [--runs runs] [--seeds 0 1 2]

Trains `pwm-hopper-cpu` with each number of worlds and seed that has no run yet, one after another
(15 to 40 minutes each), on equally many env steps, random ones included, with equally many updates
of the model but for what the random ones make; evaluates each over 100 episodes; prints the table
and keeps it with the evaluations, the machine and the curves in FOLDER.

The budget is 16 M env steps with as many updates of the model as the preset makes in 1 M: each of
4096 worlds is to live through several episodes' lengths.
"""

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import summarise
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from mjxwm.runs import system

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--runs", type=Path, default=Path("runs"))
parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
parser.add_argument("--env-steps", type=int, default=16_000_000)
parser.add_argument("--update-ratio", type=float, default=0.5)

RANDOM = 48
"""Random control steps of each world before the first update, or a few more: more than a random
episode has (35), or the first hundreds of updates know of no fall."""


class Setting(NamedTuple):
    """How many worlds there are, and how they are stepped."""

    worlds: int
    unroll: int
    """Steps per world and iteration: fewer with more worlds, so that what is learned acts soon."""
    model_steps: int
    """World-model updates per actor update. Thousands of worlds make few steps each, and an actor
    that changes many times between two of them learns from what it no longer does."""
    imagine_batch: int
    """Imagined rollouts per actor update: as many in all, whatever `model_steps`."""
    kept: float
    """Share of the budget's steps that the replay holds: many worlds do better when it forgets."""


SETTINGS = (Setting(32, 32, 1, 64, 1.05), Setting(4096, 1, 4, 256, 0.2625))


def command(*words: object) -> None:
    """Runs a command of ours."""
    subprocess.run([sys.executable, "-m", "mjxwm.cli", *map(str, words)], check=True)


def trained(setting: Setting, seed: int, options: argparse.Namespace) -> Path:
    """The folder of a run, which is made where there is none."""
    run = options.runs / f"worlds-{setting.worlds}-{seed}"
    if not run.exists():
        command(
            "train", "pwm-hopper-cpu", "--env-steps", options.env_steps, "--seed", seed,
            "--worlds", setting.worlds, "--unroll", setting.unroll,
            "--model-steps", setting.model_steps, "--imagine-batch", setting.imagine_batch,
            "--warmup", -(-RANDOM // setting.unroll), "--update-ratio", options.update_ratio,
            "--capacity", int(setting.kept * options.env_steps),
            "--no-video", "--run", run.name, "--folder", options.runs,
        )  # fmt: skip
    return run


def evaluated(run: Path, out: Path) -> dict[str, Any]:
    """100 episodes of a run's end, kept with its evaluations and machine."""
    kept = out / f"{run.name}.json"
    if not kept.exists():
        command("eval", run, "--episodes", 100, "--json", kept)
        summarise.keep([run], out / "runs.json")
        # The run's name: its folder is this machine's alone.
        facts = json.loads(kept.read_text(encoding="utf-8")) | {"run": run.name}
        kept.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def row(setting: Setting, seeds: list[int], ends: list[dict[str, Any]]) -> dict[str, Any]:
    """What a setting came to."""
    returns = [end["eval_return_mean"] for end in ends]
    facts = {"seeds": seeds, "returns": returns, "lengths": [e["eval_length_mean"] for e in ends]}
    facts |= {"mean": float(np.mean(returns)), "half_interval": None}
    if len(returns) > 2:
        # Student's: a bootstrap of three seeds knows nothing beyond their extremes.
        half = stats.t.ppf(0.975, len(returns) - 1) * stats.sem(returns)
        facts["half_interval"] = float(half)
    return setting._asdict() | facts


def draw(out: Path) -> None:
    """Evaluated returns over env steps and minutes, in a colour per number of worlds."""
    runs = json.loads((out / "runs.json").read_text(encoding="utf-8")).values()
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for i, setting in enumerate(SETTINGS):
        same = [run for run in runs if run["config"]["algo"]["worlds"] == setting.worlds]
        for j, run in enumerate(same):
            steps, minutes, returns, *_ = np.array(run["evaluations"]).T
            label = f"{setting.worlds} worlds, {len(same)} seeds" if j == 0 else None
            axes[0].plot(steps / 1e6, returns, f"C{i}.-", alpha=0.7, label=label)
            axes[1].plot(minutes, returns, f"C{i}.-", alpha=0.7)
    axes[0].set(xlabel="env steps, all worlds [million]", ylabel="return of an episode")
    axes[1].set_xlabel("minutes, compilation included")
    axes[0].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.savefig(out / "curves.png", dpi=100)


def main() -> None:
    """Trains what is missing, prints the table."""
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for setting in SETTINGS:
            evaluated(trained(setting, seed, options), options.out)
    rows = []
    for setting in SETTINGS:
        runs = sorted(options.runs.glob(f"worlds-{setting.worlds}-*"))
        seeds = [int(run.name.split("-")[-1]) for run in runs]
        rows.append(row(setting, seeds, [evaluated(run, options.out) for run in runs]))
    print("| worlds | steps per iteration | return of each seed | mean | 95 % |")
    print("|---|---|---|---|---|")
    for facts in rows:
        each = ", ".join(f"{x:.0f}" for x in facts["returns"])
        half = "-" if facts["half_interval"] is None else f"+- {facts['half_interval']:.0f}"
        print(
            f"| {facts['worlds']} | {facts['worlds']} x {facts['unroll']} | {each} | "
            f"{facts['mean']:.0f} | {half} |"
        )
    facts = {"date": str(datetime.date.today()), "env_steps": options.env_steps}
    facts |= {"update_ratio": options.update_ratio, "random_steps": RANDOM, "rows": rows}
    facts |= {"system": system.describe()}
    (options.out / "worlds.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    draw(options.out)


if __name__ == "__main__":
    main()
