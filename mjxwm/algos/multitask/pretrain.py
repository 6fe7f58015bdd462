"""Pre-training: learns a multi-task TD-MPC2 model from a data set, without stepping any world."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray
from mjxwm_envs import seeds

from mjxwm import data
from mjxwm.algos import tdmpc2
from mjxwm.algos.multitask.config import Config, validate
from mjxwm.algos.multitask.model import Card, card_of, fresh, new_networks, optimizers, rates
from mjxwm.algos.multitask.tasks import task_set
from mjxwm.algos.tdmpc2 import Learner
from mjxwm.data import Windows, replay
from mjxwm.maths import finite, ranges
from mjxwm.types import Agent, Algorithm, Metrics, Sizes


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    learner: Learner


def agent(card: Card, sizes: Sizes | None = None) -> Agent:
    """The networks of a model of many tasks, which acts for one of them: `Model.for_task`."""

    def act(policy: Any, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        raise NotImplementedError("a model of many tasks acts for one of them: Model.for_task")

    return Agent(lambda key: new_networks(card, key), act)


def make(card: Card) -> Algorithm:
    """Pre-training of the model that `card`, made by `card_of_preset`, describes."""
    config = card.preset.pretrain
    key = seeds.key(seeds.after(card.preset.seed, 1))
    update = _updates(card)

    @jax.jit
    def init(key: PRNGKeyArray) -> TrainState:
        return TrainState(jnp.zeros((), jnp.int32), fresh(card, key))

    def iterate(state: TrainState, windows: Windows) -> tuple[TrainState, Metrics]:
        learner, metrics = update(state.learner, windows, jax.random.fold_in(key, state.iteration))
        return TrainState(state.iteration + 1, learner), metrics

    @contextlib.contextmanager
    def batches(iteration: int) -> Iterator[Iterator[tuple[Windows]]]:
        with stream(card, iteration) as windows:
            yield ((item,) for item in windows)

    return Algorithm(
        init=init,
        iterate=iterate,
        agent=agent(card),
        policy=lambda state: state.learner.networks,
        iterations=card.iterations,
        env_steps=lambda iteration: 0,
        networks=lambda state: {f"model of {config.size}": state.learner.networks},
        batches=batches,
    )


def card_of_preset(preset: Config) -> Card:
    """The card of the model that a multi-task configuration describes; checks the data set.

    Raises:
        ValueError: a setting is out of range, the task set is unknown, or the data set cannot be
            read or lacks a task.
    """
    ranges.sound(preset)
    validate(preset.pretrain)
    if preset.tasks == "all":
        tasks = data.open_data(Path(preset.data)).tasks
    else:
        tasks = task_set(preset.tasks)
    card = card_of(preset, tasks, str(Path(preset.data).resolve()))
    jax.eval_shape(lambda key: fresh(card, key), jax.random.key(0))
    stream(card, 0).close()  # errors in the data are found before a run folder is made
    if not preset.pretrain.normalize:
        return card
    return dataclasses.replace(card, spreads=data.observation_moments(card.dataset()))


def stream(card: Card, iteration: int) -> data.Stream:
    """Windows of all tasks, padded to the largest, from iteration number `iteration` on.

    Raises:
        ValueError: the data set cannot be read or lacks a task.
    """
    config = card.preset.pretrain
    return data.Stream(
        card.dataset(),
        config.updates_per_iteration,
        config.batch,
        config.horizon + 1,
        card.preset.seed + 1_000_003 * iteration,  # a resumed run draws others than its first part
        card.obs_size,
        card.action_size,
        total=config.updates - card.updates_after(iteration),
    )


def _updates(card: Card) -> Callable[[Learner, Windows, Any], tuple[Learner, Metrics]]:
    """(learner, windows, key) -> learner after an update on each of K batches, mean metrics."""
    config = card.preset.pretrain
    tx, task_table = optimizers(config), card.task_table

    def update(learner: Learner, windows: Windows, key: Any) -> tuple[Learner, Metrics]:
        def step(learner: Learner, batch: tuple[Windows, Any]) -> tuple[Learner, Metrics]:
            rows, key = batch
            sequence = replay.from_flags(rows.obs, rows.action, rows.reward, rows.flags)
            return tdmpc2.updates.update(
                card.networks.model,
                rates(config),
                tx,
                learner,
                task_table,
                tdmpc2.batch(sequence),
                rows.task,
                key,
            )

        keys = jax.random.split(key, windows.task.shape[0])
        learner = tdmpc2.updates.packed(tx, learner)
        learner, metrics = jax.lax.scan(step, learner, (windows, keys))
        return tdmpc2.updates.unpacked(tx, learner), finite.over_updates(metrics)

    return update
