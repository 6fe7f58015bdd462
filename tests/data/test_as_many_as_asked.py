"""Evaluations, checkpoints and updates are as many as asked for, and spread over all of a run."""

import functools

import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.algos.multitask import Config, Extract, Pretrain, extract, model
from mjxwm.cli import collect
from mjxwm.data import Rows, Stream, TaskInfo, Writer, open_data
from mjxwm.runs import build
from mjxwm.runs.schedule import Schedule


@pytest.mark.parametrize("total", [1, 2, 7, 20, 41, 61, 877, 1000])
@pytest.mark.parametrize("asked", [0, 1, 3, 20])
def test_evaluations_are_as_many_as_asked_evenly_and_the_last_at_the_end(total, asked):
    schedule = Schedule(total, asked, 4)
    places = [i for i in range(1, total + 1) if schedule.evaluates(i)]
    assert len(places) == min(max(asked, 1), total)
    assert places[-1] == total
    gaps = np.diff([0, *places])
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("total", "asked"), [(41, 4), (1000, 4), (7, 0), (9, 2)])
def test_checkpoints_are_as_many_as_asked_beside_the_first_evaluation_and_the_end(total, asked):
    """The first evaluation keeps a policy: the run can go on from then."""
    schedule = Schedule(total, 20, asked)
    iterations = range(1, total + 1)
    places = [i for i in iterations if schedule.saves(i)]
    first = next(i for i in iterations if schedule.evaluates(i))
    assert first in places
    assert places[-1] == total
    alone = Schedule(total, 0, asked)  # evaluated at the end alone
    assert sum(alone.saves(i) for i in iterations) == asked + 1


def test_the_last_item_of_a_stream_has_what_is_left(tmp_path):
    task = TaskInfo("hop", 2, 1, 50)
    zeros = functools.partial(np.zeros, dtype=np.float32)
    with Writer(tmp_path, task) as writer:
        writer.add(Rows(zeros((30, 2)), zeros((30, 1)), zeros(30), np.zeros(30, np.uint8)))
    with Stream(open_data(tmp_path), batches=4, batch=3, length=2, seed=0, total=10) as stream:
        assert [item.task.shape for item in stream] == [(4, 3), (4, 3), (2, 3)]
        with pytest.raises(StopIteration):
            next(stream)


@pytest.mark.parametrize("updates", [1, 20, 100, 120, 333])
def test_extraction_s_rates_fall_over_exactly_the_updates_asked_for(updates):
    policy_config = Extract(updates=updates, horizon=16, critic_steps=3)
    config = extract.Config(settings=policy_config)
    each, iterations = config.updates, config.iterations
    assert each * (iterations - 1) < updates <= each * iterations
    env = envs.make("pendulum-swingup", engine="native", action_repeat=2)
    pwm = extract.as_pwm(policy_config, _model().card, env.spec.episode_length)
    assert pwm.iterations * pwm.policy_updates == updates
    assert pwm.iterations * pwm.updates == updates  # of a model that goes on learning


def test_no_updates_are_refused_by_name_before_anything_is_drawn():
    no_updates = extract.Config(settings=Extract(updates=0))
    with pytest.raises(ValueError, match="updates=0 is out of range"):
        extract.stream(no_updates, model.Card(), TaskInfo("hop", 2, 1, 50), 0)


def _model() -> model.Model:
    card = model.Card()
    return model.Model(card, None, 0)  # type: ignore[arg-type]  # its sizes are all that is read


@pytest.mark.parametrize(("updates", "iterations"), [(60, 6), (57, 6), (5, 1)])
def test_the_last_iteration_of_a_pretraining_makes_the_updates_that_are_left(updates, iterations):
    policy_config = Pretrain(updates=updates, updates_per_iteration=10)
    card = model.Card(preset=Config(pretrain=policy_config))
    assert card.iterations == iterations
    assert card.updates_after(iterations) == updates
    assert card.updates_after(iterations - 1) == 10 * (iterations - 1)


def test_tasks_that_are_missing_are_left_out_by_their_whole_names(monkeypatch):
    """walker-run is there where walker-run-backwards is not, and the other way round."""
    names = ["walker-run", "walker-run-backwards", "cup-catch"]
    for missing in ([names[1]], [names[0]], names):

        def make(cfg, missing=missing):
            if cfg.task in missing:
                raise ConfigError("is not here")

        monkeypatch.setattr(build, "make_env", make)
        with pytest.raises(ConfigError) as said:
            collect._collections(Config(), names, "mine")
        lines = [f"{name}: is not here" for name in names if name in missing]
        have = [name for name in names if name not in missing]
        others = [f"--only {','.join(have)} collects the others"] if have else []
        assert str(said.value).split("; ") == lines + others
