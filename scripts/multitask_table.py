"""The table of docs/results, One model for four tasks, from what scripts/multitask_cpu.sh wrote.

    python scripts/multitask_table.py FOLDER [--json FILE]

Per task, as means of 100 episodes: the single-task run whose data the model learned from, the
policy extracted from the model, the model's own policy and its planner; the share of the
single-task run's return that the extracted policy reaches; below, the seconds
of each part, of which those of single tasks overlap in pairs.
"""

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

from mjxwm.runs import system

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--json", type=Path)


def main() -> None:
    """Prints the table."""
    options = parser.parse_args()
    tables: dict[str, dict[str, list[float]]] = {}
    for who in ("policies", "prior", "planner"):
        file = options.folder / f"{who}.json"
        if who == "planner" and not file.is_file():  # it takes hours
            continue
        rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
        tables[who] = {row["task"]: row["returns"] for row in rows}
    print("| task | single-task PWM | extracted | share | model's policy | planner |")
    print("|---|---|---|---|---|---|")
    result: dict[str, Any] = {}
    for task, returns in tables["policies"].items():
        means = {who: sum(t[task]) / len(t[task]) for who, t in tables.items() if t.get(task)}
        alone = json.loads((options.folder / f"single-{task}.json").read_text(encoding="utf-8"))
        means["single"] = alone["eval_return_mean"]
        planner = f"{means['planner']:.0f}" if "planner" in means else "-"
        share = means["policies"] / means["single"] if means["single"] else float("nan")
        result[task] = {
            **means,
            "share": share,
            "returns": returns,
            "single_returns": alone["eval_returns"],
        }
        print(
            f"| `{task}` | {means['single']:.0f} | {means['policies']:.0f} | {share:.2f} | "
            f"{means['prior']:.0f} | {planner} |"
        )
    seconds = dict(
        line.split()
        for line in (options.folder / "seconds").read_text(encoding="utf-8").splitlines()
    )
    print(", ".join(f"{part} {value} s" for part, value in seconds.items()))
    print(f"in all {int(seconds['all']) / 60:.0f} minutes")
    if options.json:
        facts = {"machine": f"{os.cpu_count()} cores", "date": str(datetime.date.today())}
        facts |= {"tasks": result, "seconds": seconds, "system": system.describe()}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
