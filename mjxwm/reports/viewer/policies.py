"""What acts in the worlds that are looked at: a run's policies, newer ones as they are saved."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from mjxwm_envs import EnvSpec

from mjxwm import ConfigError
from mjxwm.runs import build, checkpoint, folders, memory, policies, policy_files, presets
from mjxwm.runs.config import Config, entry
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Agent, Controller, Sizes

UNTRAINED = "untrained"
"""Choice of random networks, in a run that has saved no policy yet."""


class Loaded(NamedTuple):
    """A policy that may act."""

    arrays: Any
    about: str
    """What it is, in words."""


class Policies(Protocol):
    """Policies to choose from."""

    title: str
    """What they are of."""

    def names(self) -> list[str]:
        """Names of the policies that there are now, the default first."""
        ...

    def stamp(self, name: str) -> object:
        """A value that changes when a policy is replaced by a newer one; None if it is gone."""
        ...

    def load(self, name: str) -> Loaded:
        """Reads a policy.

        Raises:
            ConfigError: no policy has this name now, or it is damaged.
        """
        ...


class OfRun:
    """The policies of a run: `last`, `best`, and those of its checkpoints."""

    def __init__(self, path: Path):
        """Args:
        path: a run's folder, or that of a policy.

        Raises:
            ConfigError: it is neither.
        """
        self.path, self.title = path, path.name or str(path)
        self._run = RunFolder(path)
        self._single = (path / policy_files.NAME).is_file()
        if not self._single and not _places(self._run):
            folders.find(path)  # it may have begun, and save its first policy later
        first = self.names()[0]
        self._policy = None if first == UNTRAINED else self._read(first)

    @property
    def config(self) -> Config:
        """The configuration that the policies were trained with."""
        if self._policy is not None:
            return self._policy.config
        return presets.load_yaml(Config, self._run.config)

    def agent(self, spec: EnvSpec) -> Agent:
        """How the policies act in an environment of these sizes.

        Raises:
            ConfigError: it has other numbers of observations or actions.
        """
        if self._policy is None:
            config = self.config
            registered = entry(config.algorithm)
            if not registered.takes_env or registered.takes_model:
                raise ConfigError(f"{self.path} has no policy yet; view it once one is saved")
            return registered.agent(config.algo, Sizes.of(spec))
        policies.check_sizes(self._policy, spec)
        return self._policy.agent

    def names(self) -> list[str]:
        """See `Policies`."""
        if self._single:
            return ["policy"]
        checkpoints = checkpoint.iterations(self._run.checkpoints)
        kept = [*_places(self._run), *(f"checkpoint {n}" for n in reversed(checkpoints))]
        return kept or [UNTRAINED]

    def stamp(self, name: str) -> object:
        """See `Policies`."""
        if name == UNTRAINED:
            return name
        if name.startswith("checkpoint "):
            number = int(name.removeprefix("checkpoint "))
            return name if number in checkpoint.iterations(self._run.checkpoints) else None
        try:
            status = (self._place(name) / policy_files.NAME).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def load(self, name: str) -> Loaded:
        """See `Policies`."""
        if name == UNTRAINED:
            raise ConfigError("no policy is saved yet")
        policy = self._read(name)
        return Loaded(policy.arrays, f"iteration {policy.iteration:,}")

    def _place(self, name: str) -> Path:
        return self.path if self._single else _places(self._run).get(name, self._run.policy / name)

    def _read(self, name: str) -> policies.Policy:
        if not name.startswith("checkpoint "):
            policy = policies.load(self._place(name))
            if not entry(policy.config.algorithm).takes_env:
                folders.find(self.path)  # which says what it is
                raise ConfigError(f"{self.path} is a model of many tasks, not a policy")
            return policy
        return _of_checkpoint(self._run, int(name.removeprefix("checkpoint ")))


class OfTask:
    """What may act in a task without any training: random actions, or none."""

    def __init__(self, task: str):
        """`task` is its name."""
        self.title = task
        self._policies = {"random": 1.0, "zero": 0.0}

    def agent(self, spec: EnvSpec) -> Agent:
        """How they act; a policy is the size of its random actions."""

        def act(policy: Array, obs: Float[Array, "B o"], key: Any = None) -> Float[Array, "B a"]:
            shape = (len(obs), spec.action_size)
            if key is None:
                return jnp.zeros(shape)
            return policy * jax.random.uniform(key, shape, minval=-1, maxval=1)

        def act_next(policy: Array, key: Any, obs: Float[Array, "B o"]) -> Any:
            key, now = jax.random.split(key)
            return key, act(policy, obs, now)

        # The memory from step to step is the random key.
        return Agent(
            lambda key: jnp.ones(()), act, Controller(lambda _: jax.random.key(0), act_next)
        )

    def names(self) -> list[str]:
        """See `Policies`."""
        return list(self._policies)

    def stamp(self, name: str) -> object:
        """See `Policies`."""
        return name

    def load(self, name: str) -> Loaded:
        """See `Policies`."""
        return Loaded(jnp.asarray(self._policies[name]), f"{name} actions")


def _places(run: RunFolder) -> dict[str, Path]:
    """Folders of the policies `last` and `best` of a run, or of a copy of its `policy`."""
    places = {}
    for name in ("last", "best"):
        for place in (run.policy / name, run.path / name):
            if name not in places and (place / policy_files.NAME).is_file():
                places[name] = place
    return places


def _of_checkpoint(run: RunFolder, iteration: int) -> policies.Policy:
    config = presets.load_yaml(Config, run.config)
    trainer = build.build(dataclasses.replace(config, devices=1), fits=False)
    if trainer.env is None:
        raise ConfigError(f"{run.path} is a model of many tasks, not a policy")
    shapes = jax.eval_shape(trainer.algorithm.init, jax.random.key(0))
    needed, free = memory.size(shapes), memory.host()
    if free is not None and needed > free:
        raise ConfigError(
            f"checkpoint {iteration} takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        )
    state = checkpoint.restore_one(run.checkpoints, iteration, shapes)
    algorithm = trainer.algorithm
    sizes = Sizes.of(trainer.env.spec)
    return policies.Policy(config, sizes, iteration, algorithm.agent, algorithm.policy(state))
