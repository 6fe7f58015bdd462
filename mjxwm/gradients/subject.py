"""What is differentiated: a policy on latents, its critic and its world model, all fixed.

The policy is the same function of an observation in the simulator and in the model: it acts on the
world model's encoding. So gradients meet in action and in parameter space; latent and physical
Jacobians never are compared.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from mjxwm.algos import pwm
from mjxwm.maths import moments
from mjxwm.maths.moments import Moments
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.world_model import WorldModel


class Subject(NamedTuple):
    """Networks and moments of a learner."""

    actor: Actor
    critic: Critic
    model: WorldModel
    obs: Moments
    reward_scale: Float[Array, ""]
    """The model's unit of reward."""
    value_unit: Float[Array, ""]
    """The critics' unit of value, in the model's unit of reward."""
    gamma: Float[Array, ""]

    def encode(self, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
        """Latent of an observation."""
        return self.model.encode(moments.normalize(self.obs, obs))

    def value(self, z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Value of a latent in the task's units, the least of the critics'."""
        return actor_critic.value(self.critic, z) * self.value_unit * self.reward_scale


class Parameters(NamedTuple):
    """What gradients are taken with respect to."""

    actor: Actor
    plan: Float[Array, "H a"]
    """Added to the policy's mean before tanh, step by step; the whole mean where there is no
    feedback."""


class Switches(NamedTuple):
    """How a rollout is made and what of it counts; all traced, so that one program serves all."""

    feedback: Float[Array, ""]
    """1: closed loop; 0: the plan alone, whatever is observed."""
    attached: Float[Array, ""]
    """1: the gradient also flows from state to action; 0: it is cut there, as PWM does."""
    horizon: Float[Array, " K"]
    """Steps that count, at most H, of each of K objectives; the terminal value stands at their
    end."""
    bootstrap: Float[Array, " K"]
    """Weight of the terminal value in each, 1 or 0."""
    smoothing: Float[Array, ""]
    """Deviation of the perturbation of start positions and velocities."""


def switches(
    horizon: int | Sequence[int],
    feedback: bool = True,
    attached: bool = True,
    bootstrap: bool | Sequence[bool] = True,
    smoothing: float = 0.0,
) -> Switches:
    """Switches by name: of one objective, or of one for each of several horizons."""
    horizons = jnp.atleast_1d(jnp.asarray(horizon, float))
    weights = jnp.broadcast_to(jnp.asarray(bootstrap, float), horizons.shape)
    return Switches(
        feedback=jnp.asarray(feedback, float),
        attached=jnp.asarray(attached, float),
        horizon=horizons,
        bootstrap=weights,
        smoothing=jnp.asarray(smoothing, float),
    )


def take(config: pwm.Config, policy: pwm.Networks) -> Subject:
    """The networks of a PWM run."""
    # Other models, and none of the moments, are for extraction alone.
    assert isinstance(policy.model, WorldModel)
    assert policy.obs is not None
    return Subject(
        actor=policy.actor,
        critic=policy.target,
        model=policy.model,
        obs=policy.obs,
        reward_scale=pwm.reward_scale(config, policy),
        value_unit=jnp.asarray(config.value_unit),
        gamma=jnp.asarray(config.gamma),
    )


def act(
    parameters: Parameters,
    plan: Float[Array, " a"],
    z: Float[Array, " z"],
    noise: Float[Array, " a"],
    how: Switches,
) -> tuple[Float[Array, " a"], Float[Array, " a"]]:
    """The action in [-1, 1], and its Gaussian before tanh.

    Args:
        parameters: actor and plan.
        plan: the plan's row of this step.
        z: latent of what is observed.
        noise: standard normal.
        how: see `Switches`.
    """
    still = jax.lax.stop_gradient(z)
    mean = how.feedback * parameters.actor.mean_net(still + how.attached * (z - still)) + plan
    before = mean + parameters.actor.std() * noise
    return jnp.tanh(before), before


def total(
    subject: Subject,
    reward: Float[Array, " H"],
    going_on: Float[Array, " H"],
    value: Float[Array, " H"],
    how: Switches,
) -> Float[Array, " K"]:
    """sum_{t<h} D_t r_t + D_h V(z_h), with D_t = prod_{k<t} gamma c_k, for each horizon h.

    Args:
        subject: for gamma.
        reward: in the task's units.
        going_on: c_t, the (probability or the fact) that the episode goes on after step t.
        value: of the state that each step leads to.
        how: the horizons, and the weight of the value.
    """
    return gains(subject, reward, going_on, value, how).sum(axis=1)


def gains(
    subject: Subject,
    reward: Float[Array, " H"],
    going_on: Float[Array, " H"],
    value: Float[Array, " H"],
    how: Switches,
) -> Float[Array, "K H"]:
    """What each step adds to `total`, for each horizon."""
    steps, horizon = jnp.arange(len(reward)), how.horizon[:, None]
    weight = jnp.cumprod(jnp.concatenate([jnp.ones(1), subject.gamma * going_on]))
    rewards = jnp.where(steps < horizon, weight[:-1] * reward, 0)
    ends = (steps + 1 == horizon) * how.bootstrap[:, None]
    return rewards + jnp.where(ends > 0, ends * weight[1:] * value, 0)


def flatten(parameters: Parameters) -> tuple[Float[Array, " d"], Float[Array, " p"]]:
    """The gradient's two levels as vectors: of the actor's parameters, and of the plan."""
    return ravel_pytree(parameters.actor)[0], parameters.plan.reshape(-1)
