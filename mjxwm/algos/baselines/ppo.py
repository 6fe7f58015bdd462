"""PPO: an iteration made of Brax's networks, losses and observation normaliser."""

# optax types parameters as trees of arrays; brax's classes are such trees, but no type says so.
# pyright: reportArgumentType=false, reportCallIssue=false

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from brax.envs.base import State
from brax.training import acting, networks, types
from brax.training.acme import running_statistics
from brax.training.acme.running_statistics import RunningStatisticsState
from brax.training.agents.ppo import losses
from brax.training.agents.ppo import networks as ppo_networks
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs.core import Source

from mjxwm.algos.baselines import tanh_gaussian
from mjxwm.algos.baselines.config import MIN_STD, PPO
from mjxwm.algos.baselines.env import BraxWorlds, init_normalizer, observed
from mjxwm.data.rollout import step_metrics
from mjxwm.maths import finite
from mjxwm.models.optimizer import Optimizer
from mjxwm.types import Algorithm, Metrics, Sizes


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    worlds: State
    params: losses.PPONetworkParams
    normalizer: RunningStatisticsState
    opt: optax.OptState
    key: PRNGKeyArray

    @property
    def replay(self) -> Any:
        """The latest steps, of worlds that keep them (`mjxwm.data.recording`)."""
        worlds: Any = self.worlds.pipeline_state
        return worlds.replay


class Parts(NamedTuple):
    """The fixed parts of the algorithm: configuration, worlds, networks, optimiser."""

    config: PPO
    env: BraxWorlds
    nets: ppo_networks.PPONetworks
    tx: optax.GradientTransformation


def make(config: PPO, env: Source) -> Algorithm:
    """PPO on `env`."""
    parts = make_parts(config, env)
    return Algorithm(
        init=jax.jit(lambda key: init(parts, key)),
        iterate=lambda state: iterate(parts, state),
        agent=tanh_gaussian.agent(config, Sizes.of(env.spec)),
        policy=lambda state: tanh_gaussian.networks(state.params.policy, state.normalizer),
        iterations=config.iterations,
        env_steps=lambda iteration: iteration * config.steps_per_iteration,
        networks=lambda state: {"policy": state.params.policy, "critic": state.params.value},
    )


def make_parts(config: PPO, env: Source) -> Parts:
    """Builds networks and optimiser for `env`."""
    worlds = BraxWorlds(env)
    return Parts(config, worlds, make_networks(config, worlds), optimizer(config))


def make_networks(config: PPO, env: BraxWorlds) -> ppo_networks.PPONetworks:
    """The policy, a tanh-squashed Gaussian, and the critic."""
    plain = types.identity_observation_preprocessor
    return ppo_networks.make_ppo_networks(
        env.observation_size,
        env.action_size,
        running_statistics.normalize if config.normalize_obs else plain,
        config.policy_layers,
        config.value_layers,
        networks.ACTIVATION[config.activation],
    )


def optimizer(config: PPO) -> optax.GradientTransformation:
    """Adam, with clipping of the gradient's norm if `max_grad_norm` is set."""
    adam = optax.adam(config.lr)
    if config.max_grad_norm is None:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), adam)


def init(parts: Parts, key: PRNGKeyArray) -> TrainState:
    """The state before the first iteration: fresh worlds and networks."""
    key, key_worlds, key_policy, key_value = jax.random.split(key, 4)
    params = losses.PPONetworkParams(
        policy=_quiet(parts, parts.nets.policy_network.init(key_policy)),
        value=parts.nets.value_network.init(key_value),
    )
    return TrainState(
        iteration=jnp.zeros((), jnp.int32),
        worlds=parts.env.reset(jax.random.split(key_worlds, parts.config.worlds)),
        params=params,
        normalizer=init_normalizer(parts.env),
        opt=parts.tx.init(params),
        key=key,
    )


def _quiet(parts: Parts, policy: Any) -> Any:
    """The policy's first parameters with `init_std`, if it is set."""
    std = parts.config.init_std
    if std is None:
        return policy
    layers = policy["params"]
    name = f"hidden_{len(layers) - 1}"
    last = layers[name]
    actions = last["bias"].shape[0] // 2
    # Brax's deviation is softplus(x) + MIN_STD.
    bias = last["bias"].at[actions:].set(math.log(math.expm1(std - MIN_STD)))
    quiet = {"kernel": 0.01 * last["kernel"], "bias": bias}
    return {**policy, "params": {**layers, name: quiet}}


def iterate(parts: Parts, state: TrainState) -> tuple[TrainState, Metrics]:
    """One iteration: collects segments of T steps, then trains `epochs` epochs on them."""
    key_update, key_collect, key = jax.random.split(state.key, 3)
    worlds, data, collected = _collect(parts, state, key_collect)
    normalizer, left_out = observed(state.normalizer, data.observation)
    state = state._replace(worlds=worlds, normalizer=normalizer, key=key)
    (params, opt, _), metrics = jax.lax.scan(
        lambda carry, _: _epoch(parts, normalizer, data, carry),
        (state.params, state.opt, key_update),
        None,
        parts.config.epochs,
    )
    state = state._replace(params=params, opt=opt, iteration=state.iteration + 1)
    learned = finite.over_updates(jax.tree.map(jnp.ravel, metrics))
    collected = {f"collect/{name}": x for name, x in collected.items()}
    return state, {**collected, **learned, "guard/moments": left_out}


def _collect(
    parts: Parts, state: TrainState, key: PRNGKeyArray
) -> tuple[State, types.Transition, Metrics]:
    """Collects segments: the next state of the worlds, data [segments, T, ...], episode metrics."""
    config = parts.config
    params = (state.normalizer, state.params.policy)
    policy = ppo_networks.make_inference_fn(parts.nets)(params)

    def unroll(carry: tuple[State, PRNGKeyArray], _: None) -> Any:
        worlds, key = carry
        key, key_next = jax.random.split(key)
        worlds, data = acting.generate_unroll(
            parts.env, worlds, policy, key, config.unroll, ("truncation", "step")
        )
        return (worlds, key_next), data

    unrolls = config.segments // config.worlds
    (worlds, _), data = jax.lax.scan(unroll, (state.worlds, key), None, unrolls)
    # [unrolls, T, B] to [segments, T]: the losses take segments first.
    data = jax.tree.map(lambda x: x.swapaxes(1, 2).reshape(-1, *x.shape[1:2], *x.shape[3:]), data)
    extras: Any = data.extras
    state_extras = dict(extras["state_extras"])
    steps = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), state_extras.pop("step"))
    data = data._replace(extras={**extras, "state_extras": state_extras})
    return worlds, data, step_metrics(steps)


def _epoch(
    parts: Parts, normalizer: RunningStatisticsState, data: types.Transition, carry: Any
) -> tuple[Any, Metrics]:
    """One epoch: `minibatches` updates, each on `batch` random segments."""
    params, opt, key = carry
    key, key_order, key_loss = jax.random.split(key, 3)
    shape = (parts.config.minibatches, parts.config.batch)
    # Shuffled leaf by leaf, as in Brax: otherwise the order would be another.
    shuffled = jax.tree.map(
        lambda x: jax.random.permutation(key_order, x).reshape(*shape, *x.shape[1:]), data
    )

    def update(carry: Any, batch: types.Transition) -> tuple[Any, Metrics]:
        params, opt, key = carry
        key, key_loss = jax.random.split(key)
        gradient = jax.grad(lambda p: _loss(parts, p, normalizer, batch, key_loss), has_aux=True)
        grads, metrics = gradient(params)
        params, opt, skipped = Optimizer(parts.tx).step(params, grads, opt, metrics["total_loss"])
        metrics = {**metrics, "grad_norm": optax.tree.norm(grads)}
        named = {f"ppo/{name}": x for name, x in metrics.items()}
        return (params, opt, key), {**named, "guard/losses": skipped}

    (params, opt, _), metrics = jax.lax.scan(update, (params, opt, key_loss), shuffled)
    return (params, opt, key), metrics


def _loss(
    parts: Parts,
    params: losses.PPONetworkParams,
    normalizer: RunningStatisticsState,
    batch: types.Transition,
    key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Any]:
    config = parts.config
    return losses.compute_ppo_loss(
        params,
        normalizer,
        batch,
        key,
        parts.nets,
        entropy_cost=config.entropy,
        discounting=config.gamma,
        reward_scaling=config.reward_scaling,
        gae_lambda=config.lam,
        clipping_epsilon=config.clip,
        normalize_advantage=config.normalize_advantage,
        vf_coefficient=config.value_coef,
    )
