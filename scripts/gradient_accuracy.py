"""Simulator gradients against central differences of C MuJoCo: the table of docs/gradients.md.

    python scripts/gradient_accuracy.py [--states 20] [--json FILE] [BODY ...]

Random states in contact of seven bodies, float64 and float32, one and 32 physics steps. The bodies
and their states are those of the tests (tests/envs/gradient_cases.py).
"""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "envs"))
import gradient_cases as cases

from mjxwm.runs import system

parser = argparse.ArgumentParser()
parser.add_argument("bodies", nargs="*", help=", ".join(cases.CASES))
parser.add_argument("--states", type=int, default=20)
parser.add_argument("--steps", type=int, nargs="*", default=[1, 32])
parser.add_argument("--json", type=Path)


def main() -> None:
    """Measures and prints row by row."""
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rows = []
    print(
        "| body | steps | median | 95 % | largest | over 1e-5, of which kinked | float32, median |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in options.bodies or cases.CASES:
        for steps in options.steps:
            found = list(cases.errors(cases.CASES[name], steps, options.states, single=True))
            rows.append({"body": name, "steps": steps, "states": [f._asdict() for f in found]})
            print(line(name, steps, found), flush=True)
    if options.json:
        described = system.describe()
        facts = {name: described[name] for name in ("commit", "python", "devices", "packages")}
        facts |= {"machine": f"{os.cpu_count()} cores", "date": str(datetime.date.today())}
        options.json.write_text(
            json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8"
        )


def line(name: str, steps: int, found: list[cases.Found]) -> str:
    """A row of the table."""
    errors, single = [f.error for f in found], [f.single for f in found]
    out = [f for f in found if f.error > 1e-5]
    kinked = f"{len(out)}, {sum(f.kinked for f in out)}"
    # Values that occurred: of 20, 19 are within the second, whatever the last one is.
    values = np.quantile(errors, [0.5, 0.95, 1.0], method="inverted_cdf")
    quantiles = " | ".join(f"{value:.0e}" for value in values)
    return f"| {name} | {steps} | {quantiles} | {kinked} | {np.median(single):.0e} |"


if __name__ == "__main__":
    main()
