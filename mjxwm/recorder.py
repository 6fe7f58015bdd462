"""Writes what a run collects into a data set, as it collects it."""

import contextlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxwm.config import ConfigError
from mjxwm.data import Rows, TaskInfo, Writer
from mjxwm.trainer import Config, Trainer


class Recorder(contextlib.AbstractContextManager["Recorder"]):
    """Adds the replay's new rows to a data set after every iteration.

    Worlds are kept apart: each of them waits until it has some rows, which then stand together.
    """

    def __init__(self, cfg: Config, trainer: Trainer, state: Any, rows: int = 262_144):
        """What the replay of `state` holds already is written, too.

        Args:
            cfg: the run's configuration.
            trainer: the run's functions.
            state: where it starts.
            rows: how many may wait in memory, over all worlds.

        Raises:
            ConfigError: the data set knows the task with other sizes, or is none.
        """
        spec, self._algorithm = trainer.env.spec, trainer.algorithm
        task = TaskInfo(spec.name, spec.obs_size, spec.action_size, spec.episode_length)
        try:
            self._writer = Writer(Path(cfg.data or ""), task)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        worlds = self._replay(state).reward.shape[1]
        self._most, self._waiting = max(64, rows // worlds), []
        self._head = self._size = 0
        if int(state.iteration) == 0:
            self.record(state)
        else:  # a resumed run: what it had collected is written already
            buffer = self._replay(state)
            self._head, self._size = int(buffer.head), int(buffer.size)

    def record(self, state: Any) -> None:
        """Writes the rows that are new in the state's replay."""
        buffer = self._replay(state)
        capacity, head = buffer.reward.shape[0], int(buffer.head)
        count = (head - self._head) % capacity
        if not count and int(buffer.size) > self._size:
            count = capacity  # the first rows filled it to the brim
        rows = (self._head + np.arange(count)) % capacity
        fields = (buffer.obs, buffer.action, buffer.reward, buffer.flags)
        self._waiting.append(tuple(np.asarray(jax.device_get(x[rows])) for x in fields))
        self._head, self._size = head, int(buffer.size)
        if sum(len(part[2]) for part in self._waiting) >= self._most:
            self._write()

    def _write(self) -> None:
        if not self._waiting:
            return
        obs, action, reward, flags = (np.concatenate(x) for x in zip(*self._waiting, strict=True))
        for world in range(reward.shape[1]):
            self._writer.add(
                Rows(obs[:, world], action[:, world], reward[:, world], flags[:, world])
            )
        self._waiting = []

    def _replay(self, state: Any) -> Any:
        assert self._algorithm.replay is not None
        return self._algorithm.replay(state)

    def __exit__(self, *exception: object) -> None:
        """What is left is written, whatever ended the run."""
        self._write()
        self._writer.flush()
