"""Policy learning through a world model (PWM): first-order policy gradients in imagination.

Georgiev et al. 2024, arXiv 2407.02466. One iteration collects T steps in B worlds, closed loop, and
then repeats, as often as the data call for: a world-model update on replayed windows, an actor
update through H imagined steps, and critic updates on what was imagined. Against the released code:
the terminal value weighs gamma^H, the policy sees every real observation, ends of episodes are
learned and respected in imagination, and the number of updates follows the data collected.
"""

# optax types parameters as trees of arrays; modules are such trees, but no type says so.
# pyright: reportArgumentType=false, reportReturnType=false

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from envs.batch import BatchEnv, Worlds
from envs.core import Env
from mjxwm import actor_critic, replay, rollout, world_model
from mjxwm.actor_critic import Actor, Critic
from mjxwm.ops import moments, returns
from mjxwm.ops.moments import Moments
from mjxwm.replay import Replay, Sequence
from mjxwm.types import Algorithm, Metrics
from mjxwm.world_model import Imagined, WorldModel


@dataclasses.dataclass(frozen=True)
class Config:
    """PWM's settings; the defaults are those of the released single-task code."""

    env_steps: int = 10_000_000
    """Env steps to collect in all, over all worlds."""
    worlds: int = 64
    """Worlds stepped in parallel (B)."""
    unroll: int = 16
    """Steps per world and iteration (T)."""
    warmup: int = 2
    """Unrolls with random actions before the first update; they count as env steps."""
    capacity: int = 1_000_000
    """Transitions that the replay holds, over all worlds."""
    update_ratio: float = 64.0
    """Transitions replayed for the world model per transition collected."""
    batch: int = 256
    """Windows per world-model update."""
    horizon: int = 16
    """Steps predicted by the world model in training."""
    imagine_batch: int = 64
    """Imagined rollouts per actor update."""
    imagine_horizon: int = 16
    """Steps of an imagined rollout (H)."""
    model_steps: int = 1
    """World-model updates per actor update."""
    critic_steps: int = 4
    """Critic updates per actor update, each on all imagined states."""
    gamma: float = 0.99
    """Discount per agent step."""
    lam: float = 0.95
    """Lambda of the critic's targets."""
    detach: bool = True
    """Cut the gradient from state to action in imagination, as PWM does."""
    entropy: float = 1e-3
    """Weight of the policy's entropy against returns in units of their deviation; PWM has none.
    It keeps tanh from saturating, where every gradient of the return vanishes."""
    target_tau: float = 1.0
    """Share of the critic that its target copy takes over per update; 1 is PWM's: no target."""
    model_lr: float = 3e-4
    """Learning rate of the world model; all three decay linearly over the budget."""
    actor_lr: float = 5e-4
    """Learning rate of the actor."""
    critic_lr: float = 5e-4
    """Learning rate of the critics."""
    final_lr: float = 1e-5
    """Learning rate at the end of the budget."""
    model: world_model.Config = world_model.Config()
    """The world model."""
    policy: actor_critic.Config = actor_critic.Config()
    """Actor and critics."""

    @property
    def value_unit(self) -> float:
        """What a critic's output of 1 stands for: a reward of 1 in every step, 1 / (1 - gamma)."""
        return 1 / max(1 - self.gamma, 1e-3)

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.worlds * self.unroll

    @property
    def iterations(self) -> int:
        """Iterations until the budget is spent, at least one."""
        left = self.env_steps - self.warmup * self.steps_per_iteration
        return max(1, -(-left // self.steps_per_iteration))

    @property
    def updates(self) -> int:
        """World-model updates per iteration: they follow the data collected."""
        return max(
            1, round(self.update_ratio * self.steps_per_iteration / (self.batch * self.horizon))
        )


class Learner(NamedTuple):
    """What the updates change."""

    model: WorldModel
    actor: Actor
    critic: Critic
    target: Critic
    model_opt: optax.OptState
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    obs: Moments
    """Of collected observations, feature by feature: the encoder sees them in deviations."""
    reward: Moments
    """Of collected rewards: the model predicts rewards in units of their deviation."""
    returns: Moments
    """Of imagined returns: the actor's loss is in units of their deviation."""


class TrainState(NamedTuple):
    """Everything that changes; a checkpoint is exactly this."""

    iteration: Int[Array, ""]
    learner: Learner
    worlds: Worlds
    replay: Replay
    key: PRNGKeyArray


class Optimizers(NamedTuple):
    """One optimiser per network."""

    model: optax.GradientTransformation
    actor: optax.GradientTransformation
    critic: optax.GradientTransformation


def make(config: Config, env: Env) -> Algorithm:
    """PWM on `env`.

    Raises:
        ValueError: a setting out of range, named with its range.
    """
    validate(config)
    batch_env = BatchEnv(env.for_worlds(config.worlds), config.worlds)
    tx = optimizers(config)

    def act(state: TrainState, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        return _act(state.learner, obs, key)

    def iterate(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_act, key_update = jax.random.split(state.key, 3)
        state, metrics = collect(config, batch_env, state._replace(key=key), key_act)
        learner, trained = _updates(config, tx, state.learner, state.replay, key_update)
        state = state._replace(iteration=state.iteration + 1, learner=learner)
        return state, {**metrics, **trained}

    def env_steps(iteration: int) -> int:
        return (config.warmup + iteration) * config.steps_per_iteration

    def init(key: PRNGKeyArray) -> TrainState:
        return _init(config, batch_env, tx, key)

    return Algorithm(init, iterate, act, config.iterations, env_steps)


def validate(config: Config) -> None:
    """Raises ValueError on the first setting that is out of its range."""
    positive = (
        "env_steps worlds unroll warmup batch horizon imagine_batch imagine_horizon model_steps "
        "critic_steps model_lr actor_lr critic_lr update_ratio"
    )
    for name in positive.split():
        if not getattr(config, name) > 0:
            raise ValueError(f"{name}={getattr(config, name)} is out of range; it must be above 0")
    for name in ("gamma", "lam", "target_tau"):
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(
                f"{name}={getattr(config, name)} is out of range; it must be in [0, 1]"
            )
    need = (config.horizon + 1) * config.worlds
    if config.warmup * config.unroll < config.horizon + 1:
        raise ValueError(
            f"warmup={config.warmup} unrolls of {config.unroll} steps are fewer than the "
            f"horizon + 1 = {config.horizon + 1} steps of a window; raise warmup or lower horizon"
        )
    if config.capacity < need:
        raise ValueError(f"capacity={config.capacity} is out of range; it must be at least {need}")


def optimizers(config: Config) -> Optimizers:
    """Adam with PWM's gradient clipping; learning rates fall linearly over the budget."""
    count = config.iterations * config.updates

    def adam(lr: float, updates: int, clip: float, b1: float, b2: float) -> Any:
        schedule = optax.linear_schedule(lr, min(config.final_lr, lr), max(1, updates))
        return optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule, b1=b1, b2=b2))

    policies = max(1, count // config.model_steps)
    return Optimizers(
        model=adam(config.model_lr, count, 20.0, 0.9, 0.999),
        actor=adam(config.actor_lr, policies, 1.0, 0.7, 0.95),
        critic=adam(config.critic_lr, policies * config.critic_steps, 100.0, 0.7, 0.95),
    )


def _init(config: Config, env: BatchEnv, tx: Optimizers, key: PRNGKeyArray) -> TrainState:
    keys = jax.random.split(key, 6)
    spec = env.env.spec
    model = WorldModel(config.model, spec.obs_size, spec.action_size, key=keys[0])
    actor = Actor(config.policy, config.model.latent, spec.action_size, key=keys[1])
    critic = actor_critic.make_critics(config.policy, config.model.latent, key=keys[2])
    learner = Learner(
        model=model,
        actor=actor,
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),  # two leaves in one buffer would break donation
        model_opt=tx.model.init(model),
        actor_opt=tx.actor.init(actor),
        critic_opt=tx.critic.init(critic),
        obs=moments.init((spec.obs_size,)),
        reward=moments.init(),
        returns=moments.init(),
    )
    rows = -(-config.capacity // config.worlds)
    rows = max(rows, (config.warmup + 1) * config.unroll)
    buffer = replay.init(rows, config.unroll, config.worlds, spec.obs_size, spec.action_size)
    worlds = env.reset(keys[3], stagger=True)
    state = TrainState(jnp.zeros((), jnp.int32), learner, worlds, buffer, keys[4])

    def random(obs: Array, key: PRNGKeyArray) -> Array:
        return jax.random.uniform(key, (config.worlds, spec.action_size), minval=-1, maxval=1)

    def warm(state: TrainState, key: PRNGKeyArray) -> tuple[TrainState, None]:
        return _collect(config, env, random, state, key)[0], None

    return jax.lax.scan(warm, state, jax.random.split(keys[5], config.warmup))[0]


def _act(learner: Learner, obs: Float[Array, "B o"], key: PRNGKeyArray | None) -> Array:
    z = encode(learner, obs)
    if key is None:
        return learner.actor.mean(z)
    noise = jax.random.normal(key, (*z.shape[:-1], learner.actor.log_std.shape[0]))
    return learner.actor.sample(z, noise)


def encode(learner: Learner, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
    """Latent of an observation in the task's own units."""
    return learner.model.encode(moments.normalize(learner.obs, obs))


def collect(
    config: Config, env: BatchEnv, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Metrics]:
    """The first half of an iteration: T steps of the policy in B worlds, put into the replay."""
    learner = state.learner

    def policy(obs: Array, key: PRNGKeyArray) -> Array:
        return _act(learner, obs, key)

    return _collect(config, env, policy, state, key)


def _collect(
    config: Config,
    env: BatchEnv,
    policy: Callable[[Array, PRNGKeyArray], Array],
    state: TrainState,
    key: PRNGKeyArray,
) -> tuple[TrainState, Metrics]:
    worlds, trajectory, steps = rollout.unroll(env, policy, state.worlds, key, config.unroll)
    learner = state.learner._replace(
        obs=moments.update(state.learner.obs, trajectory.obs),
        reward=moments.update(state.learner.reward, trajectory.reward, trajectory.valid),
    )
    buffer = replay.insert(state.replay, trajectory)
    state = state._replace(worlds=worlds, replay=buffer, learner=learner)
    metrics = {f"collect/{name}": x for name, x in rollout.episode_metrics(steps).items()}
    return state, metrics


def _updates(
    config: Config, tx: Optimizers, learner: Learner, buffer: Replay, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    def update(learner: Learner, key: PRNGKeyArray) -> tuple[Learner, Metrics]:
        key_model, key_policy = jax.random.split(key)

        def model_step(learner: Learner, key: PRNGKeyArray) -> tuple[Learner, Any]:
            windows = replay.sample(buffer, key, config.batch, config.horizon + 1)
            learner, metrics = update_model(config, tx, learner, windows)
            return learner, (metrics, windows)

        keys = jax.random.split(key_model, config.model_steps)
        learner, (metrics, windows) = jax.lax.scan(model_step, learner, keys)
        last = jax.tree.map(lambda x: x[-1], windows)
        learner, policy_metrics = update_policy(config, tx, learner, last, key_policy)
        return learner, {**jax.tree.map(jnp.mean, metrics), **policy_metrics}

    count = max(1, config.updates // config.model_steps)
    learner, metrics = jax.lax.scan(update, learner, jax.random.split(key, count))
    return learner, jax.tree.map(jnp.mean, metrics)


def update_model(
    config: Config, tx: Optimizers, learner: Learner, windows: Sequence
) -> tuple[Learner, Metrics]:
    """One world-model step on N windows of `horizon` + 1 steps."""
    scale = reward_scale(config, learner)
    batch = world_model.Batch(
        obs=moments.normalize(learner.obs, windows.obs),
        action=windows.action[:-1],
        reward=windows.reward[:-1] / scale,
        terminated=windows.terminated[:-1].astype(scale.dtype),
        mask=windows.mask[:-1].astype(scale.dtype),
        next_mask=windows.next_mask[:-1].astype(scale.dtype),
    )
    gradient = jax.grad(world_model.loss, has_aux=True)
    grads, metrics = gradient(learner.model, config.model, batch)
    updates, opt = tx.model.update(grads, learner.model_opt, learner.model)
    metrics = {**metrics, "grad_norm": optax.tree.norm(grads)}
    learner = learner._replace(model=optax.apply_updates(learner.model, updates), model_opt=opt)
    return learner, {f"model/{name}": x for name, x in metrics.items()}


def reward_scale(config: Config, learner: Learner) -> Float[Array, ""]:
    """The unit in which model, actor and critic see rewards.

    Rewards are divided by their running deviation but not shifted: subtracting the mean would make
    a termination, worth 0, look better or worse than it is. The unit is at least a tenth of the
    mean, or a constant reward would be a huge number that no head learns. Bins need no scale.
    """
    if config.model.reward_head == "two-hot":
        return jnp.ones(())
    return jnp.maximum(moments.std(learner.reward), 0.1 * jnp.abs(learner.reward.mean))


def actor_loss(
    config: Config,
    actor: Actor,
    model: WorldModel,
    target: Critic,
    z: Float[Array, "N z"],
    noise: Float[Array, "H N a"],
) -> tuple[Float[Array, ""], tuple[Imagined, Float[Array, " N"]]]:
    """-mean over N of sum_t gamma^t r_t + gamma^H V(z_H), differentiated through the model.

    Each step is also weighted by the probability that the episode has lasted until then. Returns
    what was imagined and the N returns beside it.
    """

    def policy(z: Array, noise: Array) -> Array:
        return actor.sample(jax.lax.stop_gradient(z) if config.detach else z, noise)

    imagined = world_model.imagine(model, policy, z, noise)
    last = actor_critic.value(target, imagined.z[-1]) * config.value_unit
    discount = config.gamma * imagined.going_on
    total = returns.discounted_sum(imagined.reward, discount, last)
    return -total.mean(), (imagined, total)


def update_policy(
    config: Config, tx: Optimizers, learner: Learner, windows: Sequence, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    """One actor step through the model, then critic steps on what it imagined."""
    key_start, key_noise = jax.random.split(key)
    z = encode(learner, _starts(windows, key_start, config.imagine_batch))
    shape = (config.imagine_horizon, config.imagine_batch, windows.action.shape[-1])
    noise = jax.random.normal(key_noise, shape)
    scale = moments.std(learner.returns)

    def objective(actor: Actor) -> tuple[Array, tuple[Imagined, Array]]:
        loss, aux = actor_loss(config, actor, learner.model, learner.target, z, noise)
        entropy = actor.entropy(jax.lax.stop_gradient(aux[0].z[:-1]), noise).mean()
        return loss / scale - config.entropy * entropy, aux

    grads, (imagined, total) = jax.grad(objective, has_aux=True)(learner.actor)
    updates, opt = tx.actor.update(grads, learner.actor_opt, learner.actor)
    learner = learner._replace(
        actor=optax.apply_updates(learner.actor, updates),
        actor_opt=opt,
        returns=moments.update(learner.returns, total, max_count=100.0 * config.imagine_batch),
    )
    learner, critic_metrics = update_critic(config, tx, learner, imagined)
    return learner, {
        "actor/return": total.mean(),
        "actor/grad_norm": optax.tree.norm(grads),
        "actor/std": learner.actor.std().mean(),
        "actor/saturation": (jnp.abs(imagined.action) > 0.97).mean(),
        "actor/going_on": imagined.going_on.mean(),
        **critic_metrics,
    }


def _starts(windows: Sequence, key: PRNGKeyArray, num: int) -> Float[Array, "num o"]:
    """Observations of the windows at random: any is a state that a policy may act in."""
    obs = windows.obs.reshape(-1, windows.obs.shape[-1])
    return obs[jax.random.randint(key, (num,), 0, obs.shape[0])]


def update_critic(
    config: Config, tx: Optimizers, learner: Learner, imagined: Imagined
) -> tuple[Learner, Metrics]:
    """Regresses all critics on TD(lambda) targets of the imagined rollouts."""
    imagined = jax.lax.stop_gradient(imagined)
    next_value = actor_critic.value(learner.target, imagined.z[1:]) * config.value_unit
    discount = config.gamma * imagined.going_on
    target = returns.lambda_return(imagined.reward, discount, next_value, config.lam)
    # A state counts as much as it is likely to be reached.
    weight = returns.discount_products(imagined.going_on)[:-1]

    def loss(critic: Critic) -> Array:
        error = actor_critic.values(critic, imagined.z[:-1]) - target / config.value_unit
        return (weight * error**2).mean()

    def step(
        carry: tuple[Critic, Critic, Any], _: None
    ) -> tuple[tuple[Critic, Critic, Any], Array]:
        critic, slow, opt = carry
        error, grads = jax.value_and_grad(loss)(critic)
        updates, opt = tx.critic.update(grads, opt, critic)
        critic = optax.apply_updates(critic, updates)
        slow = optax.incremental_update(critic, slow, config.target_tau)
        return (critic, slow, opt), error

    start = (learner.critic, learner.target, learner.critic_opt)
    (critic, slow, opt), errors = jax.lax.scan(step, start, None, config.critic_steps)
    learner = learner._replace(critic=critic, target=slow, critic_opt=opt)
    return learner, {"critic/loss": errors.mean(), "critic/value": target.mean()}
