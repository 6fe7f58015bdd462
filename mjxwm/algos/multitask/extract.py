"""Learns the policy of one task inside a pre-trained multi-task world model, from offline data.

This is the second stage of multi-task PWM (Georgiev et al. 2024, arXiv 2407.02466, section 4.2).
Imagined rollouts start from states of the task's data set; neither simulator nor planner is used.
Differences from the released code: action dimensions that the task does not have never reach the
model, fine-tuning of the model works, and pessimism or imitation of the data are optional.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray
from mjxwm_envs.core import Source

from mjxwm import data
from mjxwm.algos import pwm, tdmpc2
from mjxwm.algos.multitask import disagreement
from mjxwm.algos.multitask.config import Extract, validate_extract
from mjxwm.algos.multitask.config import Extraction as Config
from mjxwm.algos.multitask.model import Card, Model, new_networks
from mjxwm.algos.multitask.policy_updates import TrainState, iterate
from mjxwm.algos.multitask.tasks import task_index
from mjxwm.algos.pwm import Learner
from mjxwm.data import TaskInfo, Windows
from mjxwm.maths import moments
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor
from mjxwm.models.world_model import Conditioned
from mjxwm.types import Agent, Algorithm, Metrics, Sizes


def agent(config: Config, sizes: Sizes, card: Card) -> Agent:
    """How an extracted policy acts; its arrays are PWM's `Networks`.

    Args:
        config: the configuration.
        sizes: of the task.
        card: of the pre-trained model, whose sizes the networks have; any task of it will do.

    Raises:
        ValueError: a setting is out of range.
    """
    validate_extract(config.settings)

    def init(key: PRNGKeyArray) -> pwm.Networks:
        key_model, key_actor, key_critic = jax.random.split(key, 3)
        model = tdmpc2.for_task(new_networks(card, key_model), card.task_table, 0).model
        return _networks(config.settings, card, model, sizes.action_size, key_actor, key_critic)

    pwm_config = as_pwm(config.settings, card, sizes.episode_length)
    return pwm.learner.agent(pwm_config, sizes.action_size, init)._replace(card=card)


def make(config: Config, env: Source, model: Model) -> Algorithm:
    """Extracts the policy of the task `env` from `model`.

    Args:
        config: the configuration.
        env: the task; its worlds are stepped in evaluations only.
        model: the pre-trained model that the folder `config.model` holds.

    Raises:
        ValueError: a setting is out of range, or the model does not have this task in these sizes.
    """
    validate_extract(config.settings)
    model_task = _matching_task(model, env)
    pwm_config = as_pwm(config.settings, model.card, env.spec.episode_length)
    tx = pwm.learner.optimizers(pwm_config)

    def init(key: PRNGKeyArray) -> TrainState:
        return _init(config.settings, pwm_config, tx, model, env, key)

    def update(state: TrainState, windows: Windows) -> tuple[TrainState, Metrics]:
        return iterate(config.settings, pwm_config, tx, state, windows)

    @contextlib.contextmanager
    def batches(iteration: int) -> Iterator[Iterator[tuple[Windows]]]:
        with stream(config, model.card, model_task, iteration) as windows:
            yield ((item,) for item in windows)

    def networks(state: TrainState) -> dict[str, Any]:
        learned = state.learner
        return {"world model": learned.model, "actor": learned.actor, "critics": learned.critic}

    return Algorithm(
        init=jax.jit(init),
        iterate=update,
        agent=agent(config, Sizes.of(env.spec), model.card.of_task(env.name)),
        policy=lambda state: pwm.learner.networks(state.learner),
        iterations=config.iterations,
        env_steps=lambda iteration: 0,
        networks=networks,
        batches=batches,
    )


def _matching_task(model: Model, env: Source) -> TaskInfo:
    """The model's task that `env` is; ValueError if it has none or sizes differ."""
    model_task = model.card.tasks[task_index(model.card.tasks, env.name)]
    spec = env.spec
    env_task = TaskInfo(
        env.name, spec.obs_size, spec.action_size, spec.episode_length, spec.action_repeat
    )
    if not env_task.fits(model_task):
        raise ValueError(
            f"the model knows {model_task}; here it is {env_task}. Another action repeat is given "
            "with --action-repeat"
        )
    return model_task


def task_with_action_repeat(config: Config, card: Card, task: TaskInfo) -> TaskInfo:
    """`task`, or the data set's entry for it where `task` does not say its action repeat.

    Also checks that windows for training can be drawn from the data set.

    Raises:
        ValueError: see `stream`.
    """
    with stream(config, card, task, 0):
        (dataset_task,) = _task_data(config, card, task).tasks
    return task if task.action_repeat is not None else dataset_task


def _task_data(config: Config, card: Card, task: TaskInfo) -> data.DataSet:
    folder = config.data or card.source
    if not folder:
        raise ValueError("an imported model has no data set of its own; say which with --data")
    return data.open_data(Path(folder)).matching((task,))


def stream(config: Config, card: Card, task: TaskInfo, iteration: int) -> data.Stream:
    """Windows of the task's data, from iteration number `iteration` on.

    Raises:
        ValueError: a setting is out of range; or the folder is not a data set, has no data of the
            task, or has it with other sizes.
    """
    policy_config = config.settings
    validate_extract(policy_config)
    return data.Stream(
        _task_data(config, card, task),
        config.updates,
        policy_config.batch,
        policy_config.horizon + 1 if policy_config.learns_from_steps else 1,
        config.seed + 1_000_003 * iteration,  # a resumed run draws others than its first part
        total=policy_config.updates - iteration * config.updates,
    )


def as_pwm(config: Extract, card: Card, episode_length: int) -> pwm.Config:
    """The configuration with which PWM's updates make the updates that `config` asks for."""
    gamma = config.gamma
    if gamma is None:
        gamma = tdmpc2.discount(episode_length)
    warmup = config.horizon + 1  # at least a window: PWM counts its steps as part of the budget
    return pwm.Config(
        env_steps=warmup + config.updates,  # one update for each: rates fall over all of them
        worlds=1,
        unroll=1,
        warmup=warmup,
        update_ratio=config.batch * config.horizon,
        batch=config.batch,
        horizon=config.horizon,
        imagine_batch=config.batch,
        imagine_horizon=config.horizon,
        critic_steps=config.critic_steps,
        gamma=gamma,
        lam=config.lam,
        detach=config.detach,
        entropy=config.entropy,
        model_lr=config.model_lr,
        actor_lr=config.actor_lr,
        critic_lr=config.critic_lr,
        model=card.networks.model,
        policy=config.policy,
    )


def _init(
    config: Extract, pwm_config: pwm.Config, tx: Any, model: Model, env: Source, key: PRNGKeyArray
) -> TrainState:
    key, key_actor, key_critic = jax.random.split(key, 3)
    networks = model.for_task(env.name)
    new = _networks(config, model.card, networks.model, env.action_size, key_actor, key_critic)
    learner = Learner(
        **new._asdict(),
        model_opt=tx.model.init(new.model) if config.finetune else (),
        actor_opt=tx.actor.init(new.actor),
        critic_opt=tx.critic.init(new.critic),
        returns=moments.init(),
    )
    q = networks.q if config.pessimism else None
    ensemble = None
    if config.disagreement:
        key, key_ensemble = jax.random.split(key)
        ensemble = disagreement.create(
            disagreement.optimizer(config.critic_lr), networks.model, config.ensemble,
            env.action_size, key=key_ensemble,
        )  # fmt: skip
    return TrainState(jnp.zeros((), jnp.int32), learner, q, key, ensemble)


def _networks(
    config: Extract,
    card: Card,
    model: Conditioned,
    action_size: int,
    key_actor: PRNGKeyArray,
    key_critic: PRNGKeyArray,
) -> pwm.Networks:
    """A new actor and critics on the latents of a model."""
    latent = card.networks.model.latent
    critic = actor_critic.make_critics(config.policy, latent, key=key_critic)
    return pwm.Networks(
        model=model,
        actor=Actor.create(config.policy, latent, action_size, key=key_actor),
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),
        obs=None,
        reward=moments.init(),
    )
