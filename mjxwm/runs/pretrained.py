"""Models of many tasks on disk: runs of the algorithm `pretrain`."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mjxwm import ConfigError
from mjxwm.algos.multitask.model import Card, Model, fresh, new_networks
from mjxwm.algos.multitask.pretrain import TrainState, make
from mjxwm.algos.tdmpc2 import Learner
from mjxwm.runs import checkpoint, folders, policy_files, presets
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder

_EARLIER = "b30cd6e"
"""The last commit that goes on with models of the earlier kind: a card and a learner alone."""


def save(run: RunFolder, card: Card, learner: Learner) -> None:
    """Saves a model that was learned elsewhere as a run of which no iteration is done."""
    config = config_of(card)
    presets.save_yaml(config, run.config)
    checkpoint.save(run.checkpoints, 0, TrainState(jnp.zeros((), jnp.int32), learner))
    policy_files.write(run.policy / "last", policy_files.describe(config, 0), learner.networks)


def config_of(card: Card, checkpoints: int = 4) -> Config:
    """The configuration of a run that learns this model."""
    return Config(
        task=card.preset.tasks,
        seed=card.preset.seed,
        evaluations=0,
        checkpoints=checkpoints,
        video=False,
        algorithm="pretrain",
        algo=card,
    )


def load(path: Path) -> Model:
    """Reads a model: the networks of a run by themselves, or in its newest checkpoint.

    Args:
        path: the run's folder, or a copy of its folder `policy`.

    Raises:
        ConfigError: the folder holds no model, or a damaged one, or a run of another kind.
        ValueError: there is no checkpoint yet.
    """
    card = read_card(path)
    place = policy_files.folder(path)
    if place is not None:
        header = policy_files.read_header(place)
        shapes = jax.eval_shape(lambda key: new_networks(card, key), jax.random.key(0))
        try:
            networks = policy_files.read_arrays(place, header, shapes)
        except ConfigError:
            # A run that goes on may have written its next model meanwhile.
            if policy_files.read_header(place) == header:
                raise
            return load(path)
        return Model(card, networks, card.updates_after(header.iteration))
    run = RunFolder(path)
    step = checkpoint.latest(run.checkpoints)
    if step is None:
        raise ValueError(f"{path} has no checkpoint: nothing was learned yet")
    if _earlier(presets.read_yaml(run.config)):
        learner = jax.eval_shape(lambda key: fresh(card, key), jax.random.key(0))
        return Model(card, checkpoint.restore(run.checkpoints, learner).networks, step)
    shapes = jax.eval_shape(make(card).init, jax.random.key(0))
    state = checkpoint.restore(run.checkpoints, shapes)
    return Model(card, state.learner.networks, card.updates_after(step))


def read_card(path: Path) -> Card:
    """The card of a model's run folder, of the earlier kind too, or of its folder `policy`.

    Raises:
        ConfigError: the folder holds no model, or a damaged one, or a run of another kind.
    """
    place = policy_files.folder(path)
    config = None if place is None else policy_files.read_header(place).config
    if config is not None and config.algorithm == "pretrain":
        return config.algo
    run = folders.find_model(path)
    values = presets.read_yaml(run.config)
    fields: Any = values if _earlier(values) else values.get("algo", {})
    card = presets.from_dict(Card, fields, where=str(run.config))
    if not card.tasks:
        raise ConfigError(f"{run.config} names no tasks: no model of many tasks is there")
    return card


def refuse_earlier(run: RunFolder) -> None:
    """Raises ConfigError for a model that was learned before its learning was a run like others.

    Such a model can be evaluated and extracted from; only its learning does not go on.
    """
    if _earlier(presets.read_yaml(run.config)):
        raise ConfigError(
            f"{run.path} was made by an earlier version, which alone goes on with it: commit "
            f"{_EARLIER}. Policies can be extracted from it as it is"
        )


def _earlier(values: Any) -> bool:
    return "algorithm" not in values
