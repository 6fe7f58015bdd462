"""PWM's second half: one task's policy, through a model that is given.

Georgiev et al. 2024, arXiv 2407.02466, section 4.2. Rollouts start from states of the task's data
and run in the model; there is no simulator and no planner. Against the released code: actions that
the task lacks never reach the model, fine-tuning works, and pessimism or imitation of the data can
be asked for.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray
from mjxwm_envs.core import Source

from mjxwm import data
from mjxwm.algos import pwm, tdmpc2
from mjxwm.algos.multitask import in_sample
from mjxwm.algos.multitask.config import Extract, validate_extract
from mjxwm.algos.multitask.model import Card, Model
from mjxwm.algos.multitask.pessimism import Pessimistic
from mjxwm.algos.multitask.tasks import number
from mjxwm.algos.pwm import Learner
from mjxwm.data import TaskInfo, Windows, replay
from mjxwm.maths import moments
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned
from mjxwm.types import Algorithm, Metrics


@dataclasses.dataclass(frozen=True)
class Config:
    """Where model and data are, and how the policy is learned."""

    model: str = ""
    """Run folder of the model."""
    data: str = ""
    """Folder of the data set; by default the model's."""
    settings: Extract = Extract()
    """How the policy is learned."""
    seed: int = 0
    """Seed of the windows drawn."""

    # What every algorithm's settings have:
    worlds: int = 0
    """None: no simulator takes part."""
    env_steps: int = 0
    """None, likewise."""

    @property
    def steps_per_iteration(self) -> int:
        """None, likewise."""
        return 0

    @property
    def updates(self) -> int:
        """Actor updates per iteration; the last one has what is left of all."""
        return min(self.settings.updates_per_iteration, self.settings.updates)

    @property
    def iterations(self) -> int:
        """Iterations until all updates are done."""
        return -(-self.settings.updates // self.updates)


class TrainState(NamedTuple):
    """Everything that changes; a checkpoint is exactly this."""

    iteration: Int[Array, ""]
    learner: Learner
    """Its model is the task's part of the given one."""
    q: MLP | None
    """The model's ensemble of Qs, where pessimism asks for it."""
    key: PRNGKeyArray


def make(config: Config, env: Source, model: Model) -> Algorithm:
    """Extraction of the policy of the task that `env` is.

    Args:
        config: the settings.
        env: the task; no world of it is stepped but in evaluations.
        model: what the folder `config.model` holds.

    Raises:
        ValueError: a setting is out of range, or the model or data set has no such task.
    """
    validate_extract(config.settings)
    info = model.card.tasks[number(model.card.tasks, env.name)]
    spec = env.spec
    here = TaskInfo(
        env.name, spec.obs_size, spec.action_size, spec.episode_length, spec.action_repeat
    )
    if not here.fits(info):
        raise ValueError(
            f"the model knows {info}; here it is {here}. Another action repeat is given with "
            "--action-repeat"
        )
    settings = _pwm(config.settings, model, env)
    tx = pwm.learner.optimizers(settings)

    def act(state: TrainState, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        noise = None if key is None else jax.random.normal(key, (len(obs), env.action_size))
        return pwm.learner.act(state.learner, obs, noise)

    def init(key: PRNGKeyArray) -> TrainState:
        return _init(config.settings, settings, tx, model, env, key)

    def iterate(state: TrainState, windows: Windows) -> tuple[TrainState, Metrics]:
        return _iterate(config.settings, settings, tx, state, windows)

    def feed(iteration: int) -> Iterator[Windows]:
        return stream(config, model.card, info, iteration)

    def networks(state: TrainState) -> dict[str, Any]:
        return {"world model": state.learner.model, "actor": state.learner.actor}

    return Algorithm(
        init, iterate, act, config.iterations, lambda iteration: 0, networks, feed=feed
    )


def described(config: Config, card: Card, task: TaskInfo) -> TaskInfo:
    """A model's task with what the data set says of it, once its windows could be drawn.

    Raises:
        ValueError: see `stream`.
    """
    with stream(config, card, task, 0):
        (known,) = _data(config, card, task).tasks
    return task if task.action_repeat is not None else known


def _data(config: Config, card: Card, task: TaskInfo) -> data.DataSet:
    folder = config.data or card.source
    if not folder:
        raise ValueError("an imported model has no data set of its own; say which with --data")
    return data.open_data(Path(folder)).matching((task,))


def stream(config: Config, card: Card, task: TaskInfo, iteration: int) -> data.Stream:
    """The windows that a policy is learned from.

    Raises:
        ValueError: a setting out of range; or the data set is none, has nothing of the task, or
            has it with other sizes.
    """
    settings = config.settings
    validate_extract(settings)
    return data.Stream(
        _data(config, card, task),
        config.updates,
        settings.batch,
        settings.horizon + 1 if settings.finetune or settings.imitation else 1,
        config.seed + 1_000_003 * iteration,  # a resumed run draws others than its first part
        total=settings.updates - iteration * config.updates,
    )


def _pwm(extract: Extract, model: Model, env: Source) -> pwm.Config:
    gamma = extract.gamma
    if gamma is None:
        gamma = tdmpc2.discount(env.spec.episode_length)
    warmup = extract.horizon + 1  # at least a window: PWM counts its steps as part of the budget
    return pwm.Config(
        env_steps=warmup + extract.updates,  # one update for each: rates fall over all of them
        worlds=1,
        unroll=1,
        warmup=warmup,
        update_ratio=extract.batch * extract.horizon,
        batch=extract.batch,
        horizon=extract.horizon,
        imagine_batch=extract.batch,
        imagine_horizon=extract.horizon,
        critic_steps=extract.critic_steps,
        gamma=gamma,
        lam=extract.lam,
        detach=extract.detach,
        entropy=extract.entropy,
        model_lr=extract.model_lr,
        actor_lr=extract.actor_lr,
        critic_lr=extract.critic_lr,
        model=model.card.networks.model,
        policy=extract.policy,
    )


def _init(
    extract: Extract, settings: pwm.Config, tx: Any, model: Model, env: Source, key: PRNGKeyArray
) -> TrainState:
    key, key_actor, key_critic = jax.random.split(key, 3)
    those = model.of(env.name)
    latent = settings.model.latent
    actor = Actor(settings.policy, latent, env.action_size, key=key_actor)
    critic = actor_critic.make_critics(settings.policy, latent, key=key_critic)
    learner = Learner(
        model=those.model,
        actor=actor,
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),
        model_opt=tx.model.init(those.model) if extract.finetune else (),
        actor_opt=tx.actor.init(actor),
        critic_opt=tx.critic.init(critic),
        obs=None,
        reward=moments.init(),
        returns=moments.init(),
    )
    q = those.q if extract.pessimism else None
    state = TrainState(jnp.zeros((), jnp.int32), learner, q, key)
    # What is restored is bound to its device; a state half bound would be compiled for twice.
    return jax.device_put(state, jax.devices()[0])


def _iterate(
    extract: Extract, settings: pwm.Config, tx: Any, state: TrainState, windows: Windows
) -> tuple[TrainState, Metrics]:
    key, key_updates = jax.random.split(state.key)

    def step(learner: Learner, given: tuple[Windows, Any]) -> tuple[Learner, Metrics]:
        rows, key = given
        sequence = replay.from_flags(rows.obs, rows.action, rows.reward, rows.flags)
        found: Metrics = {}
        if extract.finetune:
            learner, found = pwm.update_model(settings, tx, learner, sequence)
            learner = learner._replace(model=_in_the_ball(learner.model))
        model = learner.model
        if state.q is not None and isinstance(model, Conditioned):
            # A value's deviation is of a whole return; a reward's share of it is 1 - gamma.
            weight = jnp.asarray(extract.pessimism * (1 - settings.gamma))
            learner = learner._replace(model=Pessimistic(model, state.q, weight))
        if extract.imitation:
            learner, metrics = _near_the_data(extract, settings, tx, learner, sequence, key)
        else:
            learner, metrics = pwm.update_policy(settings, tx, learner, sequence, key)
        return learner._replace(model=model), {**found, **metrics}

    keys = jax.random.split(key_updates, windows.task.shape[0])
    learner, metrics = jax.lax.scan(step, state.learner, (windows, keys))
    state = state._replace(iteration=state.iteration + 1, learner=learner, key=key)
    return state, jax.tree.map(jnp.mean, metrics)


def _near_the_data(
    extract: Extract,
    settings: pwm.Config,
    tx: Any,
    learner: Learner,
    windows: replay.Sequence,
    key: PRNGKeyArray,
) -> tuple[Learner, Metrics]:
    learner, shown, values = in_sample.update(
        settings, extract.expectile, extract.temperature, tx, learner, windows
    )
    learner, _, metrics = pwm.update_actor(
        settings, tx, learner, windows, key, lambda actor: extract.imitation * shown.distance(actor)
    )
    return learner, {**metrics, **values}


def _in_the_ball(model: Any) -> Conditioned:
    """The task's embedding kept at a norm of at most 1, as where it was learned."""
    norm = jnp.linalg.norm(model.embedding)
    return model._replace(embedding=model.embedding / jnp.maximum(norm, 1))
