"""Feeds wrong inputs to everything that reads what a user supplies: docs/reliability.md, By force.

    python scripts/fuzz.py presets commands --inputs 1000 --seed 0

Each input must be used, or refused in one line with status 2. A traceback, a hang, a process that
is started, a file that changes outside of the work folder is a fault: the faults are listed by
their place, one input of each is kept with --keep, and the status is 1. The same seed makes the
same inputs.
"""

import argparse
import collections
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from fuzzing import KINDS
from fuzzing.watch import judge

parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"all by default: {', '.join(KINDS)}")
parser.add_argument("--inputs", type=int, default=1000, help="of each kind")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--seconds", type=float, default=60, help="after which an input hangs")
parser.add_argument("--say", action="store_true", help="what is said of each input")
parser.add_argument("--keep", type=Path, help="folder for one input of each fault")


def fuzz(
    kind: str,
    inputs: int,
    seed: int,
    seconds: float = 60,
    keep: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[collections.Counter[str], dict[str, tuple[int, str]]]:
    """Tries inputs of one kind.

    Returns:
        How many were used, refused and faults; and each fault with the number of its first input
        and what was said.
    """
    counts: collections.Counter[str] = collections.Counter()
    faults: dict[str, tuple[int, str]] = {}
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as name:
        base, work = Path(name).resolve() / "base", Path(name).resolve() / "work"
        base.mkdir()
        made = KINDS[kind](base, Random(f"{kind} {seed}"))
        try:
            for number in range(inputs):
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                os.chdir(work)
                verdict = judge(next(made), work, seconds)
                counts[verdict.what] += 1
                say(f"{kind} {number}: {verdict.what} {verdict.words}")
                fault = verdict.words.split("\n")[0][:60]
                if verdict.what == "fault" and fault not in faults:
                    faults[fault] = number, verdict.words
                    if keep:
                        shutil.copytree(work, keep / f"{kind}-{seed}-{number}", symlinks=True)
        finally:
            os.chdir(before)
    return counts, faults


def main() -> int:
    """Prints a row of counts per kind; status 1 if there was a fault."""
    options = parser.parse_args()
    unknown = set(options.kinds) - set(KINDS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(KINDS)}")
    print(f"{'input':14}{'tried':>7}{'used':>7}{'refused':>9}{'faults':>8}{'seconds':>9}")
    broken = False
    for kind in options.kinds or KINDS:
        start = time.monotonic()
        counts, faults = fuzz(
            *(kind, options.inputs, options.seed, options.seconds, options.keep),
            say=print if options.say else lambda line: None,
        )
        numbers = [counts[what] for what in ("used", "refused", "fault")]
        used, refused, wrong = numbers
        spent = time.monotonic() - start
        print(f"{kind:14}{sum(numbers):7}{used:7}{refused:9}{wrong:8}{spent:9.0f}", flush=True)
        for number, words in faults.values():
            print(f"  input {number}: {words[:1500]}", flush=True)
        broken = broken or bool(faults)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
