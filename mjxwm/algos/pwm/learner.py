"""PWM's learned state: networks, moments that normalise their inputs and losses; its optimisers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.pwm.config import Config
from mjxwm.maths import moments, returns
from mjxwm.maths.moments import Moments
from mjxwm.models import actor_critic, nets, world_model
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.optimizer import Optimizer
from mjxwm.models.world_model import LatentModel, WorldModel
from mjxwm.types import Agent, Followed, Metrics, Outlook, Trajectory


class Learner(NamedTuple):
    """Networks, optimiser states and moments: what the updates change."""

    model: LatentModel
    actor: Actor
    critic: Critic
    target: Critic
    """Target critics: slowly moving copies of `critic`."""
    model_opt: optax.OptState
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    obs: Moments | None
    """Running moments of collected observations, which normalise the encoder's input. None for a
    multi-task model, which normalises by the moments of each task."""
    reward: Moments
    """Running moments of collected rewards, for `reward_scale`."""
    returns: Moments
    """Running moments of imagined returns, for `return_scale`."""


class Networks(NamedTuple):
    """The policy, what it acts through, and what others look at; fields are those of `Learner`."""

    model: LatentModel
    actor: Actor
    critic: Critic
    target: Critic
    obs: Moments | None
    reward: Moments


class Optimizers(NamedTuple):
    """One optimiser per network."""

    model: Optimizer
    actor: Optimizer
    critic: Optimizer


def optimizers(config: Config) -> Optimizers:
    """Adam with PWM's gradient clipping; learning rates fall linearly over the run."""
    model_updates = config.iterations * config.updates
    actor_updates = config.iterations * config.policy_updates

    def clipped_adam(lr: float, updates: int, clip: float, b1: float, b2: float) -> Optimizer:
        schedule = optax.linear_schedule(lr, min(config.final_lr, lr), updates)
        adam = optax.adam(schedule, b1=b1, b2=b2)
        return Optimizer(optax.chain(optax.clip_by_global_norm(clip), adam))

    return Optimizers(
        model=clipped_adam(config.model_lr, model_updates, 20.0, 0.9, 0.999),
        actor=clipped_adam(config.actor_lr, actor_updates, 1.0, 0.7, 0.95),
        critic=clipped_adam(
            config.critic_lr, actor_updates * config.critic_steps, 100.0, 0.7, 0.95
        ),
    )


def init(
    config: Config, tx: Optimizers, obs_size: int, action_size: int, key: PRNGKeyArray
) -> Learner:
    """New networks and optimisers, and moments of no data yet."""
    new = init_networks(config, obs_size, action_size, key)
    return Learner(
        **new._asdict(),
        model_opt=tx.model.init(new.model),
        actor_opt=tx.actor.init(new.actor),
        critic_opt=tx.critic.init(new.critic),
        returns=moments.init(),
    )


def init_networks(config: Config, obs_size: int, action_size: int, key: PRNGKeyArray) -> Networks:
    """New networks, and moments of no data yet."""
    key_model, key_actor, key_critic = jax.random.split(key, 3)
    critic = actor_critic.make_critics(config.policy, config.model.latent, key=key_critic)
    return Networks(
        model=WorldModel.create(config.model, obs_size, action_size, key=key_model),
        actor=Actor.create(config.policy, config.model.latent, action_size, key=key_actor),
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),  # two leaves in one buffer would break donation
        obs=moments.init((obs_size,)),
        reward=moments.init(),
    )


def networks(learner: Learner) -> Networks:
    """The policy of a learner."""
    return Networks(*(getattr(learner, name) for name in Networks._fields))


def agent(config: Config, action_size: int, init: Callable[[PRNGKeyArray], Networks]) -> Agent:
    """How PWM's policies act.

    Args:
        config: the configuration.
        action_size: numbers of an action.
        init: key -> new networks.
    """

    def act_with(policy: Networks, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        noise = None if key is None else jax.random.normal(key, (len(obs), action_size))
        return act(policy, obs, noise)

    return Agent(init, act_with, outlook=_outlook(config, action_size))


def _outlook(config: Config, action_size: int) -> Outlook:
    def value(policy: Networks, obs: Array) -> Array:
        unit = config.value_unit * reward_scale(config, policy)
        return actor_critic.value(policy.target, encode(policy, obs)) * unit

    def imagine(policy: Networks, obs: Array) -> Array:
        acting = actor_critic.Sampling(actor=policy.actor, detach=False)
        noise = jnp.zeros((config.imagine_horizon, len(obs), action_size))
        imagined = world_model.imagine(policy.model, acting, encode(policy, obs), noise)
        reached = returns.discount_products(imagined.going_on)[:-1]
        return imagined.reward * reached * reward_scale(config, policy)

    def follow(policy: Networks, obs: Array, action: Array) -> Followed:
        z = encode(policy, obs)
        followed = world_model.imagine(policy.model, lambda _, action: action, z[0], action)
        return Followed(followed.z, z, followed.reward * reward_scale(config, policy))

    return Outlook(config.gamma, value, imagine, follow)


def packed(tx: Optimizers, learner: Learner) -> Learner:
    """The learner as a loop over updates carries it, with its optimisers' states packed."""
    return _with_states(learner, [tx.packed(*part) for tx, *part in _optimised(tx, learner)])


def unpacked(tx: Optimizers, learner: Learner) -> Learner:
    """The learner as `init` makes it and as checkpoints hold it, after a loop over updates."""
    return _with_states(learner, [tx.unpacked(*part) for tx, *part in _optimised(tx, learner)])


def _optimised(tx: Optimizers, learner: Learner) -> list[tuple[Optimizer, Any, Any]]:
    return [
        (tx.model, learner.model, learner.model_opt),
        (tx.actor, learner.actor, learner.actor_opt),
        (tx.critic, learner.critic, learner.critic_opt),
    ]


def _with_states(learner: Learner, states: Sequence[Any]) -> Learner:
    model, actor, critic = states
    return learner._replace(model_opt=model, actor_opt=actor, critic_opt=critic)


def act(
    learner: Learner | Networks, obs: Float[Array, "B o"], noise: Float[Array, "B a"] | None
) -> Float[Array, "B a"]:
    """Actions for B observations: sampled with standard-normal `noise`, deterministic with None."""
    z = encode(learner, obs)
    return learner.actor.mean(z) if noise is None else learner.actor.sample(z, noise)


def acting(config: Config, learner: Learner) -> Learner:
    """The learner with model and actor cast to `config.act_in`, the type for collection."""
    model, actor = nets.computing_in(config.act_in, (learner.model, learner.actor))
    return learner._replace(model=model, actor=actor)


def encode(learner: Learner | Networks, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
    """Latent of an observation as the environment returns it."""
    return learner.model.encode(normalize_obs(learner, obs))


def normalize_obs(learner: Learner | Networks, obs: Float[Array, "*s o"]) -> Float[Array, "*s o"]:
    """The encoder's input: the observation, normalised by `learner.obs` if it is not None."""
    return obs if learner.obs is None else moments.normalize(learner.obs, obs)


def reward_scale(config: Config, learner: Learner | Networks) -> Float[Array, ""]:
    """The number that rewards are divided by before model and critics are trained on them.

    It is their running standard deviation. Rewards are not shifted: subtracting the mean would
    change how good a termination, worth 0, is relative to going on. The scale is at least a tenth
    of the mean, because a nearly constant reward would otherwise become a huge target. Two-hot
    heads need no scale: for them it is 1.
    """
    if config.model.reward_head == "two-hot":
        return jnp.ones(())
    return jnp.maximum(moments.std(learner.reward), 0.1 * jnp.abs(learner.reward.mean))


_MIN_RELATIVE_STD = 1e-3
"""Lower bound of `return_scale`, as a fraction of the mean return."""


def return_scale(learner: Learner) -> Float[Array, ""]:
    """The number that the actor's loss is divided by: the standard deviation of imagined returns.

    It is at least a thousandth of their mean: if returns are nearly constant, they differ by errors
    of model and critics only, and dividing by that difference would amplify the errors' gradient.
    PWM has no lower bound; TD-MPC2's is 1.
    """
    std = moments.std(learner.returns)
    return jnp.maximum(std, _MIN_RELATIVE_STD * jnp.abs(learner.returns.mean))


def observe(learner: Learner, trajectory: Trajectory, metrics: Metrics) -> tuple[Learner, Metrics]:
    """Updates the moments of observations and rewards by a trajectory's valid steps.

    The moments and `metrics` are combined over all devices, in one collective. The metric
    `guard/moments` counts the sets of values that were left out because they are not finite.
    """
    valid = trajectory.valid
    parts = (moments.of(trajectory.obs, 2, valid), moments.of(trajectory.reward, 2, valid))
    metrics, (obs, reward) = shards.mean_and_all(metrics, parts)
    rewards, left_out = moments.merge_counting(learner.reward, reward)
    learner = learner._replace(reward=rewards)
    if learner.obs is not None:
        observations, more = moments.merge_counting(learner.obs, obs)
        learner, left_out = learner._replace(obs=observations), left_out + more
    return learner, {**metrics, "guard/moments": left_out}
