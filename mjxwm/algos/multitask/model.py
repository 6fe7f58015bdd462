"""A model of many tasks as a run folder keeps it: which tasks, which networks, what was learned."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mjxwm.algos import tdmpc2
from mjxwm.algos.multitask.config import Config, Pretrain
from mjxwm.algos.multitask.tasks import described, number, sizes
from mjxwm.algos.tdmpc2 import Given, Learner, Tasks
from mjxwm.data import Spread, TaskInfo
from mjxwm.maths.moments import Moments


@dataclasses.dataclass(frozen=True)
class Card:
    """What `config.yaml` of a model's run folder says."""

    tasks: tuple[TaskInfo, ...] = ()
    """The tasks, in the order of their numbers."""
    networks: tdmpc2.NetworkConfig = tdmpc2.NetworkConfig()
    """Sizes of the networks."""
    source: str = ""
    """What it was learned from: a data set, or another's checkpoint."""
    preset: Config = Config()
    """The settings, those of policies to be extracted among them."""
    obs_size: int = 0
    """Observations of the largest task that the model was made for."""
    action_size: int = 0
    """Its actions, likewise."""
    spreads: tuple[Spread, ...] = ()
    """Of each task's observations, where the model sees them in deviations."""

    @property
    def known(self) -> Tasks:
        """Masks, discounts and units of observations."""
        tasks = described(self.tasks, self.action_size)
        return tasks._replace(obs=_moments(self.spreads, self.obs_size)) if self.spreads else tasks


class Model(NamedTuple):
    """A model of many tasks."""

    card: Card
    learner: Learner
    updates: int
    """Updates that it has had."""

    @property
    def tasks(self) -> Tasks:
        """Masks, discounts and units of observations."""
        return self.card.known

    def of(self, task: str) -> Given:
        """The networks of one task.

        Raises:
            ValueError: it is not among the model's.
        """
        place = number(self.card.tasks, task)
        return tdmpc2.given(self.learner.networks, self.tasks, place)


def fresh(card: Card, key: jax.Array) -> Learner:
    """A learner with new networks."""
    made = tdmpc2.networks.init(
        card.networks, card.obs_size, card.action_size, len(card.tasks), key=key
    )
    return tdmpc2.updates.init(optimizers(card.preset.pretrain), made)


def optimizers(settings: Pretrain) -> tdmpc2.updates.Optimizers:
    """Adam, its rate falling over the updates."""
    return tdmpc2.updates.optimizers(rates(settings), settings.updates)


def rates(settings: Pretrain) -> tdmpc2.Rates:
    """The settings of an update."""
    return tdmpc2.Rates(
        settings.lr,
        settings.encoder_lr,
        settings.tau,
        settings.entropy,
        settings.networks.value,
        settings.final_lr,
    )


def _moments(spreads: tuple[Spread, ...], size: int) -> Moments:
    def padded(row: tuple[float, ...], value: float) -> tuple[float, ...]:
        return (*row, *[value] * (size - len(row)))

    mean = jnp.array([padded(spread.mean, 0.0) for spread in spreads])
    variance = jnp.array([padded(spread.variance, 1.0) for spread in spreads])
    return Moments(mean, variance, jnp.ones(len(spreads)))


def card_of(preset: Config, tasks: tuple[TaskInfo, ...], source: str) -> Card:
    """The card of a model that is to be learned."""
    obs_size, action_size = sizes(tasks)
    return Card(tasks, preset.pretrain.networks, source, preset, obs_size, action_size)
