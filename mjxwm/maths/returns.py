"""Discounted returns. Time is the first axis, H steps; any axes *s may follow."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.maths import platform


def lambda_return(
    reward: Float[Array, "H *s"],
    discount: Float[Array, "H *s"],
    next_value: Float[Array, "H *s"],
    lam: float,
) -> Float[Array, "H *s"]:
    """TD(lambda) targets G_t = r_t + d_t [(1 - lam) v_{t+1} + lam G_{t+1}], with G_H = v_H.

    Args:
        reward: r_t.
        discount: d_t = gamma * (probability of going on after step t); 0 at a termination.
        next_value: v_{t+1}, the value of the state after step t, before any reset.
        lam: 0 gives one-step targets, 1 the discounted sum of all rewards plus v_H.

    Source: Sutton & Barto (2018), eq. 12.20 in recursive form.
    """

    def backward(
        g: Float[Array, "*s"], x: tuple[Array, Array, Array]
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        r, d, v = x
        g = r + d * ((1 - lam) * v + lam * g)
        return g, g

    inputs = (reward, discount, next_value)
    return platform.scan(backward, next_value[-1], inputs, reverse=True)[1]


def discount_products(discount: Float[Array, "H *s"]) -> Float[Array, "H+1 *s"]:
    """Cumulative discounts D_t = d_0 d_1 ... d_{t-1} for t = 0..H, with D_0 = 1."""
    one = jnp.ones_like(discount[:1])
    return jnp.concatenate([one, jnp.cumprod(discount, axis=0)])


def discounted_sum(
    reward: Float[Array, "H *s"],
    discount: Float[Array, "H *s"],
    last_value: Float[Array, "*s"],
) -> Float[Array, "*s"]:
    """The H-step return sum_t D_t r_t + D_H v_H, with D from `discount_products`."""
    weight = discount_products(discount)
    return (weight[:-1] * reward).sum(axis=0) + weight[-1] * last_value


def of_largest(reward: Float[Array, "*s"], gamma: float | Float[Array, ""]) -> Float[Array, ""]:
    """The return of the largest of some rewards, by its absolute value and at least 0.1, for ever.

    While rewards are no larger, no policy's return is.
    """
    return jnp.maximum(jnp.abs(reward).max(), 0.1) / jnp.maximum(1 - gamma, 1e-3)
