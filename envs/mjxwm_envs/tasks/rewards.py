"""Reward terms: pure functions of physics quantities.

`tolerance` follows the definition of `dm_control.utils.rewards.tolerance` and is tested against it.
"""

import math
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

Sigmoid = Literal["gaussian", "quadratic", "linear", "long_tail"]


def tolerance(
    x: Float[Array, "*s"],
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: Sigmoid = "gaussian",
    value_at_margin: float = 0.1,
) -> Float[Array, "*s"]:
    """1 within `bounds`, decreasing to `value_at_margin` at a distance `margin` from them.

    Args:
        x: the quantity, any shape.
        bounds: inclusive interval of value 1.
        margin: distance in the unit of `x`; 0 makes the reward 0 everywhere outside.
        sigmoid: the shape of the decrease.
        value_at_margin: in (0, 1); 0 is allowed for `quadratic` and `linear`.

    Raises:
        ValueError: bounds out of order, a negative margin, an unknown sigmoid or a
            `value_at_margin` out of range.
    """
    lower, upper = bounds
    if lower > upper:
        raise ValueError(f"bounds=({lower}, {upper}): the lower bound is above the upper one")
    if margin < 0:
        raise ValueError(f"margin={margin} is negative; give a distance, or 0 for a hard edge")
    inside = (lower <= x) & (x <= upper)
    if margin == 0:
        return jnp.where(inside, 1.0, 0.0).astype(x.dtype)
    # Distance 0 inside keeps the gradient of the unused branch finite.
    distance = jnp.where(inside, 0.0, jnp.where(x < lower, lower - x, x - upper)) / margin
    return jnp.where(inside, 1.0, _sigmoid(distance, value_at_margin, sigmoid)).astype(x.dtype)


def _sigmoid(d: Float[Array, "*s"], value: float, sigmoid: Sigmoid) -> Float[Array, "*s"]:
    low = 0.0 if sigmoid in ("quadratic", "linear") else 1e-12
    if not low <= value < 1:
        raise ValueError(f"value_at_margin={value} is outside of [{low:g}, 1) for {sigmoid!r}")
    if sigmoid == "gaussian":
        return jnp.exp(math.log(value) * d**2)
    if sigmoid == "long_tail":
        return 1 / (1 + (1 / value - 1) * d**2)
    if sigmoid == "quadratic":
        return jnp.maximum(1 - (1 - value) * d**2, 0)
    if sigmoid == "linear":
        return jnp.maximum(1 - (1 - value) * d, 0)
    raise ValueError(
        f"sigmoid={sigmoid!r} is unknown; choose gaussian, quadratic, linear or long_tail"
    )


def height_bonus(
    height: Float[Array, ""], target: float, slack: float, gain: float = 1.0
) -> Float[Array, ""]:
    """PWM's height term: `gain` per metre above `target` up to `slack`, -200 d^2 below it.

    Source: the hopper and humanoid rewards of Xu et al. (SHAC, 2022), used by PWM. The slope is
    `gain` on one side and 0 on the other at d = 0, where it is continuous in value.
    """
    d = jnp.clip(height - target, -1.0, slack)
    return jnp.where(d < 0, -200 * d**2, gain * d)
