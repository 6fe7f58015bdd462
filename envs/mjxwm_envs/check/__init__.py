"""Checks an environment, ours, foreign or a user's own: `mjxwm envs check NAME`.

It is stepped with random actions in compiled programs. Checked are shapes, finite numbers, equal
results for equal keys, steps per second, and that engines agree on a control step from the same
states. Of our tasks and a user's it says what doing nothing and random actions return.
"""

import dataclasses
import time
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm_envs import engines, seeds
from mjxwm_envs.batch import FAULTS
from mjxwm_envs.check import contact_counts, episodes
from mjxwm_envs.core import Source, State, Step
from mjxwm_envs.env import Env
from mjxwm_envs.registry import make

AGREEMENT = 1e-2
"""Largest difference between engines after a control step, relative to the observation's change, in
nine of ten states. The others are left out: contacts that begin in that step amplify rounding
without bound."""


class Finding(NamedTuple):
    """The result of one check."""

    what: str
    """Name of the check."""
    ok: bool | None
    """Whether it passed; None if it is only information."""
    text: str
    """Details."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Size of the check."""

    worlds: int = 64
    """Worlds stepped together."""
    steps: int = 64
    """Steps in each."""
    engines: tuple[str, ...] = ("native",)
    """Engines to compare with C MuJoCo; compiling mjx or warp takes up to minutes."""
    seed: int = 0
    """Seed of starts and actions."""

    def __post_init__(self):
        """Refuses numbers out of range and unknown engines."""
        for name in ("worlds", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is out of range; at least 1")
        seeds.checked(self.seed)
        for engine in self.engines:
            if engine not in engines.NAMES:
                raise ValueError(f"engine {engine!r} is unknown. There are: {engines.NAMES}")


def check(name: str, config: Config = Config(), **fields: Any) -> list[Finding]:
    """Runs all checks on one environment.

    Args:
        name: name for `envs.make`.
        config: size of the check.
        fields: values for the task's own fields, such as `episode_length=200`.

    Raises:
        ValueError: the environment cannot be made.
    """
    env = make(name, **fields)
    try:
        findings = _rollout(env, config)
    except Exception as error:  # a user's own task may raise anything
        return [Finding("runs", False, first_cause(error))]
    if isinstance(env, Env):
        findings += [_contacts(env, config), *_episodes(env, config)]
        for engine in config.engines:
            if engine not in ("native", env.engine.name):
                findings.append(_agreement(env, engine, config))
    return findings


def first_cause(error: Exception) -> str:
    """The error that began a chain of errors, as one line.

    JAX raises errors of its own whose message contains the traceback of a function on the host.
    """
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    _, inside, below = str(error).partition("Traceback (most recent call last):")
    if inside:
        for line in below.splitlines():
            if line and not line[0].isspace():
                return line
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _rollout(env: Source, config: Config) -> list[Finding]:
    batch, spec = env.batch(config.worlds), env.spec
    shape = (config.steps, config.worlds, env.action_size)

    @jax.jit
    def run(key: Any) -> Any:
        key_start, key_act = jax.random.split(key)
        actions = jax.random.uniform(key_act, shape, minval=-1, maxval=1)
        worlds = batch.reset(key_start)
        return worlds.obs, jax.lax.scan(batch.step, worlds, actions)[1]

    key = seeds.key(config.seed)
    first, step = jax.block_until_ready(run(key))
    begin = time.perf_counter()
    again = jax.block_until_ready(run(key))
    seconds = time.perf_counter() - begin
    obs_shape = (config.worlds, spec.obs_size)
    sizes = first.shape == obs_shape and step.next_obs.shape[1:] == obs_shape
    numbers = np.concatenate([np.ravel(first), np.ravel(step.next_obs), np.ravel(step.reward)])
    same = all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves((first, step)), jax.tree.leaves(again), strict=True)
    )
    valid = float(np.asarray(step.valid).mean())
    finite = bool(np.isfinite(numbers).all()) and valid > 0.99
    faults = "" if valid == 1 or step.fault is None else f"; not finite: {_faults(step)}"
    rate = config.steps * config.worlds / seconds
    failures = env.failures()
    return [
        Finding("runs", not failures, str(failures[0]) if failures else f"engine {spec.engine}"),
        Finding("shapes", sizes, f"{spec.obs_size} observations, {spec.action_size} actions"),
        Finding("finite", finite, f"{valid:.1%} of steps{faults}"),
        Finding("repeats", same, "the same key, the same numbers" if same else "numbers differ"),
        Finding("speed", None, f"{rate:,.0f} steps/s of {config.worlds} worlds"),
    ]


def _faults(step: Step) -> str:
    """What was not finite, and the terms of the reward that were not."""
    codes = [int(code) for code in np.unique(np.asarray(step.fault)) if code]
    what = ", ".join("observation" if FAULTS[c - 1] == "obs" else FAULTS[c - 1] for c in codes)
    terms = [n for n, values in step.terms.items() if not np.isfinite(np.asarray(values)).all()]
    return f"{what} (terms: {', '.join(terms)})" if terms else what


def _episodes(env: Env, config: Config) -> list[Finding]:
    return [
        Finding(what, None, episodes.describe(env, scale, config.seed))
        for what, scale in (("doing nothing", 0.0), ("random actions", 1.0))
    ]


def _contacts(env: Env, config: Config) -> Finding:
    key, shape = seeds.key(config.seed), (config.steps, config.worlds, env.action_size)
    actions = np.asarray(jax.random.uniform(key, shape, minval=-1, maxval=1))
    return Finding("contacts", None, contact_counts.describe(env, actions, config.seed))


def _agreement(env: Env, engine: str, config: Config) -> Finding:
    what = f"{engine} = native"
    try:
        middle, most = against_native(env, engine, config)
    except ValueError as error:
        return Finding(what, None, f"refused: {error}")
    text = f"apart by {middle:.0e} of a step's change (median), {most:.0e} (nine of ten)"
    return Finding(what, most < AGREEMENT, text)


def against_native(env: Env, engine: str, config: Config) -> tuple[float, float]:
    """Difference of a control step from C MuJoCo's, relative to the observation's change.

    Returns:
        Median and 90 % quantile over states of episodes with random actions.

    Raises:
        ValueError: the engine refuses the model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulators = [
            engines.make(e, env.engine.model, env.engine.n_substeps, env.task.derived)
            for e in ("native", engine)
        ]
        pair = [dataclasses.replace(env, engine=e).for_worlds(config.worlds) for e in simulators]
    starts, action = _states(pair[0], config)
    before, *after = _one_step(pair, starts, action)
    change = np.linalg.norm(after[0] - before, axis=1)
    apart = np.linalg.norm(after[1] - after[0], axis=1) / np.maximum(change, 1e-6)
    middle, most = np.quantile(apart, [0.5, 0.9])
    return float(middle), float(most)


def _states(env: Env, config: Config) -> tuple[Any, jax.Array]:
    """States of episodes with random actions, as start states, and an action for each."""
    batch, key = env.batch(config.worlds), seeds.key(config.seed)
    shape = (config.steps, config.worlds, env.action_size)
    actions = jax.random.uniform(key, shape, minval=-1, maxval=1)
    keys = jax.random.split(key, config.worlds)
    initial = jax.jit(jax.vmap(env.initial))(keys)
    worlds = jax.jit(batch.reset)(key)
    placed: State = jax.jit(jax.vmap(env.place))(initial)
    worlds = worlds._replace(state=placed)
    step = jax.jit(lambda w, a: jax.lax.scan(batch.step, w, a)[0])
    physics = step(worlds, actions).state.sim.physics
    starts = initial._replace(
        qpos=physics.qpos, qvel=physics.qvel, act=physics.act, goal=physics.goal
    )
    return starts, actions[0]


def _one_step(pair: list[Env], starts: Any, action: jax.Array) -> list[np.ndarray]:
    """Observations before the step, and after it on each engine."""
    observations = []
    for env in pair:
        state = jax.jit(jax.vmap(env.place))(starts)
        after = jax.jit(jax.vmap(env.step))(state, jnp.asarray(action))
        observations += [np.asarray(state.obs)] * (not observations) + [np.asarray(after.obs)]
    return observations
