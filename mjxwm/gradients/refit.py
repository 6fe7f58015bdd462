"""Model and critics of a policy, trained anew on that policy's own episodes in the simulator.

It tells where the bias of a model's gradient comes from: too little data, too short windows, or the
value that ends a path. Data are the policy's, with its noise, on the native engine. The encoder
stays as it is: the policy acts on its latents, and with another one would be another function.
Dynamics, reward and continuation begin anew, so that models differ in what they were trained on and
in nothing else; what the encoder leaves out of an observation none of them can know.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from mjxwm_envs import seeds
from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.core import Worlds
from mjxwm_envs.env import Env

from mjxwm.algos import pwm
from mjxwm.algos.pwm import learner as pwm_learner
from mjxwm.data import replay, rollout
from mjxwm.gradients.config import Config
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Critic
from mjxwm.models.optimizer import Optimizer
from mjxwm.models.world_model import WorldModel
from mjxwm.types import Trajectory

_UNROLL = 64
"""Steps of each world that are collected by one call."""
_AT_ONCE = 250
"""Updates by one call."""
_ROUNDS = 4
"""How often returns are computed anew with the critics fitted so far, where a record ends."""
_STATES = 1024
"""States of a critic's batch."""


class Refitted(NamedTuple):
    """A policy whose model or critics were trained anew."""

    networks: pwm.Networks
    facts: dict[str, Any]
    """Env steps that were taken for it, and errors at the end; empty if nothing was to be done."""


def refit(config: Config, run: pwm.Config, env: Env, networks: pwm.Networks) -> Refitted:
    """What `refit_data` and `refit_values` of a configuration ask for.

    Args:
        config: the laboratory's.
        run: the configuration that the policy was trained with.
        env: the native engine's.
        networks: the policy with its model and critics.
    """
    facts: dict[str, Any] = {}
    longest = max(config.refit_data, config.refit_values)
    if not longest:
        return Refitted(networks, facts)
    key_data, key_model, key_values = jax.random.split(seeds.key(seeds.after(config.seed, 5)), 3)
    parts = -(-longest // (_UNROLL * config.worlds))
    record = collect(env, networks, key_data, config.worlds, parts)
    each = _UNROLL * config.worlds
    facts["env steps"] = parts * each
    refitted = networks
    if config.refit_data:
        few = jax.tree.map(lambda x: x[: -(-config.refit_data // each)], record)
        model, facts["model errors"] = fit_model(config, run, networks, few, key_model)
        refitted = refitted._replace(model=model)
    if config.refit_values:
        few = jax.tree.map(lambda x: x[: -(-config.refit_values // each)], record)
        critic, facts["value errors"] = fit_values(config, run, networks, few, key_values)
        refitted = refitted._replace(critic=critic, target=critic)
    return Refitted(refitted, facts)


def collect(
    env: Env, networks: pwm.Networks, key: PRNGKeyArray, worlds: int, parts: int
) -> Trajectory:
    """Steps of the policy with its noise: [parts, T, B, ...], episodes going on from part to part.

    Args:
        env: any engine's.
        networks: the policy.
        key: random key.
        worlds: B.
        parts: how many times T = 64 steps.
    """
    batch = BatchEnv(env, worlds)
    key_reset, key_noise = jax.random.split(key)

    @jax.jit
    def run(state: Worlds, key: PRNGKeyArray) -> tuple[Worlds, Trajectory]:
        noise = jax.random.normal(key, (_UNROLL, worlds, env.action_size))
        act = lambda obs, noise: pwm_learner.act(networks, obs, noise)  # noqa: E731
        state, trajectory, _ = rollout.unroll(batch, act, state, noise)
        return state, trajectory

    state, collected = batch.reset(key_reset, stagger=True), []
    for part in jax.random.split(key_noise, parts):
        state, trajectory = run(state, part)
        collected.append(jax.device_get(trajectory))
    return jax.tree.map(lambda *xs: jnp.stack(xs), *collected)


def fit_model(
    config: Config, run: pwm.Config, networks: pwm.Networks, record: Trajectory, key: PRNGKeyArray
) -> tuple[WorldModel, dict[str, float]]:
    """Dynamics and heads anew, on windows of `refit_window` steps; and the errors at the end."""
    assert isinstance(networks.model, WorldModel)
    parts, unroll, worlds, obs_size = record.obs.shape
    action_size = record.action.shape[-1]
    buffer = replay.init(parts * unroll, unroll, worlds, obs_size, action_size)
    insert = jax.jit(replay.insert, donate_argnums=0)
    for part in range(parts):
        buffer = insert(buffer, jax.tree.map(lambda x, part=part: x[part], record))
    key_init, key = jax.random.split(key)
    fresh = WorldModel.create(run.model, obs_size, action_size, key=key_init)
    model = dataclasses.replace(fresh, encoder=networks.model.encoder)
    longer = dataclasses.replace(run, horizon=config.refit_window)
    tx = _frozen_encoder(run, model, config.refit_updates)
    start = pwm.Learner(
        **networks._replace(model=model)._asdict(), model_opt=tx.model.init(model),
        actor_opt=(), critic_opt=(), returns=networks.reward,
    )  # fmt: skip

    @jax.jit  # data are an argument: what a function closes over becomes part of its program
    def update(buffer: Any, learner: pwm.Learner, keys: PRNGKeyArray) -> tuple[pwm.Learner, Any]:
        def step(learner: pwm.Learner, key: PRNGKeyArray) -> tuple[pwm.Learner, Any]:
            windows = replay.sample(buffer, key, run.batch, longer.horizon + 1)
            return pwm.update_model(longer, tx, learner, windows)

        return jax.lax.scan(step, learner, keys)

    draw = functools.partial(update, buffer)
    learned, metrics = _in_parts(draw, start, key, config.refit_updates)
    assert isinstance(learned.model, WorldModel)
    names = ("model/consistency", "model/reward", "model/continuation")
    errors = {n.removeprefix("model/"): float(metrics[n].mean()) for n in names if n in metrics}
    return learned.model, errors


def _frozen_encoder(run: pwm.Config, model: WorldModel, updates: int) -> pwm.Optimizers:
    """PWM's optimiser of the model over so many updates, which leaves the encoder as it is."""
    mask = dataclasses.replace(
        jax.tree.map(lambda x: False, model), encoder=jax.tree.map(lambda x: True, model.encoder)
    )
    schedule = optax.linear_schedule(run.model_lr, min(run.final_lr, run.model_lr), updates)
    frozen = optax.masked(optax.set_to_zero(), mask)
    chain = optax.chain(frozen, optax.clip_by_global_norm(20.0), optax.adam(schedule))
    others = pwm_learner.optimizers(run)
    return others._replace(model=Optimizer(chain))


def fit_values(
    config: Config, run: pwm.Config, networks: pwm.Networks, record: Trajectory, key: PRNGKeyArray
) -> tuple[Critic, dict[str, float]]:
    """Critics anew, on returns of the policy in the simulator: sums of all that followed, up to the
    episode's end; where it was cut or the record ends, the critics fitted so far say the rest.

    Returns:
        The critics, and the share of the returns' variance that they do not explain.
    """
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), record)
    z, after = (pwm.encode(networks, x) for x in (flat.obs, flat.next_obs))
    unit = run.value_unit * pwm.reward_scale(run, networks)
    key_init, key = jax.random.split(key)
    fresh = actor_critic.make_critics(run.policy, z.shape[-1], key=key_init)
    schedule = optax.cosine_decay_schedule(run.critic_lr, config.refit_updates)
    tx = Optimizer(optax.chain(optax.clip_by_global_norm(100.0), optax.adam(schedule)))
    states, counts = z.reshape(-1, z.shape[-1]), flat.valid.reshape(-1).astype(float)

    draw = functools.partial(_value_update(tx), states, counts)
    critic, state = networks.target, (fresh, tx.init(fresh))
    errors, target = jnp.zeros(1), jnp.zeros(1)
    for part in jax.random.split(key, _ROUNDS):
        ahead = actor_critic.value(critic, after) * unit
        target = (returns_of(flat, ahead, run.gamma) / unit).reshape(-1)
        updates = -(-config.refit_updates // _ROUNDS)
        (critic, opt, _), errors = _in_parts(draw, (*state, target), part, updates)
        state = critic, opt
    return critic, {"unexplained": float(errors.mean() / jnp.maximum(target.var(), 1e-12))}


def _value_update(tx: Optimizer) -> Callable[..., tuple[Any, Array]]:
    """Compiled updates of critics, one for each key: a function of latents [N, z], of which of them
    count [N], of (critics, optimiser's state, targets [N]), and of the keys.
    """

    @jax.jit
    def update(
        states: Array, counts: Array, carry: tuple[Critic, Any, Array], keys: PRNGKeyArray
    ) -> tuple[Any, Array]:
        target = carry[2]

        def step(carry: tuple[Critic, Any], key: PRNGKeyArray) -> tuple[Any, Array]:
            ids = jax.random.randint(key, (_STATES,), 0, len(target))

            def loss(critic: Critic) -> Array:
                values = actor_critic.values(critic, states[ids])
                return (counts[ids] * (values - target[ids]) ** 2).mean()

            critic, opt = carry
            error, slope = jax.value_and_grad(loss)(critic)
            critic, opt, _ = tx.step(critic, slope, opt, error)
            return (critic, opt), error

        (critic, opt), errors = jax.lax.scan(step, carry[:2], keys)
        return (critic, opt, target), errors

    return update


def returns_of(record: Trajectory, ahead: Float[Array, "T B"], gamma: float) -> Float[Array, "T B"]:
    """What followed each step: G_t = r_t + gamma G_{t+1}, none after a termination.

    Args:
        record: T steps of B worlds.
        ahead: value of the state that each step leads to, in place of G_{t+1} where the episode is
            cut or the record ends.
        gamma: discount.
    """

    def back(
        later: Float[Array, " B"], x: tuple[Array, Bool[Array, " B"], Bool[Array, " B"], Array]
    ) -> tuple[Array, Array]:
        reward, terminated, cut, value = x
        rest = jnp.where(cut, value, later)
        collected = reward + gamma * jnp.where(terminated, 0, rest)
        return collected, collected

    steps = (record.reward, record.terminated, record.truncated, ahead)
    return jax.lax.scan(back, ahead[-1], steps, reverse=True)[1]


def _in_parts(update: Any, state: Any, key: PRNGKeyArray, number: int) -> tuple[Any, Any]:
    """So many updates, rounded up to whole calls; and the metrics of the last call."""
    metrics = None
    for part in jax.random.split(key, -(-number // _AT_ONCE)):
        state, metrics = update(state, jax.random.split(part, _AT_ONCE))
    return state, metrics
