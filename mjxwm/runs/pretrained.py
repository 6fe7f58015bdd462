"""Models of many tasks on disk: a run folder whose `config.yaml` is the model's card."""

from pathlib import Path
from typing import Any

import jax

from mjxwm import ConfigError
from mjxwm.algos.multitask.model import Card, Model, fresh
from mjxwm.runs import checkpoint, folders, presets
from mjxwm.runs.folders import RunFolder


def save(run: RunFolder, learner: Any, updates: int) -> None:
    """Saves the learner after so many updates."""
    checkpoint.save(run.checkpoints, updates, learner)


def load(path: Path) -> Model:
    """Reads a model's run folder.

    Raises:
        ConfigError: the folder holds no model, or a run of another kind.
        ValueError: there is no checkpoint yet.
    """
    card = read_card(path)
    run = RunFolder(path)
    updates = checkpoint.latest(run.checkpoints)
    if updates is None:
        raise ValueError(f"{path} has no checkpoint: nothing was learned yet")
    abstract = jax.eval_shape(lambda key: fresh(card, key), jax.random.key(0))
    return Model(card, checkpoint.restore(run.checkpoints, abstract), updates)


def read_card(path: Path) -> Card:
    """The card of a model's run folder.

    Raises:
        ConfigError: the folder holds no model, or a run of another kind.
    """
    run = folders.find_model(path)
    card = presets.load_yaml(Card, run.config)
    if not card.tasks:
        raise ConfigError(f"{run.config} names no tasks: no model of many tasks is there")
    return card
