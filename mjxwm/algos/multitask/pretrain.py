"""Pre-training: learns a multi-task TD-MPC2 model from a data set, without stepping any world."""

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
    """The training iteration: (learner, windows, key) -> learner after K updates, mean metrics.

    `windows` holds K batches of N windows of `horizon` + 1 rows, one batch for each update.
    """
    config = card.preset.pretrain
    tx, task_table = optimizers(config), card.task_table

    def iterate(learner: Learner, windows: Windows, key: Any) -> tuple[Learner, Metrics]:
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
        learner, metrics = jax.lax.scan(step, learner, (windows, keys))
        return learner, jax.tree.map(jnp.mean, metrics)

    return iterate
