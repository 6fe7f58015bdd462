"""Presets of multi-task models, and the sets of tasks that they name."""

import functools

import jax
import mjxwm_envs as envs

from mjxwm import data
from mjxwm.algos import multitask, tdmpc2
from mjxwm.algos.multitask import model as models
from mjxwm.algos.multitask import task_set
from mjxwm.runs import presets
from mjxwm.runs.config import Config as RunConfig


def test_presets_are_whole():
    for name in presets.preset_names("multitask"):
        loaded = presets.load_yaml(
            multitask.Config, presets.presets_folder() / "multitask" / f"{name}.yaml"
        )
        tasks = task_set(loaded.tasks)
        card = models.card_of(loaded, tasks, "data")
        assert (card.obs_size, card.action_size) == models.sizes(tasks)
        training = presets.load_preset(RunConfig, loaded.collect.preset)
        assert training.algorithm in ("pwm", "tdmpc2", "sac")
    counts = {"mt30": 48242410, "mt80": 48791146}
    for name, count in counts.items():
        loaded = presets.load_yaml(
            multitask.Config, presets.presets_folder() / "multitask" / f"{name}.yaml"
        )
        card = models.card_of(loaded, task_set(loaded.tasks), "data")
        learner = jax.eval_shape(functools.partial(models.fresh, card), jax.random.key(0))
        assert tdmpc2.networks.parameters(learner.networks)["total"] == count


def test_the_tasks_are_the_suites_own():
    infos = {task.name: task for task in task_set("mt80")}
    assert len(infos) == 80
    assert [task.name for task in task_set("mt80")[:30]] == [t.name for t in task_set("mt30")]
    for name in ("walker-run", "fish-swim", "reacher-three-hard", "cup-spin", "finger-turn-hard"):
        spec = envs.make(name, action_repeat=2).spec
        sizes = (spec.obs_size, spec.action_size, spec.episode_length)
        task = infos[name]
        assert sizes == (task.obs_size, task.action_size, task.episode_length)
    assert data.TaskInfo("mw-reach", 39, 4, 100) == infos["mw-reach"]
