"""The command line: `mjxwm COMMAND ...`; `USAGE` below has the commands."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mjxwm import system
from mjxwm.cli import (
    collect,
    compare,
    gradients,
    importing,
    multitask,
    suites,
    tools,
    training,
)
from mjxwm.config import ConfigError, nearest

USAGE = """usage: mjxwm COMMAND ...

  train [PRESET] [--FIELD VALUE ...]   learn a policy; without a preset, cartpole-swingup
  train --resume RUN                   go on with a run
  eval RUN                             evaluate a run's policy: deterministic, closed loop
  eval --suite SET --model RUN         a model's policies on all its tasks: a table of scores
  collect PRESET                       train, and keep all that was collected in a data set
  pretrain PRESET                      one world model of many tasks, from a data set
  extract TASK --model RUN             the policy of one task, through a model
  import checkpoint|data FILE ...      TD-MPC2's and PWM's models, TD-MPC2's data
  plot RUN [RUN ...]                   learning curves of runs in one figure
  score RUN [RUN ...]                  returns in units of PPO's, summed up over seeds and tasks
  compare --task TASK                  several algorithms under equal conditions, over seeds
  gradients TASK [--policy RUN]        gradients of model and simulator side by side: a report
  bench sim                            collection against the bare simulator
  bench replay                         inserts and batches, against flashbax and numpy
  bench learner                        parameters and updates/s, against torch
  bench train                          where an iteration's time goes
  bench scaling                        worlds from few to many, devices from 1 to 8
  bench planner                        time per action: planner, policy, torch's planner
  bench gradients                      a gradient's cost, against the rollout and an unrolled solver
  bench compare OLD NEW                what changed between two reports, beyond the noise
  envs [SUITE|TASK ...]                tasks, their sizes and engines, and what is missing
  envs check TASK|SUITE ...            is it sound: shapes, finite, repeats, engines agree, speed
  doctor                               what was found here, and what to do about what is missing

`mjxwm COMMAND --help` lists the options; every command takes --json FILE for its result."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status. A user's mistake is one line and status 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    commands: dict[str, Callable[[list[str]], int]] = {
        "train": training.train,
        "eval": training.evaluate,
        "collect": collect.collect,
        "pretrain": multitask.pretrain,
        "extract": multitask.extract,
        "import": importing.import_,
        "plot": compare.plot,
        "score": compare.score,
        "compare": compare.compare,
        "gradients": gradients.gradients,
        "bench": tools.bench,
        "envs": suites.envs,
        "doctor": tools.doctor,
    }
    if not args or args[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    try:
        if args[0] not in commands:
            raise ConfigError(
                f"command {args[0]!r} is unknown{nearest(args[0], commands)}\n{USAGE}"
            )
        _compilation_cache()
        system.choose_rendering()
        return commands[args[0]](args[1:])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _compilation_cache() -> None:
    """Compiled programs are kept between runs, unless JAX's own variable says where or not."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "mjxwm" / "xla"))
