"""Variables of the environment that we read, or that what we stand on reads for us."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mjxwm_envs import headless

from fuzzing import commands
from fuzzing.texts import NUMBERS, WORDS
from fuzzing.watch import Action

NAMES = (
    *("MUJOCO_GL", "XDG_CACHE_HOME", "DISPLAY", "WAYLAND_DISPLAY", "JAX_NUM_PROCESSES", "HOME"),
    *("JAX_PROCESS_ID", "JAX_COORDINATOR_ADDRESS", "TMPDIR", "COLUMNS", "CUDA_VISIBLE_DEVICES"),
)
_FOLDERS = ("XDG_CACHE_HOME", "HOME", "TMPDIR")
VALUES = (
    *("", "egl", "osmesa", "glfw", "off", "0", "nosuch", "/nowhere/deep", "/dev/null", ":0"),
    "file",
)
COMMANDS = (["train", "debug"], ["train", "debug", "--distributed"], ["envs", "hopper"])


def variables(base: Path, rng: Random) -> Iterator[Action]:
    """Environments, in which commands run up to their work."""
    while True:
        Path("file").touch()
        values = {}
        for name in rng.sample(NAMES, rng.randint(1, 3)):
            value = rng.choice(rng.choice([VALUES, VALUES, NUMBERS, WORDS]))
            # No process is given a NUL, or bytes that are no text.
            value = value.replace("\0", "").encode("utf-8", "replace").decode()
            # A folder of this machine would be written to, and rightly.
            if name not in _FOLDERS or not (os.path.isabs(value) and os.path.isdir(value)):
                values[name] = value
        yield functools.partial(_in_environment, values, rng.choice(COMMANDS))


def _in_environment(values: dict[str, str], command: list[str]) -> int:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        headless.choose(dict(os.environ))  # as when MuJoCo is imported
        return commands.run(command)
    finally:
        os.environ.clear()
        os.environ.update(before)
