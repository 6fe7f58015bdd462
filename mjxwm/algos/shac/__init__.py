"""First-order policy optimisation through the simulator: SHAC, SAPO and APG.

One iteration unrolls a window of H steps in B worlds and differentiates its return, the rewards
plus the critics' value of the last state, with respect to the actor through the simulator. Worlds
continue from window to window; gradients do not. Then the critics are trained on TD(lambda) targets
of the same window. Sources: Xu et al. 2022 (SHAC, arXiv 2204.07137); Xing et al. 2025 (SAPO, arXiv
2412.12089). APG, or BPTT, is the same without critics. The configuration selects which it is.

Each world's gradient is computed separately. Those that are not finite are dropped and counted, the
others clipped, and then averaged, so that a world near a contact cannot dominate the update.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from mjxwm_envs import shards
from mjxwm_envs.core import Source, WorldBatch

from mjxwm.algos.on_policy import TrainState
from mjxwm.algos.shac import learner
from mjxwm.algos.shac.config import Config, validate
from mjxwm.algos.shac.learner import Learner, Networks, Optimizers
from mjxwm.algos.shac.updates import targets, update_actor, update_critic, update_entropy
from mjxwm.algos.shac.window import Window, combine, gradients, run, segments
from mjxwm.data import rollout
from mjxwm.maths import moments
from mjxwm.models import actor_critic
from mjxwm.types import Agent, Algorithm, Metrics, Outlook, Sizes

__all__ = [
    "Config",
    "Learner",
    "Networks",
    "Optimizers",
    "TrainState",
    "Window",
    "agent",
    "combine",
    "gradients",
    "make",
    "run",
    "segments",
    "targets",
    "update_actor",
    "update_critic",
    "update_entropy",
    "validate",
]


def agent(config: Config, sizes: Sizes) -> Agent:
    """How SHAC's policy acts, on any engine; its arrays are `Networks`.

    Raises:
        ValueError: a setting is out of range.
    """
    validate(config)

    def init(key: PRNGKeyArray) -> Networks:
        return learner.init_networks(config, sizes.obs_size, sizes.action_size, key)

    def act(policy: Networks, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        noise = None if key is None else jax.random.normal(key, (len(obs), sizes.action_size))
        return learner.act(policy, obs, noise)

    def value(policy: Networks, obs: Array) -> Array:
        x = moments.normalize(policy.obs, obs)
        return actor_critic.value(policy.target, x) * config.value_unit

    # APG learns without critics.
    outlook = Outlook(config.gamma, value) if config.bootstrap else None
    return Agent(init, act, outlook=outlook)


def make(config: Config, env: Source) -> Algorithm:
    """SHAC, SAPO or APG on `env`.

    Raises:
        ValueError: a setting is out of range, or the engine has no gradients; the message says what
            to do.
    """
    validate(config)
    if not env.spec.differentiable:
        raise ValueError(f"task {env.name!r}: {env.spec.obstacle}")
    worlds = env.batch(config.worlds)
    tx = learner.optimizers(config)

    def init(key: PRNGKeyArray) -> TrainState:
        key, key_learner, key_worlds = jax.random.split(key, 3)
        spec = env.spec
        fresh = learner.init(config, tx, spec.obs_size, spec.action_size, key_learner)
        start = worlds.reset(key_worlds, stagger=True)
        # Otherwise the first window would not be normalised.
        _, start_obs = shards.mean_and_all((), moments.of(start.obs, 1))
        fresh = fresh._replace(obs=moments.merge(fresh.obs, start_obs))
        return TrainState(jnp.zeros((), jnp.int32), fresh, start, key)

    def iterate(state: TrainState) -> tuple[TrainState, Metrics]:
        return _iterate(config, worlds, tx, state)

    def env_steps(iteration: int) -> int:
        return iteration * config.steps_per_iteration

    def networks(state: TrainState) -> dict[str, Any]:
        critic = {"critic": state.learner.critic} if config.bootstrap else {}
        return {"actor": state.learner.actor, **critic}

    return Algorithm(
        init=jax.jit(init),
        iterate=iterate,
        agent=agent(config, Sizes.of(env.spec)),
        policy=lambda state: learner.networks(state.learner),
        iterations=config.iterations,
        env_steps=env_steps,
        networks=networks,
    )


def _iterate(
    config: Config, env: WorldBatch, tx: Optimizers, state: TrainState
) -> tuple[TrainState, Metrics]:
    key, key_noise, key_critic = jax.random.split(state.key, 3)
    shape = (config.unroll, config.worlds, env.env.action_size)
    noise = shards.local(jax.random.normal(key_noise, shape), axis=1)
    grads, window = gradients(config, env, state.learner, state.worlds, noise)
    gradient, gradient_metrics = combine(grads, config.world_clip)
    enough = gradient_metrics["actor/dropped"] <= config.max_dropped
    new, actor_metrics = update_actor(tx, state.learner, gradient, enough)
    new, entropy_metrics = update_entropy(config, tx, new, window)
    critic_metrics: Metrics = {}
    if config.bootstrap:
        new, critic_metrics = update_critic(config, tx, new, window, key_critic)
    total = jnp.where(jnp.isfinite(window.total), window.total, 0).mean()
    metrics = {
        **rollout.named(window.metrics),
        **gradient_metrics,
        **actor_metrics,
        **entropy_metrics,
        **critic_metrics,
        "actor/return": total,
    }
    obs_moments = moments.of(window.trajectory.obs, 2, window.trajectory.valid)
    metrics, obs_moments = shards.mean_and_all(metrics, obs_moments)
    merged, left_out = moments.merge_counting(new.obs, obs_moments)
    metrics["guard/moments"] = left_out
    return TrainState(state.iteration + 1, new._replace(obs=merged), window.worlds, key), metrics
