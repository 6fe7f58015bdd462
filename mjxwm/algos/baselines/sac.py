"""SAC: an iteration made of Brax's networks, losses, observation normaliser and replay buffer."""

# optax types parameters as trees of arrays; brax's classes are such trees, but no type says so.
# pyright: reportArgumentType=false

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from brax.envs.base import State
from brax.training import acting, networks, types
from brax.training.acme import running_statistics
from brax.training.acme.running_statistics import RunningStatisticsState
from brax.training.agents.sac import losses
from brax.training.agents.sac import networks as sac_networks
from brax.training.replay_buffers import ReplayBufferState, UniformSamplingQueue
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs.core import Source, Step

from mjxwm.algos.baselines import tanh_gaussian
from mjxwm.algos.baselines.config import SAC
from mjxwm.algos.baselines.env import BraxWorlds, init_normalizer, observed
from mjxwm.data.rollout import step_metrics
from mjxwm.maths import finite
from mjxwm.models.optimizer import Optimizer
from mjxwm.types import Algorithm, Metrics, Sizes

_ALPHA_LR = 3e-4  # fixed in Brax, too


class Learner(NamedTuple):
    """Networks, temperature and optimiser states: what the updates change."""

    policy: Any
    critics: Any
    target: Any
    log_alpha: Float[Array, ""]
    """Logarithm of the temperature alpha, the weight of the entropy."""
    policy_opt: optax.OptState
    critics_opt: optax.OptState
    alpha_opt: optax.OptState


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    worlds: State
    learner: Learner
    normalizer: RunningStatisticsState
    buffer: ReplayBufferState
    key: PRNGKeyArray

    @property
    def replay(self) -> Any:
        """The latest steps, of worlds that keep them (`mjxwm.data.recording`)."""
        worlds: Any = self.worlds.pipeline_state
        return worlds.replay


class Parts(NamedTuple):
    """The fixed parts of the algorithm: configuration, worlds, networks, buffer, losses."""

    config: SAC
    env: BraxWorlds
    nets: sac_networks.SACNetworks
    buffer: UniformSamplingQueue
    losses: tuple[Callable[..., Array], ...]
    """Losses of the temperature, the critics and the policy, in this order."""


def make(config: SAC, env: Source) -> Algorithm:
    """SAC on `env`."""
    parts = make_parts(config, env)

    def env_steps(iteration: int) -> int:
        return (config.warmup_rounds + iteration * config.unroll) * config.worlds

    return Algorithm(
        init=jax.jit(lambda key: init(parts, key)),
        iterate=lambda state: iterate(parts, state),
        agent=tanh_gaussian.agent(config, Sizes.of(env.spec)),
        policy=lambda state: tanh_gaussian.networks(state.learner.policy, state.normalizer),
        iterations=config.iterations,
        env_steps=env_steps,
        networks=lambda state: {"policy": state.learner.policy, "critics": state.learner.critics},
    )


def make_parts(config: SAC, task: Source) -> Parts:
    """Builds networks, losses and replay buffer for `task`."""
    env = BraxWorlds(task)
    plain = types.identity_observation_preprocessor
    nets = sac_networks.make_sac_networks(
        env.observation_size,
        env.action_size,
        running_statistics.normalize if config.normalize_obs else plain,
        config.layers,
        networks.ACTIVATION[config.activation],
        q_network_layer_norm=config.layer_norm,
    )
    obs, action = jnp.zeros(env.observation_size), jnp.zeros(env.action_size)
    extras = {"state_extras": {"truncation": 0.0}, "policy_extras": {}}
    example = types.Transition(obs, action, 0.0, 0.0, obs, extras)
    buffer = UniformSamplingQueue(config.rows, example, config.batch * config.updates_per_round)
    all_losses = losses.make_losses(nets, config.reward_scaling, config.gamma, env.action_size)
    return Parts(config, env, nets, buffer, all_losses)


def init(parts: Parts, key: PRNGKeyArray) -> TrainState:
    """The state before the first iteration, with the steps of the warm-up in the replay buffer."""
    key, key_worlds, key_learner, key_buffer, key_warm = jax.random.split(key, 5)
    state = TrainState(
        iteration=jnp.zeros((), jnp.int32),
        worlds=parts.env.reset(jax.random.split(key_worlds, parts.config.worlds)),
        learner=init_learner(parts, key_learner),
        normalizer=init_normalizer(parts.env),
        buffer=parts.buffer.init(key_buffer),
        key=key,
    )
    return warm_up(parts, state, key_warm)


def init_learner(parts: Parts, key: PRNGKeyArray) -> Learner:
    """New networks and optimisers, and a temperature of 1."""
    key_policy, key_critics = jax.random.split(key)
    policy = parts.nets.policy_network.init(key_policy)
    critics = parts.nets.q_network.init(key_critics)
    log_alpha: Any = jnp.zeros(())
    adam = optax.adam(parts.config.lr)
    return Learner(
        policy=policy,
        critics=critics,
        target=jax.tree.map(jnp.copy, critics),  # two leaves in one buffer would break donation
        log_alpha=log_alpha,
        policy_opt=adam.init(policy),
        critics_opt=adam.init(critics),
        alpha_opt=optax.adam(_ALPHA_LR).init(log_alpha),
    )


def warm_up(parts: Parts, state: TrainState, key: PRNGKeyArray) -> TrainState:
    """Collects `warmup_rounds` steps in all worlds, without updates."""

    def round_(carry: tuple[TrainState, PRNGKeyArray], _: None) -> Any:
        state, key = carry
        key, key_next = jax.random.split(key)
        return (_collect(parts, state, key)[0], key_next), None

    return jax.lax.scan(round_, (state, key), None, parts.config.warmup_rounds)[0][0]


def iterate(parts: Parts, state: TrainState) -> tuple[TrainState, Metrics]:
    """One iteration: `unroll` rounds, each one step in all worlds, then updates."""

    def round_(state: TrainState, _: None) -> tuple[TrainState, tuple[Step, Metrics]]:
        key_round, key = jax.random.split(state.key)
        key_collect, key_update = jax.random.split(key_round)
        state, step, left_out = _collect(parts, state._replace(key=key), key_collect)
        buffer, batch = parts.buffer.sample(state.buffer)
        batches = jax.tree.map(
            lambda x: x.reshape(parts.config.updates_per_round, -1, *x.shape[1:]), batch
        )

        def update(carry: tuple[Learner, PRNGKeyArray], batch: types.Transition) -> Any:
            return _update(parts, state.normalizer, batch, *carry)

        (learner, _key), metrics = jax.lax.scan(update, (state.learner, key_update), batches)
        metrics = {**finite.over_updates(metrics), "guard/moments": left_out}
        return state._replace(learner=learner, buffer=buffer), (step, metrics)

    state, (steps, metrics) = jax.lax.scan(round_, state, None, parts.config.unroll)
    collected = step_metrics(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps))
    return state._replace(iteration=state.iteration + 1), {
        **{f"collect/{name}": x for name, x in collected.items()},
        **finite.over_updates(metrics),
    }


def _collect(
    parts: Parts, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Step, Float[Array, ""]]:
    """Takes one step of the policy in all worlds and inserts it into the replay buffer.

    Returns also whether the normaliser was left as it was, see `observed`.
    """
    policy = sac_networks.make_inference_fn(parts.nets)((state.normalizer, state.learner.policy))
    worlds, data = acting.actor_step(
        parts.env, state.worlds, policy, key, extra_fields=("truncation", "step")
    )
    extras: Any = data.extras
    state_extras = dict(extras["state_extras"])
    step = state_extras.pop("step")
    data = data._replace(extras={**extras, "state_extras": state_extras})
    normalizer, left_out = observed(state.normalizer, data.observation)
    buffer = parts.buffer.insert(state.buffer, data)
    return state._replace(worlds=worlds, normalizer=normalizer, buffer=buffer), step, left_out


def _update(
    parts: Parts,
    normalizer: RunningStatisticsState,
    batch: types.Transition,
    learner: Learner,
    key: PRNGKeyArray,
) -> tuple[tuple[Learner, PRNGKeyArray], Metrics]:
    """One update of temperature, critics and policy, all from the same old values."""
    alpha_loss, critics_loss, policy_loss = parts.losses
    key, key_alpha, key_critics, key_policy = jax.random.split(key, 4)
    old, tau = learner, parts.config.tau
    adam, alpha_adam = optax.adam(parts.config.lr), optax.adam(_ALPHA_LR)
    alpha = jnp.exp(old.log_alpha)

    loss_a, skipped_a, log_alpha, alpha_opt = _descend(
        lambda a: alpha_loss(a, old.policy, normalizer, batch, key_alpha),
        alpha_adam,
        old.log_alpha,
        old.alpha_opt,
    )
    loss_q, skipped_q, critics, critics_opt = _descend(
        lambda q: critics_loss(q, old.policy, normalizer, old.target, alpha, batch, key_critics),
        adam,
        old.critics,
        old.critics_opt,
    )
    loss_p, skipped_p, policy, policy_opt = _descend(
        lambda p: policy_loss(p, normalizer, old.critics, alpha, batch, key_policy),
        adam,
        old.policy,
        old.policy_opt,
    )
    target = optax.incremental_update(critics, old.target, tau)
    target = finite.kept_unless(skipped_q == 0, target, old.target)
    learner = Learner(policy, critics, target, log_alpha, policy_opt, critics_opt, alpha_opt)
    return (learner, key), {
        "sac/critic_loss": loss_q,
        "sac/policy_loss": loss_p,
        "sac/alpha_loss": loss_a,
        "sac/alpha": jnp.exp(log_alpha),
        "guard/critic": skipped_q,
        "guard/policy": skipped_p,
        "guard/temperature": skipped_a,
    }


def _descend(
    loss: Callable[[Any], Array], tx: optax.GradientTransformation, params: Any, opt: Any
) -> tuple[Array, Array, Any, Any]:
    """One optimiser step: the loss before it, whether it was skipped because something was not
    finite (1, else 0), the new parameters and optimiser state.
    """
    value, grads = jax.value_and_grad(loss)(params)
    params, opt, skipped = Optimizer(tx).step(params, grads, opt, value)
    return value, skipped, params, opt
