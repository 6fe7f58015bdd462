"""The ways from a start state, a policy and noise to a return; each its own gradient.

One world, one noise sequence, H steps; `jax.vmap` makes them many. All share `subject.total`, so
they are the same functional on different dynamics.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from mjxwm_envs.core import Initial, State
from mjxwm_envs.env import Env

from mjxwm.gradients.subject import Parameters, Subject, Switches, act, total

Step = Callable[[State, Float[Array, " a"]], State]
"""One action in a world."""


class Path(NamedTuple):
    """A rollout of H steps."""

    total: Float[Array, " K"]
    """For each horizon that counts, see `Switches`."""
    reward: Float[Array, " H"]
    going_on: Float[Array, " H"]
    """Whether the episode goes on after the step, 1 or 0; in the model, the probability."""
    value: Float[Array, " H"]
    """The critic's value of the state that the step leads to."""
    z: Float[Array, "H z"]
    """Latents that were acted on."""
    next_z: Float[Array, "H z"]
    before: Float[Array, "H a"]
    """Actions before tanh."""


def through_simulator(
    env: Env,
    subject: Subject,
    parameters: Parameters,
    initial: Initial,
    noise: Float[Array, "H a"],
    how: Switches,
    step: Step | None = None,
) -> Path:
    """Rolls out in the simulator; with a differentiable engine, gradients flow through it.

    Args:
        env: the simulator.
        subject: what acts and values.
        parameters: what gradients are taken with respect to.
        initial: the start state, a constant.
        noise: standard normal.
        how: see `Switches`.
        step: another step of the same world than `env.step`.
    """
    step = step or env.step

    def advance(state: State, x: tuple[Array, Array]) -> tuple[State, tuple[Array, ...]]:
        noise, plan = x
        z = subject.encode(state.obs)
        action, before = act(parameters, plan, z, noise, how)
        after = step(state, action)
        next_z = subject.encode(after.obs)
        going_on = 1 - after.terminated.astype(z.dtype)
        # What a scan carries must keep its types; under float64 some of them would grow.
        kept = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), after, state)
        return kept, (after.reward, going_on, subject.value(next_z), z, next_z, before)

    state = env.place(jax.lax.stop_gradient(initial))
    _, steps = jax.lax.scan(advance, state, (noise, parameters.plan))
    return _path(subject, steps, how)


def through_model(
    subject: Subject,
    parameters: Parameters,
    obs: Float[Array, " o"],
    noise: Float[Array, "H a"],
    how: Switches,
) -> Path:
    """Rolls out in the world model from the latent of `obs`; gradients flow through the model."""

    def advance(z: Array, x: tuple[Array, Array]) -> tuple[Array, tuple[Array, ...]]:
        noise, plan = x
        action, before = act(parameters, plan, z, noise, how)
        next_z = subject.model.predict(z, action)
        reward, going_on = _heads(subject, z, action, next_z)
        return next_z, (reward, going_on, subject.value(next_z), z, next_z, before)

    z = jax.lax.stop_gradient(subject.encode(obs))
    _, steps = jax.lax.scan(advance, z, (noise, parameters.plan))
    return _path(subject, steps, how)


def hybrid(
    env: Env,
    subject: Subject,
    parameters: Parameters,
    initial: Initial,
    noise: Float[Array, "H a"],
    how: Switches,
) -> Path:
    """Values of the simulator, Jacobians of the model at the simulator's own states.

    z_{t+1} = enc(s_{t+1}) + f(z_t, a_t) - sg(f(z_t, a_t)), and likewise rewards and ends: errors of
    the model's Jacobians stay, the drift of its states goes (arXiv 2509.00215). Needs no gradient
    of the engine.
    """
    # Stopped before, not after: an engine without gradients must not even see tangents.
    still = jax.lax.stop_gradient((subject, parameters, initial, noise))
    true = through_simulator(env, *still, how)

    def advance(z: Array, x: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        noise, plan, reward, going_on, true_z = x
        action, before = act(parameters, plan, z, noise, how)
        predicted = subject.model.predict(z, action)
        next_z = _slope_of(true_z, predicted)
        heads = _heads(subject, z, action, next_z)
        reward, going_on = _slope_of(reward, heads[0]), _slope_of(going_on, heads[1])
        return next_z, (reward, going_on, subject.value(next_z), z, next_z, before)

    x = (noise, parameters.plan, true.reward, true.going_on, true.next_z)
    _, steps = jax.lax.scan(advance, true.z[0], x)
    return _path(subject, steps, how)


def softened(env: Env, soft: Env) -> Step:
    """Steps of `env` with the Jacobians of `soft`, the same task on another model.

    A control: what an analytic smoothing of contacts alone does for gradients.
    """

    def step(state: State, action: Float[Array, " a"]) -> State:
        hard = jax.lax.stop_gradient(env.step(*jax.lax.stop_gradient((state, action))))
        return jax.tree.map(_slope_of, hard, soft.step(state, action))

    return step


def _path(subject: Subject, steps: Any, how: Switches) -> Path:
    reward, going_on, value, z, next_z, before = steps
    gain = total(subject, reward, going_on, value, how)
    return Path(gain, reward, going_on, value, z, next_z, before)


def _heads(subject: Subject, z: Array, action: Array, next_z: Array) -> tuple[Array, Array]:
    reward = subject.model.reward(z, action) * subject.reward_scale
    return reward, subject.model.going_on(next_z)


def _slope_of(value: Any, sloped: Any) -> Any:
    """`value`, with the derivative of `sloped`."""
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    # Not value + (x - sg(x)): infinities and NaN of `sloped` would reach the value.
    return _straight(value, sloped)


@jax.custom_jvp
def _straight(value: Array, sloped: Array) -> Array:
    del sloped
    return value


@_straight.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[0], jnp.asarray(tangents[1], primals[0].dtype)
