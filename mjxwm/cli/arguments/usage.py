"""What `mjxwm --help` says, and the parts of commands that are groups."""

USAGE = """usage: mjxwm COMMAND ...

  train [PRESET] [--FIELD VALUE ...]   learn a policy; without a preset, cartpole-swingup
  train ... --task.FIELD VALUE         a field of the task itself: --task.episode_length 500
  train ... --seeds 8                  several seeds in one program, each a run of its own
  train --resume RUN                   go on with a run
  replay RUN                           repeat what the guard stopped a run for
  eval RUN                             evaluate a run's policy: deterministic, closed loop
  eval --suite SET --model RUN         a model's policies on all its tasks: a table of scores
  view RUN|TASK|--pretrained NAME      a policy live in a browser, also while its run trains
  export RUN --to onnx|numpy|torch     a run's policy as a file for robots and other programs
  collect PRESET                       train, and keep all that was collected in a data set
  pretrain PRESET                      one world model of many tasks, from a data set
  extract TASK --model RUN             the policy of one task, through a model
  import checkpoint FILE               a model of TD-MPC2's or PWM's, as a run
  import data FILE ...                 TD-MPC2's data, as a data set
  report RUN                           the page about a run: curves, video, model, time, commands
  report RUN RUN ...                   several runs on one page: intervals over seeds, differences
  plot RUN [RUN ...]                   learning curves of runs in one figure
  score RUN [RUN ...]                  returns in units of PPO's, summed up over seeds and tasks
  compare --task TASK                  several algorithms under equal conditions, over seeds
  study FILE                           a matrix of tasks, algorithms and seeds, and one page of it
  gradients TASK [--policy RUN]        gradients of model and simulator side by side: a report
  pool CELL [CELL ...]                 reports of several tasks, stages, seeds: one figure, findings
  bench sim                            collection against the bare simulator
  bench replay                         inserts and batches, against flashbax and numpy
  bench learner                        parameters and updates/s, against torch
  bench train                          where an iteration's time goes
  bench scaling                        worlds from few to many, devices from 1 to 8
  bench kernels                        a preset's programs compiled for a GPU: kernels, time, memory
  bench planner                        time per action: planner, policy, torch's planner
  bench gradients                      a gradient's cost, against the rollout and an unrolled solver
  bench compare OLD NEW                what changed between two reports, beyond the noise
  envs [SUITE|TASK ...]                tasks, their sizes and engines, and what is missing
  envs check TASK|SUITE ...            is it sound: shapes, finite, repeats, engines agree, speed
  doctor                               what was found here, and what to do about what is missing
  completion bash|zsh|fish             a script for the shell: source <(mjxwm completion bash)

`mjxwm COMMAND --help` lists the options that people change first, --help-all all of them.
Every command takes --json FILE for its result, and --quiet: results, notes and warnings alone.
Exit status: 0 done, 1 an unexpected error, 2 a user's mistake, 3 the guard stopped the run,
4 the disk is full, 128 + n signal n. `mjxwm --version` is the version."""

GROUPS = ("bench", "import")
"""Commands that do nothing without the name of a part."""


def parts(group: str) -> list[str]:
    """Names of a group's parts."""
    return [line.split()[1] for line in _lines(group)]


def group_usage(group: str) -> str:
    """What `mjxwm GROUP --help` says."""
    more = f"`mjxwm {group} NAME --help` lists the options."
    return "\n".join([f"usage: mjxwm {group} NAME ...", "", *_lines(group), "", more])


def _lines(group: str) -> list[str]:
    return [line for line in USAGE.splitlines() if line.startswith(f"  {group} ")]
