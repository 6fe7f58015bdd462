"""The programs of a preset's algorithm, each with what it is called with: for the meter of kernels.

A program's arguments are made from the algorithm's state, be it of arrays, to run the program, or
of their shapes alone, to compile it.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mjxwm.algos import pwm, shac, tdmpc2
from mjxwm.data import replay
from mjxwm.runs.config import Config
from mjxwm.types import Algorithm


class Program(NamedTuple):
    """A function that an algorithm compiles, alone or as a part of its iteration."""

    function: Callable[..., tuple[Any, Any]]
    """(first, *others) -> the first argument of the next call, and results; the first is donated,
    as in training."""
    args: Callable[[Any], tuple[Any, ...]]
    """The algorithm's state -> arguments."""
    runs: int
    """Times that it runs in an iteration."""
    grows_with: Literal["worlds", "batch", "both"]
    """What its temporary memory is proportional to."""
    control_steps: int = 0
    """Control steps that it makes in all worlds together."""


def of(config: Config, algorithm: Algorithm, env: Any) -> dict[str, Program]:
    """The programs of an algorithm by name, small ones first.

    Raises:
        ValueError: an algorithm whose programs are not taken apart.
    """
    parts: dict[str, Callable[..., dict[str, Program]]] = {
        "pwm": _pwm,
        "tdmpc2": _tdmpc2,
        "shac": _shac,
    }
    if config.algorithm not in parts:
        raise ValueError(
            f"bench kernels takes presets of {', '.join(parts)}, not of {config.algorithm}"
        )
    steps = config.algo.unroll
    whole = Program(algorithm.iterate, lambda state: (state,), 1, "both", steps)
    return {**parts[config.algorithm](config.algo, env), "iteration": whole}


def of_seeds(program: Program) -> Program:
    """The program for several seeds at once, whose states are stacked."""
    return program._replace(function=jax.vmap(program.function), args=jax.vmap(program.args))


def _pwm(config: pwm.Config, env: Any) -> dict[str, Program]:
    tx, worlds = pwm.learner.optimizers(config), env.batch(config.worlds)

    def model(learner: pwm.Learner, windows: replay.Sequence) -> tuple[Any, Any]:
        return pwm.update_model(config, tx, learner, windows)

    def policy(learner: pwm.Learner, windows: replay.Sequence, key: jax.Array) -> tuple[Any, Any]:
        return pwm.update_policy(config, tx, learner, windows, key)

    def collect(state: pwm.TrainState) -> tuple[Any, Any]:
        key, key_act = jax.random.split(state.key)
        return pwm.collect(config, worlds, state._replace(key=key), key_act)

    def windows(state: pwm.TrainState) -> replay.Sequence:
        return _windows(state, config.batch, config.horizon)

    def learner(state: pwm.TrainState) -> pwm.Learner:
        return pwm.learner.packed(tx, state.learner)  # as in the loop over updates

    return {
        "model update": Program(
            model,
            lambda state: (learner(state), windows(state)),
            config.policy_updates * config.model_steps,
            "batch",
        ),
        "actor and critics update": Program(
            policy,
            lambda state: (learner(state), windows(state), state.key),
            config.policy_updates,
            "batch",
        ),
        "collection": Program(collect, lambda state: (state,), 1, "worlds", config.unroll),
    }


def _windows(state: Any, batch: int, horizon: int) -> replay.Sequence:
    return replay.sample(state.replay, state.key, batch, horizon + 1)


def _tdmpc2(config: tdmpc2.Config, env: Any) -> dict[str, Program]:
    rates = tdmpc2.rates(config)
    tx = tdmpc2.updates.optimizers(rates, config.iterations * config.updates)
    gamma = tdmpc2.discount(env.spec.episode_length) if config.gamma is None else config.gamma
    table = tdmpc2.TaskTable(jnp.ones((1, env.action_size)), jnp.full(1, gamma))
    task = jnp.zeros(config.batch, jnp.int32)

    def update(
        learner: tdmpc2.Learner, windows: replay.Sequence, key: jax.Array
    ) -> tuple[Any, Any]:
        data = tdmpc2.batch(windows)
        model = config.networks.model
        return tdmpc2.updates.update(model, rates, tx, learner, table, data, task, key)

    def plan(plans: jax.Array, nets: Any, obs: jax.Array, key: jax.Array) -> tuple[Any, Any]:
        model = tdmpc2.for_task(nets, table, 0)
        return tdmpc2.plan_worlds(config.planning, model, plans, obs, key, True)

    def planned(state: tdmpc2.TrainState) -> tuple[Any, ...]:
        return state.plans, state.learner.networks, state.worlds.obs, state.key

    def data(state: tdmpc2.TrainState) -> tuple[Any, ...]:
        learner = tdmpc2.updates.packed(tx, state.learner)  # as in the loop over updates
        return learner, _windows(state, config.batch, config.horizon), state.key

    planner = {"planner": Program(plan, planned, config.unroll, "worlds")}
    plans = config.collect_with == "planner"
    return {"update": Program(update, data, config.updates, "batch"), **(planner if plans else {})}


def _shac(config: shac.Config, env: Any) -> dict[str, Program]:
    tx, worlds = shac.learner.optimizers(config), env.batch(config.worlds)
    shape = (config.unroll, config.worlds, env.action_size)

    def gradients(worlds_now: Any, learner: shac.Learner, key: jax.Array) -> tuple[Any, Any]:
        noise = jax.random.normal(key, shape)
        actor, window = shac.gradients(config, worlds, learner, worlds_now, noise)
        return window.worlds, (actor, window._replace(worlds=None))

    def critics(learner: shac.Learner, window: shac.Window, key: jax.Array) -> tuple[Any, Any]:
        return shac.update_critic(config, tx, learner, window, key)

    def window(state: shac.TrainState) -> tuple[Any, ...]:
        noise = jnp.zeros(shape)
        copies = jax.tree.map(lambda x: jnp.stack([x] * config.worlds), state.learner.actor)
        unrolled = shac.run(config, worlds, state.learner, copies, state.worlds, noise)
        return state.learner, unrolled, state.key

    def start(state: shac.TrainState) -> tuple[Any, ...]:
        return state.worlds, state.learner, state.key

    through = Program(gradients, start, 1, "worlds", config.unroll)
    critic = Program(critics, window, 1, "worlds")
    return {"gradients": through, **({"critics update": critic} if config.bootstrap else {})}
