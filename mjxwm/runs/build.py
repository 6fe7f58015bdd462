"""Builds environment, algorithm, compiled programs and evaluation from a configuration."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
from mjxwm_envs import engines, registry

from mjxwm import ConfigError
from mjxwm.data import TaskInfo, Writer, recording
from mjxwm.maths import finite
from mjxwm.runs import devices, memory, pretrained, progress, together
from mjxwm.runs.config import Config, check, entry
from mjxwm.runs.evaluate import Evaluation, evaluate_with_memory
from mjxwm.types import Agent, Algorithm


class Trainer(NamedTuple):
    """A configuration and what was made of it; programs are compiled on first use."""

    config: Config
    env: envs.Source | None
    """The environment; None for an algorithm that learns a model from data alone."""
    eval_env: envs.Source | None
    """That of the evaluations, on another engine maybe."""
    algorithm: Algorithm
    programs: devices.Programs
    evaluate: Callable[[Any, jax.Array], Evaluation] | None
    """(policy on one device, key) -> episodes, each from its own start; None without an
    environment."""
    seeds: tuple[int, ...] | None = None
    """Seeds that train in one program: `programs` and `evaluate` take and return what is stacked
    over them, see `together`, and `algorithm` is one seed's. None if `config.seed` trains alone."""

    def keys(self, key: Callable[[int], jax.Array]) -> jax.Array:
        """A random key of the run's seed, or those [S] of several, by a function of a seed."""
        if self.seeds is None:
            return key(self.config.seed)
        return jnp.stack([key(seed) for seed in self.seeds])


@progress.step("builds   worlds and learner")
def build(config: Config, fits: bool = True, seeds: tuple[int, ...] | None = None) -> Trainer:
    """Makes the environment, then the algorithm on it, then its programs and its evaluation.

    Args:
        config: the configuration.
        fits: whether to refuse what the memory here cannot hold.
        seeds: several seeds to train in one program, instead of the configuration's.

    Raises:
        ConfigError: a name is unknown or a value out of range.
    """
    check(config)
    env = make_env(config) if entry(config.algorithm).takes_env else None
    if seeds is not None:
        together.check(config, env)
    algorithm = make_algorithm(config, _for_seeds(env, config.algo.worlds, seeds))
    among = devices.chosen(config.devices)
    if fits:
        devices.refuse(_too_large(config, env, algorithm, among, len(seeds or [config.seed])))
    _check_devices(config, env, algorithm, among)
    watched = _watched(algorithm, config.algo.steps_per_iteration)
    compiled = watched if seeds is None else together.of_seeds(watched)
    programs = devices.programs(compiled, config.algorithm, config.algo, among)
    if env is None:
        return Trainer(config, env, env, algorithm, programs, None)
    eval_env = make_env(config, config.eval_engine) if config.eval_engine else env
    evaluate = evaluation(algorithm.agent, eval_env, config.episodes, seeds)
    return Trainer(config, env, eval_env, algorithm, programs, evaluate, seeds)


def _watched(algorithm: Algorithm, steps: int) -> Algorithm:
    """The algorithm whose metrics say whether an iteration was sound, for the guard of a run."""

    def iterate(state: Any, *batches: Any) -> Any:
        state, metrics = algorithm.iterate(state, *batches)
        return state, finite.judged(metrics, algorithm.networks(state), steps)

    return algorithm._replace(iterate=iterate)


def make_env(config: Config, engine: str | None = None) -> envs.Source:
    """The environment of a configuration; a wrong name or value is a ConfigError.

    Args:
        config: the configuration.
        engine: another engine than the configuration's.
    """
    # How much room engine warp makes for contacts; nothing where that is left to the engine.
    room = {name: getattr(config, name) for name in ("contacts_per_world", "rows_per_world")}
    room = {name: number for name, number in room.items() if number is not None}
    options = config.task_fields | (room if engine in (None, config.engine) else {})
    try:
        with registry.search_first(config.task_folder):
            return envs.make(
                config.task,
                engine or config.engine,
                config.action_repeat,
                config.randomise,
                **options,
            )
    except ValueError as error:
        away = config.task_folder is not None and Path(config.task_folder) != Path.cwd()
        way = f" (the run's task was in {config.task_folder}: try it there)" if away else ""
        raise ConfigError(f"{error}{way}") from error


def on_engine(config: Config, engine: str | None = None) -> Config:
    """The configuration as it is evaluated with.

    Args:
        config: that of the training.
        engine: the engine; by default that of the run's evaluations.
    """
    chosen = engine or config.eval_engine or config.engine
    resolved = engines.default() if chosen == "auto" else chosen
    config = dataclasses.replace(config, engine=chosen, eval_engine=None)
    if resolved == "warp":
        return config
    return dataclasses.replace(config, contacts_per_world=None, rows_per_world=None)


def make_algorithm(config: Config, env: envs.Source | None) -> Algorithm:
    """The algorithm of a configuration on its environment.

    Raises:
        ConfigError: a setting is out of range, or what is collected cannot be recorded.
    """
    try:
        algorithm = _make(config, config.algo, env)
        state = jax.eval_shape(algorithm.init, jax.random.key(0))
        if not config.data:
            return algorithm
        data_writer(config, env)
        if hasattr(state, "replay"):
            return algorithm
        if env is None or not hasattr(state, "worlds"):
            raise ConfigError(f"data={config.data!r}: {config.algorithm} collects nothing")
        rows = recording.rows_needed(algorithm, config.algo.worlds)
        return _make(config, config.algo, recording.RecordingEnv(env, rows))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _make(config: Config, algo: Any, env: Any) -> Algorithm:
    registered = entry(config.algorithm)
    if not registered.takes_env:
        return registered.make(algo)
    if not registered.takes_model:
        return registered.make(algo, env)
    if not algo.model:
        raise ConfigError("model='' is not given; `mjxwm extract TASK --model RUN` says which")
    return registered.make(algo, env, pretrained.load(Path(algo.model)))


def data_writer(config: Config, env: Any, owner: str = "") -> Writer:
    """What adds to the data set of a run, the owner; the folder is checked here.

    Raises:
        ConfigError: the folder holds no data set, or one that has the task with other sizes.
    """
    try:
        return Writer(Path(config.data or ""), TaskInfo.of(env.spec), owner=owner)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def evaluation(
    agent: Agent,
    env: envs.Source,
    episodes: int,
    seeds: tuple[int, ...] | None = None,
) -> Callable[[Any, jax.Array], Evaluation]:
    """(policy, key) -> that many episodes of it, compiled on first use.

    With several seeds that is (stacked policies, keys [S]) -> the episodes of each, stacked.

    Raises:
        ConfigError: the memory here cannot hold a world for each episode.
    """
    # Worlds on the host would really be started by `env.batch`: for them nothing is estimated.
    worlds = episodes * len(seeds or [0])
    if not env.spec.on_host and (error := memory.too_many_episodes(worlds, env.batch)):
        raise ConfigError(error)
    controller = agent.controller
    env = _for_seeds(env, episodes, seeds)

    def run(policy: Any, key: jax.Array) -> Evaluation:
        def act(memory: Any, obs: jax.Array) -> tuple[Any, jax.Array]:
            return controller.act(policy, memory, obs)

        return evaluate_with_memory(env, act, controller.start(episodes), key, episodes)

    return jax.jit(run if seeds is None else jax.vmap(run))


def _for_seeds(env: Any, worlds: int, seeds: tuple[int, ...] | None) -> Any:
    """The environment with its engine's buffers sized for the worlds of all seeds together."""
    return env if seeds is None else env.for_worlds(worlds * len(seeds))


def _too_large(config: Config, env: Any, algorithm: Algorithm, among: list[Any], seeds: int) -> str:
    """Why the state, of several seeds maybe, does not fit into the memory here; empty where it
    does."""
    key = jax.random.key(0)
    whole = seeds * memory.size(jax.eval_shape(algorithm.init, key))

    def with_half() -> int:
        half = dataclasses.replace(config.algo, worlds=config.algo.worlds // 2)
        try:
            return seeds * memory.size(jax.eval_shape(_make(config, half, env).init, key))
        except ValueError:  # half as many worlds are out of range with the other settings
            return whole // 2

    return memory.too_many(config.algo.worlds, whole, with_half, among)


def _check_devices(
    config: Config, env: envs.Source | None, algorithm: Algorithm, among: list[Any]
) -> None:
    """Raises ConfigError where the environment, or recording, is for fewer devices than these."""
    try:
        if env is not None:
            env.check_devices(len(among))
    except ValueError as error:
        raise ConfigError(f"devices={config.devices}: {error}") from error
    if not config.data:
        return
    if jax.process_count() > 1:
        raise ConfigError(f"data={config.data!r}: one process records, not several")
    state = jax.eval_shape(algorithm.init, jax.random.key(0))
    if len(among) > 1 and "replay" not in state._fields:  # its worlds keep their latest steps
        raise ConfigError(
            f"data={config.data!r}: {config.algorithm} is recorded on one device; algorithms that "
            "keep a replay, such as pwm and tdmpc2, on several. Take `--devices 1`"
        )
