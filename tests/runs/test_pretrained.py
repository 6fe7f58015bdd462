"""Models of many tasks on disk: those of the earlier layout are read, and only not trained on."""

import functools

import jax
import numpy as np
import pytest

from mjxwm import ConfigError, cli
from mjxwm.algos.multitask import Config, Pretrain, model
from mjxwm.data import TaskInfo
from mjxwm.runs import checkpoint, folders, presets, pretrained
from mjxwm.runs.folders import RunFolder

TASKS = (TaskInfo("pendulum-swingup", 3, 1, 500, 2), TaskInfo("reacher-easy", 6, 2, 500, 2))
CARD = model.card_of(Config(pretrain=Pretrain(size="1M", updates=100)), TASKS, "data")


@pytest.fixture(scope="module")
def learner():
    return jax.jit(functools.partial(model.fresh, CARD))(jax.random.key(0))


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_saved_is_loaded(learner, tmp_path):
    run = folders.create(tmp_path, "model", "mine")
    pretrained.save(run, CARD, learner)
    loaded = pretrained.load(run.path)
    assert (loaded.card, loaded.updates) == (CARD, 0)
    same(loaded.networks, learner.networks)
    assert folders.kind(run) == "model"


def test_a_model_of_the_earlier_layout_is_read_and_its_training_refused(learner, tmp_path, capsys):
    """Then `config.yaml` was the card alone, and a checkpoint the learner after so many updates."""
    run = RunFolder(tmp_path)
    presets.save_yaml(CARD, run.config)
    checkpoint.save(run.checkpoints, 70, learner)
    loaded = pretrained.load(run.path)
    assert (loaded.card, loaded.updates) == (CARD, 70)
    same(loaded.networks, learner.networks)
    assert folders.kind(run) == "model"
    with pytest.raises(ConfigError, match=r"earlier version.*commit b30cd6e.*extracted"):
        pretrained.refuse_earlier(run)
    assert cli.main(["pretrain", "--resume", str(run.path)]) == 2
    assert "commit b30cd6e" in capsys.readouterr().err
