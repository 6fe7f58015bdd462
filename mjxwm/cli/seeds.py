"""What `mjxwm train --seeds N` says at its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mjxwm import GuardError
from mjxwm.cli.arguments.options import write


def report(results: Sequence[Any], target: Path | None) -> int:
    """Says what came of runs of several seeds: the return of each, their mean, and one curve.

    Raises:
        GuardError: some seeds were stopped before the others; after all else is said.
    """
    from mjxwm.reports import outcome, seeds
    from mjxwm.runs import budgets
    from mjxwm.runs.folders import quoted

    rows = [_row(result) for result in results]
    total = seeds.summary(results)
    write({**total, "runs": rows}, target)  # before pictures, which may fail
    for result, row in zip(results, rows, strict=True):
        if result.evaluation is not None:
            row.update(outcome.artifacts(result.config, result.run, result.evaluation))
        else:
            row.update(outcome.page(result.run))
    print(seeds.table(results))
    drawn = seeds.curve(results, results[0].config.task)
    page = seeds.page(results)
    files = {name: str(path) for name, path in (("report", page), ("curve", drawn)) if path}
    if files:
        print(f"{results[0].seconds / 60:.1f} minutes. Look closer:")
        print("\n".join(f"  {quoted(path)}" for path in files.values()))
    going = [result for result in results if not result.trouble]
    if all(result.finished for result in results) and results[0].evaluation is None:
        print(f"finished before, at iteration {results[0].iteration}: nothing is left to train")
        print(f"  {budgets.way_on([r.run for r in results], results[0].config)}  # go on")
    elif any(result.evaluation is None for result in going):
        paths = " ".join(quoted(result.run.path) for result in going)
        print(f"{_saved(going)}. Go on, together or with some of them, with\n  {_RESUME} {paths}")
    write({**total, **files, "runs": rows}, target)
    ended = [
        f"run {r.run.path} at iteration {r.iteration}: {r.trouble}" for r in results if r.trouble
    ]
    if ended and results[0].signal is None:
        raise GuardError(f"{len(ended)} of {len(results)} seeds stopped: {'; '.join(ended)}")
    unwritten = [result for result in results if result.unwritten]
    if unwritten and results[0].finished:
        print(f"finished, but {_saved(results)}")
    return (unwritten or results)[0].status


def _saved(results: Sequence[Any]) -> str:
    missing = [f"{what} of {r.run.path}" for r in results for what in r.unwritten]
    return f"NOT WRITTEN: {', '.join(missing)}" if missing else "checkpoints saved"


_RESUME = "mjxwm train --resume"


def _row(result: Any) -> dict[str, Any]:
    from mjxwm.reports import outcome

    row = {
        "run": str(result.run.path),
        "seed": result.config.seed,
        "iteration": result.iteration,
        "env_steps": result.env_steps,
        "seconds": round(result.seconds, 1),
        "eval_return_mean": None,
    }
    if result.trouble:
        row["trouble"] = result.trouble
    return row if result.evaluation is None else {**row, **outcome.returns(result.evaluation)}
