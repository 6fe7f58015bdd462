"""Makes a run's policy one of those that come with the package.

    python scripts/ship_policy.py runs/pwm-ant ant --best --command "mjxwm train pwm-ant --seed 0"

Writes `pretrained/NAME`: `policy.yaml` and its arrays, matrices in float16, and `about.yaml` with
the command that trained it, seed, commit, and the return of what was written. The status is 1 where
it is larger than a megabyte, or where rounding has cost more than 2 % of the return.
"""

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path

import jax

from mjxwm.reports import outcome
from mjxwm.runs import policies, policy_files, record, shipped
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.policies import Policy
from mjxwm.runs.policy_files import Header

parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
parser.add_argument("run", type=Path, help="the run's folder")
parser.add_argument("name", help="the policy's name")
parser.add_argument("--command", required=True, help="the command that trained it")
parser.add_argument("--best", action="store_true", help="the policy of the best evaluation")
parser.add_argument("--episodes", type=int, default=10, help="episodes of its evaluation")


def described(run: Path, best: bool, policy: Policy) -> Header:
    """All about a run's policy; of a run of an earlier version as far as its files say it."""
    place = policy_files.folder(run, best)
    if place is not None:
        return policy_files.read_header(place)
    system = json.loads(RunFolder(run).system.read_text(encoding="utf-8"))
    rows = [row for row in record.read(RunFolder(run).metrics) if "eval/return" in row]
    header = policy_files.describe(policy.config, policy.iteration)
    return dataclasses.replace(
        header,
        env_steps=rows[-1]["env_steps"],
        eval_return=rows[-1]["eval/return"],
        engine="native",
        eval_engine="native",
        sizes=policy.sizes,
        versions={"commit": system["commit"], **system["packages"]},
    )


def main() -> int:
    """Writes the policy and says what became of it."""
    args = parser.parse_args()
    place = shipped.folder() / args.name
    shutil.rmtree(place, ignore_errors=True)
    policy = policies.of_run(args.run, args.best)
    config = dataclasses.replace(policy.config, devices=1, task_folder=None, data=None)
    config = dataclasses.replace(config, algorithm_folder=None)
    header = described(args.run, args.best, policy)
    arrays = jax.device_get(policy.arrays)
    policy_files.write(place, dataclasses.replace(header, config=config), arrays, half=True)
    before, after = (
        outcome.evaluate_run(RunFolder(path), args.episodes, best=best)[1].mean_return
        for path, best in ((args.run, args.best), (place, False))
    )
    commit = str(header.versions["commit"])
    about = shipped.About(args.command, round(after, 1), args.episodes, config.seed, commit)
    shipped.keep_about(place, about)
    size = sum(file.stat().st_size for file in place.iterdir())
    print(f"{place}: {size:,} bytes; return {after:.1f}, {before:.1f} before rounding")
    return int(size > 1_000_000 or after < before - 0.02 * abs(before))


if __name__ == "__main__":
    sys.exit(main())
