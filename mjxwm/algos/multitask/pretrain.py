"""Learning a model of many tasks from data alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mjxwm.algos import tdmpc2
from mjxwm.algos.multitask.model import Card, optimizers, rates
from mjxwm.algos.tdmpc2 import Learner
from mjxwm.data import Windows, replay
from mjxwm.types import Metrics


def make(card: Card) -> Callable[[Learner, Windows, Any], tuple[Learner, Metrics]]:
    """(learner, windows, key) -> K updates on the K batches of `windows`, and their metrics."""
    settings = card.preset.pretrain
    tx, tasks = optimizers(settings), card.known

    def iterate(learner: Learner, windows: Windows, key: Any) -> tuple[Learner, Metrics]:
        def step(learner: Learner, given: tuple[Windows, Any]) -> tuple[Learner, Metrics]:
            rows, key = given
            sequence = replay.from_flags(rows.obs, rows.action, rows.reward, rows.flags)
            return tdmpc2.updates.update(
                card.networks.model,
                rates(settings),
                tx,
                learner,
                tasks,
                tdmpc2.batch(sequence),
                rows.task,
                key,
            )

        keys = jax.random.split(key, windows.task.shape[0])
        learner, metrics = jax.lax.scan(step, learner, (windows, keys))
        return learner, jax.tree.map(jnp.mean, metrics)

    return iterate
