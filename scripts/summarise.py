"""Makes a runs.json of docs/results: evaluations, configuration and machine of training runs.

    python scripts/summarise.py RUN [RUN ...] --out FILE.json

An evaluation is [env steps, minutes, mean return, its deviation over episodes, mean length]. A FILE
that exists keeps its other runs. The whole record of a run (`metrics.jsonl`) is a hundred times as
large and stays in its run folder.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from mjxwm.runs import record

parser = argparse.ArgumentParser()
parser.add_argument("runs", nargs="+", type=Path)
parser.add_argument("--out", type=Path, required=True)

FIELDS = ("env_steps", "minutes", "eval/return", "eval/return_std", "eval/length")
"""Columns of an evaluation."""


def summary(run: Path) -> dict[str, Any]:
    """The evaluations, configuration and machine of a run folder."""
    rows = record.read(run / "metrics.jsonl")
    evaluations = [
        [round(row.get(field) or 0, 2) for field in FIELDS]
        for row in rows
        if row.get("eval/return") is not None
    ]
    facts = {"evaluations": evaluations, "env_steps": rows[-1]["env_steps"]}
    for part in ("config.yaml", "system.json"):
        facts[part.split(".")[0]] = yaml.safe_load((run / part).read_text(encoding="utf-8"))
    return facts


def keep(runs: list[Path], out: Path) -> dict[str, Any]:
    """Adds the summaries of `runs` to a file, by name, and returns all that it has."""
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    kept |= {run.name: summary(run) for run in runs}
    lines = [f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept)]
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return kept


if __name__ == "__main__":
    options = parser.parse_args()
    keep(options.runs, options.out)
