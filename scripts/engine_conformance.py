"""Tries each feature of MuJoCo on each engine against C MuJoCo, and writes docs/engines.md's table.

    python scripts/engine_conformance.py           everything: about an hour on two cores
    python scripts/engine_conformance.py --engines mjx --parts joints      the rest stays

The rows are those of tests/envs/conformance*.py. Results are kept in docs/results/engines.json.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "envs")]
# Programs that run for milliseconds: less optimisation halves the time that they take to compile.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import conformance  # noqa: E402
import conformance_table  # noqa: E402

RESULTS = ROOT / "docs" / "results" / "engines.json"
PAGE = ROOT / "docs" / "engines.md"


def main() -> None:
    """Measures what is asked for, row by row, and writes the page after each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="*", default=list(conformance.ENGINES))
    parser.add_argument("--parts", nargs="*", default=[])
    parser.add_argument("--features", nargs="*", default=[], help="words that features contain")
    args = parser.parse_args()
    rows = [row for row in conformance_table.ROWS if _wanted(row, args.parts, args.features)]
    for name in args.engines:
        for bundle in conformance.bundles(rows):
            begin = time.perf_counter()
            outcomes = conformance.outcomes(name, bundle)
            _keep(name, bundle, outcomes)
            seconds = time.perf_counter() - begin
            for row, outcome in zip(bundle, outcomes, strict=True):
                error = "" if outcome.error is None else f" {outcome.error:.1e}"
                print(f"{name} {row.part}: {row.feature}: {outcome.verdict}{error} {outcome.said}")
            print(f"  {seconds:.0f} s", flush=True)


def _wanted(row: conformance.Row, parts: list[str], words: list[str]) -> bool:
    part = not parts or any(p in row.part for p in parts)
    return part and (not words or any(w in row.feature for w in words))


def _keep(name: str, rows: list[conformance.Row], outcomes: list[conformance.Outcome]) -> None:
    # Read anew: two processes may measure one engine each.
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for row, outcome in zip(rows, outcomes, strict=True):
        results.setdefault(conformance_table.key(row), {})[name] = outcome._asdict()
    results = {
        k: results[k] for r in conformance_table.ROWS if (k := conformance_table.key(r)) in results
    }
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in results.items()]
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    conformance_table.write(PAGE, results)


if __name__ == "__main__":
    main()
