"""A multi-task TD-MPC2 model as its run folder holds it: tasks, network sizes, learned weights."""

import dataclasses
from pathlib import Path
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mjxwm import data
from mjxwm.algos import tdmpc2
from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.algos.multitask.config import Config, Pretrain
from mjxwm.algos.multitask.tasks import make_task_table, sizes, task_index
from mjxwm.algos.tdmpc2 import Learner, Networks, TaskNetworks, TaskTable
from mjxwm.data import ObsMoments, TaskInfo
from mjxwm.maths.moments import Moments


@dataclasses.dataclass(frozen=True)
class Card(AlgorithmConfig):
    """The model card: tasks and sizes of a multi-task model, and how it is trained.

    It is the configuration of the algorithm `pretrain`, stored in `config.yaml` of its run folder.
    """

    env_steps: ClassVar[int] = 0
    worlds: ClassVar[int] = 0

    tasks: tuple[TaskInfo, ...] = ()
    """The tasks; a task's index in this tuple selects its embedding."""
    networks: tdmpc2.NetworkConfig = tdmpc2.NetworkConfig()
    """Sizes of the networks."""
    source: str = ""
    """Folder of the data set that the model is trained on, or an imported checkpoint's file."""
    preset: Config = Config()
    """The multi-task configuration, including the defaults of policy extraction."""
    obs_size: int = 0
    """Observation size that all tasks are padded to."""
    action_size: int = 0
    """Action size that all tasks are padded to."""
    spreads: tuple[ObsMoments, ...] = ()
    """Mean and variance of each task's observations; empty if the model does not normalize them."""

    @property
    def task_table(self) -> TaskTable:
        """Action masks, discounts and, if the model normalizes, moments of observations."""
        table = make_task_table(self.tasks, self.action_size)
        if not self.spreads:
            return table
        return table._replace(obs=_stacked_moments(self.spreads, self.obs_size))

    def of_task(self, name: str) -> "Card":
        """The card with one of its tasks alone.

        Raises:
            ValueError: there is no task of this name.
        """
        index = task_index(self.tasks, name)
        one = slice(index, index + 1)
        return dataclasses.replace(self, tasks=self.tasks[one], spreads=self.spreads[one])

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration: always 0."""
        return 0

    @property
    def iterations(self) -> int:
        """Iterations until all updates are made."""
        return self.preset.pretrain.iterations

    @property
    def updates(self) -> int:
        """Updates per iteration; the last iteration may have fewer."""
        return self.preset.pretrain.updates_per_iteration

    def updates_after(self, iteration: int) -> int:
        """Updates made after so many iterations."""
        return min(iteration * self.updates, self.preset.pretrain.updates)

    def dataset(self) -> data.DataSet:
        """The data of the model's tasks.

        Raises:
            ValueError: `source` is not a data set, or lacks a task, or has it with other sizes.
        """
        return data.open_data(Path(self.source)).matching(self.tasks)

    def summary(self) -> list[str]:
        """Lines to print when a run starts."""
        config, dataset = self.preset.pretrain, self.dataset()
        return [
            f"data     {dataset.path}: {dataset.rows:,} rows in {len(dataset.chunks)} chunks",
            f"tasks    {len(self.tasks)}: {', '.join(task.name for task in self.tasks)}",
            f"budget   {config.updates:,} updates on {config.batch} windows of {config.horizon} "
            "steps",
        ]

    def remarks(self) -> list[str]:
        """Warnings to print before a run whose `continuation` does not fit the data."""
        weight = self.preset.pretrain.continuation
        ending = data.tasks_with_terminations(self.dataset())
        if ending and not weight:
            return [
                "continuation=0: the model learns no terminations, and the data have some, of "
                f"{', '.join(ending)}: policies will imagine that episodes go on after them. Take "
                "--continuation 1"
            ]
        if weight and not ending:
            return [f"continuation={weight:g}: nothing ends an episode of these data"]
        return []


class Model(NamedTuple):
    """A pre-trained multi-task model."""

    card: Card
    networks: Networks
    updates: int
    """Updates it was trained for."""

    @property
    def task_table(self) -> TaskTable:
        """Action masks, discounts and moments of observations, see `Card.task_table`."""
        return self.card.task_table

    def for_task(self, name: str) -> TaskNetworks:
        """The networks with the embedding, action mask and discount of one task.

        Raises:
            ValueError: the model has no task of this name.
        """
        index = task_index(self.card.tasks, name)
        return tdmpc2.for_task(self.networks, self.task_table, index)


def fresh(card: Card, key: jax.Array) -> Learner:
    """A learner with newly initialised networks and optimisers."""
    return tdmpc2.updates.init(optimizers(card.preset.pretrain), new_networks(card, key))


def new_networks(card: Card, key: jax.Array) -> Networks:
    """Newly initialised networks."""
    return tdmpc2.networks.init(
        card.networks, card.obs_size, card.action_size, len(card.tasks), key=key
    )


def optimizers(config: Pretrain) -> tdmpc2.updates.Optimizers:
    """Adam with a learning rate that falls linearly over `config.updates` updates."""
    return tdmpc2.updates.optimizers(rates(config), config.updates)


def rates(config: Pretrain) -> tdmpc2.Rates:
    """The part of the configuration that TD-MPC2's update takes."""
    return tdmpc2.Rates(
        config.lr,
        config.encoder_lr,
        config.tau,
        config.entropy,
        config.networks.value,
        config.final_lr,
        config.squashed,
    )


def _stacked_moments(task_moments: tuple[ObsMoments, ...], size: int) -> Moments:
    """Moments [n, o], padded to `size` observations with mean 0 and variance 1."""

    def padded(row: tuple[float, ...], value: float) -> tuple[float, ...]:
        return (*row, *[value] * (size - len(row)))

    mean = jnp.array([padded(moments.mean, 0.0) for moments in task_moments])
    variance = jnp.array([padded(moments.variance, 1.0) for moments in task_moments])
    return Moments(mean, variance, jnp.ones(len(task_moments)))


def card_of(config: Config, tasks: tuple[TaskInfo, ...], source: str) -> Card:
    """The card of a new model of `tasks`, to be trained on the data set in folder `source`."""
    obs_size, action_size = sizes(tasks)
    return Card(tasks, config.pretrain.networks, source, config, obs_size, action_size)
