"""The recurrence of the world model, with the form of its gradient that suits the platform."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.maths import platform

Act = Callable[[Array, Array], Array]
Predict = Callable[[Array, Array], Array]


def rollout(
    act: Act, predict: Predict, z: Float[Array, "N z"], inputs: Float[Array, "H N x"]
) -> tuple[Float[Array, "H N z"], Float[Array, "H N a"]]:
    """H steps of a_t = act(z_t, inputs_t), z_{t+1} = predict(z_t, a_t).

    On a GPU the gradients of the weights in `act` and `predict` do not add up step by step: the
    backward pass over time carries the latent's gradient alone, and each weight's gradient is one
    product over all H N rows after it. It is the same gradient, up to the order of sums. Each of
    the two functions is evaluated once more for that, on all rows at once.

    Args:
        act: action of a latent and of a step's input, such as noise.
        predict: latent after an action.
        z: first latents.
        inputs: input of each step.

    Returns:
        The latents z_1 to z_H, and the actions a_0 to a_{H-1}.
    """
    if platform.compiled_for() == "cpu":
        return _steps(act, predict, z, inputs, None)
    action = jax.eval_shape(act, z, inputs[0])
    act_of, act_weights = jax.closure_convert(act, z, inputs[0])
    predict_of, predict_weights = jax.closure_convert(predict, z, jnp.zeros_like(action))
    return _deferred(act_of, predict_of)(act_weights, predict_weights, z, inputs)


def _steps(
    act: Act, predict: Predict, z: Array, inputs: Array, nudges: tuple[Array, Array] | None
) -> tuple[Array, Array]:
    """The rollout; with `nudges` added to each action and each next latent."""

    def step(z: Array, x: tuple[Array, Any]) -> tuple[Array, tuple[Array, Array]]:
        inputs, nudge = x
        action = act(z, inputs)
        action = action if nudge is None else action + nudge[0]
        next_z = predict(z, action)
        next_z = next_z if nudge is None else next_z + nudge[1]
        return next_z, (next_z, action)

    return platform.scan(step, z, (inputs, nudges))[1]


def _deferred(act: Callable[..., Array], predict: Callable[..., Array]) -> Any:
    """The rollout as a function of the weights of `act` and `predict` as well, which the two take
    after their inputs, with a backward pass of its own.
    """

    @jax.custom_vjp
    def run(act_weights: Any, predict_weights: Any, z: Array, inputs: Array) -> Any:
        return _steps(*_bound(act_weights, predict_weights), z, inputs, None)

    def _bound(act_weights: Any, predict_weights: Any) -> tuple[Act, Predict]:
        return (
            lambda z, x: act(z, x, *act_weights),
            lambda z, action: predict(z, action, *predict_weights),
        )

    def forward(act_weights: Any, predict_weights: Any, z: Array, inputs: Array) -> Any:
        functions = _bound(act_weights, predict_weights)
        shapes = jax.eval_shape(functools.partial(_steps, *functions, nudges=None), z, inputs)
        # A zero that is added: its gradient is that of what it is added to.
        zeros = (jnp.zeros_like(shapes[1]), jnp.zeros_like(shapes[0]))
        steps = functools.partial(_steps, *functions)
        (next_z, action), back = jax.vjp(steps, z, inputs, zeros)
        before = jnp.concatenate([z[None], next_z[:-1]])
        return (next_z, action), (back, act_weights, predict_weights, before, action, inputs)

    def backward(saved: Any, gradient: Any) -> Any:
        back, act_weights, predict_weights, before, action, inputs = saved
        # Added up once for all steps, and not slice by slice.
        gradient = jax.lax.optimization_barrier(gradient)
        of_z, of_inputs, (of_action, of_next_z) = back(gradient)

        def all_actions(weights: Any) -> Array:
            return jax.vmap(lambda z, x: act(z, x, *weights))(before, inputs)

        def all_latents(weights: Any) -> Array:
            return jax.vmap(lambda z, a: predict(z, a, *weights))(before, action)

        (of_act,) = jax.vjp(all_actions, act_weights)[1](of_action)
        (of_predict,) = jax.vjp(all_latents, predict_weights)[1](of_next_z)
        return of_act, of_predict, of_z, of_inputs

    run.defvjp(forward, backward)
    return run
