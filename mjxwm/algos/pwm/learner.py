"""What PWM learns: networks, their optimisers, and the units that they work in."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.pwm.config import Config
from mjxwm.maths import moments
from mjxwm.maths.moments import Moments
from mjxwm.models import actor_critic, nets
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.optimizer import Optimizer
from mjxwm.models.world_model import LatentModel, WorldModel
from mjxwm.types import Metrics, Trajectory


class Learner(NamedTuple):
    """What the updates change."""

    model: LatentModel
    actor: Actor
    critic: Critic
    target: Critic
    model_opt: optax.OptState
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    obs: Moments | None
    """Of collected observations, feature by feature: the encoder sees them in deviations. None
    where that is the model's own affair."""
    reward: Moments
    """Of collected rewards: the model predicts rewards in units of their deviation."""
    returns: Moments
    """Of imagined returns: the actor's loss is in units of their deviation."""


class Optimizers(NamedTuple):
    """One optimiser per network."""

    model: Optimizer
    actor: Optimizer
    critic: Optimizer


def optimizers(config: Config) -> Optimizers:
    """Adam with PWM's gradient clipping; learning rates fall linearly over the budget."""
    models = config.iterations * config.updates
    policies = config.iterations * config.policy_updates

    def clipped_adam(lr: float, updates: int, clip: float, b1: float, b2: float) -> Optimizer:
        schedule = optax.linear_schedule(lr, min(config.final_lr, lr), updates)
        adam = optax.adam(schedule, b1=b1, b2=b2)
        return Optimizer(optax.chain(optax.clip_by_global_norm(clip), adam))

    return Optimizers(
        model=clipped_adam(config.model_lr, models, 20.0, 0.9, 0.999),
        actor=clipped_adam(config.actor_lr, policies, 1.0, 0.7, 0.95),
        critic=clipped_adam(config.critic_lr, policies * config.critic_steps, 100.0, 0.7, 0.95),
    )


def init(
    config: Config, tx: Optimizers, obs_size: int, action_size: int, key: PRNGKeyArray
) -> Learner:
    """Fresh networks and optimisers, and moments that have seen nothing."""
    key_model, key_actor, key_critic = jax.random.split(key, 3)
    model = WorldModel.create(config.model, obs_size, action_size, key=key_model)
    actor = Actor.create(config.policy, config.model.latent, action_size, key=key_actor)
    critic = actor_critic.make_critics(config.policy, config.model.latent, key=key_critic)
    return Learner(
        model=model,
        actor=actor,
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),  # two leaves in one buffer would break donation
        model_opt=tx.model.init(model),
        actor_opt=tx.actor.init(actor),
        critic_opt=tx.critic.init(critic),
        obs=moments.init((obs_size,)),
        reward=moments.init(),
        returns=moments.init(),
    )


def act(
    learner: Learner, obs: Float[Array, "B o"], noise: Float[Array, "B a"] | None
) -> Float[Array, "B a"]:
    """Actions for observations: sampled with standard-normal noise, deterministic without."""
    z = encode(learner, obs)
    return learner.actor.mean(z) if noise is None else learner.actor.sample(z, noise)


def acting(config: Config, learner: Learner) -> Learner:
    """The learner as it acts in collection: in the type of `config.act_in`."""
    if config.act_in == "float32":
        return learner
    model, actor = nets.in_bfloat16((learner.model, learner.actor))
    return learner._replace(model=model, actor=actor)


def encode(learner: Learner, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
    """Latent of an observation in the task's own units."""
    return learner.model.encode(seen(learner, obs))


def seen(learner: Learner, obs: Float[Array, "*s o"]) -> Float[Array, "*s o"]:
    """An observation as the encoder sees it."""
    return obs if learner.obs is None else moments.normalize(learner.obs, obs)


def reward_scale(config: Config, learner: Learner) -> Float[Array, ""]:
    """The unit in which model, actor and critic see rewards.

    Rewards are divided by their running deviation but not shifted: subtracting the mean would make
    a termination, worth 0, look better or worse than it is. The unit is at least a tenth of the
    mean, or a constant reward would be a huge number that no head learns. Bins need no scale.
    """
    if config.model.reward_head == "two-hot":
        return jnp.ones(())
    return jnp.maximum(moments.std(learner.reward), 0.1 * jnp.abs(learner.reward.mean))


_LEAST_SPREAD = 1e-3
"""Share of the mean return that returns are taken to differ by at least."""


def return_scale(learner: Learner) -> Float[Array, ""]:
    """The unit of the actor's loss: the running deviation of imagined returns.

    At least a thousandth of their mean, so that the loss is at most a thousand: where returns are
    all but constant, what they differ by is the model's and the critics' error, and to divide by it
    would make a loss, and a gradient, of nothing else. PWM has no such floor; TD-MPC2 has 1.
    """
    spread = moments.std(learner.returns)
    return jnp.maximum(spread, _LEAST_SPREAD * jnp.abs(learner.returns.mean))


def observe(learner: Learner, trajectory: Trajectory, metrics: Metrics) -> tuple[Learner, Metrics]:
    """The learner with the moments of what was collected; placeholders do not count.

    Moments and metrics become those of all devices, in one collective.
    """
    valid = trajectory.valid
    seen = (moments.of(trajectory.obs, 2, valid), moments.of(trajectory.reward, 2, valid))
    metrics, (obs, reward) = shards.mean_and_all(metrics, seen)
    return learner._replace(
        obs=learner.obs and moments.merge(learner.obs, obs),
        reward=moments.merge(learner.reward, reward),
    ), metrics
