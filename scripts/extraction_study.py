"""Why an extracted policy reaches what it does: errors of its model where it goes, beside the data.

    python scripts/extraction_study.py RUN... [--episodes 8] [--json FILE]

A RUN is the folder of a policy that `mjxwm extract` made. See `mjxwm/reports/extraction.py`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from mjxwm.reports import extraction

parser = argparse.ArgumentParser()
parser.add_argument("runs", type=Path, nargs="+")
parser.add_argument("--episodes", type=int, default=8)
parser.add_argument("--json", type=Path)


def main() -> None:
    """Measures and prints a row per policy in each of three tables."""
    options = parser.parse_args()
    found = {run.name: extraction.measure(run, options.episodes) for run in options.runs}
    print("errors of the model after 1, 4, 16 steps: along the policy / in the data")
    print("| policy | return | reward | latent, of how far it moves |")
    print("|---|---|---|---|")
    for name, values in found.items():
        along, taught = values["policy"], values["data"]
        reward = _cells(along["reward"], taught["reward"])
        latent = _cells(_share(along), _share(taught))
        print(f"| {name} | {values['return']:.0f} | {reward} | {latent} |")
    print("\nmedian distance to the nearest of the data: of the policy / of the data themselves")
    print("| policy | states | states and actions |")
    print("|---|---|---|")
    for name, values in found.items():
        far = values["distance"]
        state = f"{far['state']:.3f} / {far['state_of_data']:.3f}"
        print(f"| {name} | {state} | {far['step']:.3f} / {far['step_of_data']:.3f} |")
    print("\ndiscounted return that the actor ascends, the real one, parts of the difference")
    print("| policy | at | imagined | real | rewards | imagined states | values of states |")
    print("|---|---|---|---|---|---|---|")
    for name, values in found.items():
        for place in ("at_start", "everywhere"):
            x = values["expected"][place]
            keys = ("imagined", "real", "rewards", "imagined_states", "values_of_states")
            cells = " | ".join(f"{x[key]:.1f}" for key in keys)
            print(f"| {name} | {place.replace('_', ' ')} | {cells} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _share(errors: dict[str, Any]) -> list[float]:
    return [e / m for e, m in zip(errors["latent"], errors["latent_unchanged"], strict=True)]


def _cells(along: list[float], taught: list[float]) -> str:
    return ", ".join(f"{along[i]:.2f} / {taught[i]:.2f}" for i in (0, 3, 15))


if __name__ == "__main__":
    main()
