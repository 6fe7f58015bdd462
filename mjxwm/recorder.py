"""Writes what a run collects into a data set, as it collects it."""

from typing import Any

import jax
import numpy as np

from mjxwm.config import ConfigError
from mjxwm.data import Rows
from mjxwm.trainer import Config, Trainer, writer


class Recorder:
    """Adds the replay's new rows to a data set, whenever a checkpoint is saved.

    Not earlier: a run that is killed goes on from its checkpoint and collects the same rows again,
    so that the set holds what a straight run would have given it. Worlds are kept apart.
    """

    def __init__(self, cfg: Config, trainer: Trainer, state: Any, resume: bool):
        """What the replay of `state` holds already is written, too, unless the run goes on.

        Raises:
            ConfigError: the data set knows the task with other sizes, or is none.
        """
        self._algorithm = trainer.algorithm
        try:
            self._writer = writer(cfg, trainer.env)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._head = self._size = 0
        if resume:
            buffer = self._replay(state)
            self._head, self._size = int(buffer.head), int(buffer.size)
        else:
            self.record(state)

    def record(self, state: Any) -> None:
        """Takes the rows that are new in the state's replay."""
        buffer = self._replay(state)
        capacity, head = buffer.reward.shape[0], int(buffer.head)
        count = (head - self._head) % capacity
        if not count and int(buffer.size) > self._size:
            count = capacity  # the first rows filled it to the brim
        rows = (self._head + np.arange(count)) % capacity
        fields = (buffer.obs, buffer.action, buffer.reward, buffer.flags)
        self._waiting.append(tuple(np.asarray(jax.device_get(x[rows])) for x in fields))
        self._head, self._size = head, int(buffer.size)

    def flush(self) -> None:
        """Writes what was taken, world by world."""
        if not self._waiting:
            return
        obs, action, reward, flags = (np.concatenate(x) for x in zip(*self._waiting, strict=True))
        for world in range(reward.shape[1]):
            self._writer.add(
                Rows(obs[:, world], action[:, world], reward[:, world], flags[:, world])
            )
        self._writer.flush()
        self._waiting = []

    def _replay(self, state: Any) -> Any:
        assert self._algorithm.replay is not None
        return self._algorithm.replay(state)
