"""REPPO: on-policy, with pathwise gradients of the policy through a learned action value.

One iteration collects T steps in B worlds with the policy, computes TD(lambda) targets of the soft
action value, and trains critic and policy on these steps alone, for some epochs of minibatches.
The policy climbs the critic through its actions while it stays near the policy that collected; two
multipliers, which are tuned, hold its entropy and this distance. No replay, no target networks.
Source: Voelcker et al. 2025 (arXiv 2507.11019), and the authors' configuration, see `config`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from mjxwm_envs import shards
from mjxwm_envs.core import Source, WorldBatch

from mjxwm.algos.on_policy import TrainState
from mjxwm.algos.reppo import learner
from mjxwm.algos.reppo.config import Config, NetworkConfig, validate
from mjxwm.algos.reppo.learner import Learner, Networks, Optimizers, Policy
from mjxwm.algos.reppo.networks import Actor, Critic, Gaussian
from mjxwm.algos.reppo.updates import Batch, batch, critic_loss, learn, policy_loss, targets
from mjxwm.data import rollout
from mjxwm.maths import hl_gauss, moments
from mjxwm.types import Agent, Algorithm, Metrics, Outlook, Sizes

__all__ = [
    "Actor",
    "Batch",
    "Config",
    "Critic",
    "Gaussian",
    "Learner",
    "NetworkConfig",
    "Networks",
    "Optimizers",
    "Policy",
    "TrainState",
    "agent",
    "batch",
    "critic_loss",
    "learn",
    "make",
    "policy_loss",
    "targets",
    "validate",
]


def agent(config: Config, sizes: Sizes) -> Agent:
    """How REPPO's policy acts, on any engine; its arrays are `Networks`.

    Raises:
        ValueError: a setting is out of range.
    """
    validate(config)

    def init(key: PRNGKeyArray) -> Networks:
        return learner.init_networks(config, sizes.obs_size, sizes.action_size, key)

    def act(policy: Networks, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        gaussian = policy.actor(moments.normalize(policy.obs, obs))
        if key is None:
            return jnp.tanh(gaussian.mean)
        return gaussian.sample(jax.random.normal(key, gaussian.mean.shape))[0]

    def value(policy: Networks, obs: Array) -> Array:
        x = moments.normalize(policy.obs, obs)
        judgement = policy.critic(x, jnp.tanh(policy.actor(x).mean))
        scaled = hl_gauss.decode(judgement.logits, config.min_value, config.max_value)
        return scaled / config.reward_scaling

    return Agent(init, act, outlook=Outlook(config.gamma, value))


def make(config: Config, env: Source) -> Algorithm:
    """REPPO on `env`.

    Raises:
        ValueError: a setting is out of range; the message says what to do.
    """
    validate(config)
    worlds = env.batch(config.worlds)
    tx = learner.optimizers(config)

    def init(key: PRNGKeyArray) -> TrainState:
        key, key_learner, key_worlds = jax.random.split(key, 3)
        spec = env.spec
        fresh = learner.init(config, tx, spec.obs_size, spec.action_size, key_learner)
        start = worlds.reset(key_worlds, stagger=True)
        # Otherwise the first iteration would not be normalised.
        _, start_obs = shards.mean_and_all((), moments.of(start.obs, 1))
        fresh = fresh._replace(obs=moments.merge(fresh.obs, start_obs))
        return TrainState(jnp.zeros((), jnp.int32), fresh, start, key)

    def networks(state: TrainState) -> dict[str, Any]:
        return {"actor": state.learner.policy, "critic": state.learner.critic}

    return Algorithm(
        init=jax.jit(init),
        iterate=lambda state: _iterate(config, worlds, tx, state),
        agent=agent(config, Sizes.of(env.spec)),
        policy=lambda state: learner.networks(state.learner),
        iterations=config.iterations,
        env_steps=lambda iteration: iteration * config.steps_per_iteration,
        networks=networks,
    )


def _iterate(
    config: Config, env: WorldBatch, tx: Optimizers, state: TrainState
) -> tuple[TrainState, Metrics]:
    key, key_noise, key_learn = jax.random.split(state.key, 3)
    shape = (2, config.unroll, config.worlds, env.env.action_size)
    noise, next_noise = shards.local(jax.random.normal(key_noise, shape), axis=2)
    old = state.learner

    def policy(obs: Array, noise: Array) -> Array:
        return old.policy.actor(moments.normalize(old.obs, obs)).sample(noise)[0]

    worlds, trajectory, collected = rollout.unroll(env, policy, state.worlds, noise)
    new, learned = learn(config, tx, old, batch(config, old, trajectory, next_noise), key_learn)
    obs_moments = moments.of(trajectory.obs, 2, trajectory.valid)
    metrics = {**rollout.named(collected), **learned}
    metrics, obs_moments = shards.mean_and_all(metrics, obs_moments)
    merged, left_out = moments.merge_counting(new.obs, obs_moments)
    metrics["guard/moments"] = left_out
    return TrainState(state.iteration + 1, new._replace(obs=merged), worlds, key), metrics
