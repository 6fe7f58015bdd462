"""Command lines: every command with options that it has and that it has not, and odd values.

Where training or measuring would begin, it is taken that the command was used.
"""

import contextlib
import functools
import importlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.texts import NUMBERS, WORDS, mutated
from fuzzing.watch import Action, WorkBegins
from mjxwm import cli
from mjxwm.runs import presets
from mjxwm.runs.config import Config

COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("train",), ("train", "debug"), ("train", "c.yaml"), ("train", "ppo-hopper-cpu")),
    *(("train", "--resume", "runs/a"), ("eval", "runs/a"), ("eval", "--suite", "mt4")),
    *(("replay", "runs/a"), ("export", "runs/a", "--to", "numpy")),
    *(("collect", "debug"), ("collect", "mt4-cpu"), ("pretrain", "mt4-cpu")),
    *(("pretrain", "--resume", "runs/a"), ("extract", "cup-catch", "--model", "runs/a")),
    *(("import", "checkpoint", "file.pt"), ("import", "data", "file.pt"), ("plot", "runs/a")),
    *(("score", "runs/a"), ("compare",), ("gradients", "hopper"), ("envs", "pendulum-swingup")),
    *(("envs", "check", "pendulum-swingup"), ("doctor",), ("bench", "compare", "a.json", "b.json")),
    *(("bench", part) for part in ("sim", "replay", "learner", "train", "scaling", "kernels")),
    *(("bench", part) for part in ("planner", "gradients")),
)
VALUES = (
    *("debug", "pwm-hopper-cpu", "tdmpc2-dmc-cpu", "mt4-cpu", "mt30", "cartpole-swingup", "hopper"),
    *("nosuch", "nosuch:Task", "os:system", "gymnasium/No-v0", "mw-no", "native", "mjx", "auto"),
    *("pwm", "shac", "ppo", "file.txt", "folder", "runs", "runs/a", "new/deep/a.json", "c.yaml"),
    *("a.png", "a.mp4", "a.json", "--", "-", "--json", "-h", "=", "True", "False", "None", "all"),
    *("1 2 3", "1,2", "64", "0", "1", "2", "3e-4", "0.9"),
)
STARTS = (
    *("mjxwm.runs.loop.train_runs", "mjxwm.runs.several.train_runs", "mjxwm.bench.learner.run"),
    *("mjxwm.gradients.experiment.run", "mjxwm.bench.iteration._measured"),
    *("mjxwm.bench.simulation.measure", "mjxwm.bench.scaling._devices"),
    *("mjxwm.bench.buffers._ours", "mjxwm.bench.gradients.measure", "mjxwm.bench.planning.run"),
    *("mjxwm.bench.meter.command._row", "jax.distributed.initialize"),
    *("mjxwm.cli.doctor.warming._modules", "mjxwm.cli.doctor.checks.diagnose"),
    *("mjxwm_envs.check._rollout", "mjxwm.reports.outcome.evaluate_run"),
)
"""What does the work of the commands."""


def lines(base: Path, rng: Random) -> Iterator[Action]:
    """Command lines."""
    options = {command: _options(command) for command in COMMANDS}
    whole = (presets.presets_folder() / "debug.yaml").read_bytes()
    record = b'{"iteration": 1, "env_steps": 8, "eval/return": 1.5, "minutes": 0.5}\n'
    config = presets.load_preset(Config, "debug")
    while True:
        for folder in ("folder", "runs/a"):
            Path(folder).mkdir(parents=True)
        for name in ("file.txt", "file.pt", "a.json", "b.json"):
            Path(name).write_bytes(rng.choice([b"", b"{}", b"[1]", record]))
        content = mutated(rng, whole) if rng.random() < 0.5 else whole
        Path("c.yaml").write_bytes(content)
        presets.save_yaml(config, Path("runs/a/config.yaml"))
        Path("runs/a/metrics.jsonl").write_bytes(record)
        yield functools.partial(run, _line(rng, options))


def _options(command: tuple[str, ...]) -> tuple[str, ...]:
    """The options that a command's help names."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit, Exception):
        named = ["debug" if word == "c.yaml" else word for word in command]
        named = [word for word in named if word not in ("--resume", "runs/a")]
        cli.main([*named, "--help-all"])
    found = re.findall(r"(?<![\w-])--[a-z][\w.-]*", out.getvalue())
    return tuple(dict.fromkeys(["--json", *found]))


def _line(rng: Random, options: dict[tuple[str, ...], tuple[str, ...]]) -> list[str]:
    command = rng.choice(list(options))
    args = list(command)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 6])):
        name = rng.choice(options[command])
        if rng.random() < 0.1:
            name = rng.choice(["--nosuch", "--task.x", "--task.episode_length", "--", name[:-1]])
        value = rng.choice(rng.choice([NUMBERS, WORDS, VALUES, VALUES]))
        args += rng.choice([[name, value], [f"{name}={value}"], [name], [name, *value.split()]])
    if rng.random() < 0.15:
        args[rng.randrange(len(args))] = rng.choice(rng.choice([NUMBERS, WORDS, VALUES]))
    # A process gets no argument with a NUL in it.
    return [argument.replace("\0", "") for argument in args]


def run(args: list[str]) -> int:
    """What a command line does, up to the work; its exit status."""
    with contextlib.ExitStack() as stack:
        for name in STARTS:
            module, _, attribute = name.rpartition(".")
            place = importlib.import_module(module)
            stack.callback(setattr, place, attribute, getattr(place, attribute))
            setattr(place, attribute, _begin)
        return cli.main(args)


def _begin(*args: Any, **kwargs: Any) -> Any:
    raise WorkBegins
