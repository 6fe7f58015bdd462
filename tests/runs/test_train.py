"""The loop: resume is bitwise, the record is whole, nothing is overwritten."""

import dataclasses
import errno
import json
import os
import shutil

import jax
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.algos import ALGORITHMS
from mjxwm.reports import outcome
from mjxwm.runs import (
    arrays,
    build,
    checkpoint,
    exits,
    folders,
    keeping,
    locks,
    log,
    loop,
    policies,
    policy_files,
    presets,
    record,
    start,
)
from mjxwm.runs.config import Config as RunConfig
from mjxwm.types import Sizes


@pytest.fixture(scope="module")
def cfg(shared_programs):
    preset = presets.load_preset(RunConfig, "debug")
    algo = dataclasses.replace(preset.algo, warmup=1, env_steps=(1 + 4) * 8 * 16)
    return dataclasses.replace(preset, algo=algo, evaluations=1, checkpoints=0, video=False)


@pytest.fixture(scope="module")
def straight(cfg, tmp_path_factory):
    """Four iterations without a break."""
    run = start.new_run(build.build(cfg), "debug", "straight", tmp_path_factory.mktemp("runs"))
    return run, loop.train(build.build(cfg), run)


@pytest.fixture(scope="module")
def resumed(cfg, tmp_path_factory):
    """Two iterations, then a new start from the checkpoint, then two more."""
    run = start.new_run(build.build(cfg), "debug", "resumed", tmp_path_factory.mktemp("runs"))
    first = loop.train(build.build(cfg), run, stop_at=2)
    assert first.evaluation is None
    assert first.iteration == 2
    return run, loop.train(build.build(cfg), run, resume=True)


def final_state(cfg, run):
    algorithm = build.build(cfg).algorithm
    abstract = jax.eval_shape(algorithm.init, jax.random.key(0))
    return checkpoint.restore(run.checkpoints, abstract)


def test_train_2_and_resume_2_is_train_4_bitwise(cfg, straight, resumed):
    states = [
        jax.tree_util.tree_leaves_with_path(final_state(cfg, r[0])) for r in (straight, resumed)
    ]
    assert len(states[0]) > 50
    for (path, a), (_, b) in zip(*states, strict=True):
        np.testing.assert_array_equal(bits(a), bits(b), err_msg=jax.tree_util.keystr(path))


def bits(x):
    return jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x


def test_the_record_of_a_resumed_run_is_that_of_a_straight_one(straight, resumed):
    rows = [record.read(r[0].metrics) for r in (straight, resumed)]
    assert [row["iteration"] for row in rows[0]] == [1, 2, 3, 4]
    for a, b in zip(*rows, strict=True):
        timing = ("minutes", "perf/env_steps_per_s")
        assert {k: v for k, v in a.items() if k not in timing} == {
            k: v for k, v in b.items() if k not in timing
        }
    assert rows[1] == sorted(rows[1], key=lambda row: row["minutes"])


def test_a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(
    cfg, straight, tmp_path, capsys
):
    run = start.new_run(build.build(cfg), "debug", "torn", tmp_path)
    loop.train(build.build(cfg), run, stop_at=2)
    loop.train(build.build(cfg), run, resume=True, stop_at=3)
    file = run.checkpoints / "3" / "state" / "_METADATA"
    file.write_bytes(file.read_bytes()[:100])
    loop.train(build.build(cfg), run, resume=True)
    said = capsys.readouterr().out
    assert f"checkpoint 3 of {run.checkpoints} is passed over: {file} has" in said
    assert f"{run.checkpoints}/3 is set aside as damaged-3" in said
    assert [row["iteration"] for row in record.read(run.metrics)] == [1, 2, 3, 4]
    for a, b in zip(
        *(jax.tree.leaves(final_state(cfg, r)) for r in (straight[0], run)), strict=True
    ):
        np.testing.assert_array_equal(bits(a), bits(b))


def test_the_final_evaluation_is_the_same_for_both(straight, resumed):
    a, b = straight[1].evaluation, resumed[1].evaluation
    np.testing.assert_array_equal(a.episode_return, b.episode_return)
    assert straight[1].env_steps == resumed[1].env_steps == 5 * 8 * 16


def test_a_run_folder_tells_what_ran_where(cfg, straight):
    run, _ = straight
    assert presets.load_yaml(RunConfig, run.config) == cfg
    system = json.loads((run.path / "system.json").read_text())
    assert system["packages"]["mujoco"] == "3.17.0"
    assert system["devices"]


def test_evaluating_a_run_later_gives_what_it_ended_with(straight):
    run, result = straight
    _, evaluation, iteration = outcome.evaluate_run(run)
    assert iteration == 4
    np.testing.assert_array_equal(evaluation.episode_return, result.evaluation.episode_return)


def test_the_last_and_the_best_policy_are_kept_with_what_was_trained(cfg, straight):
    run, result = straight
    mean = float(result.evaluation.episode_return.mean())
    for name in ("last", "best"):
        header = policy_files.read_header(run.policy / name)
        assert (header.iteration, header.env_steps) == (4, result.env_steps)
        assert header.eval_return == mean
        assert (header.config, header.engine, header.eval_engine) == (cfg, "native", "native")
        assert header.versions["mujoco"] == "3.17.0"
    trained = build.build(cfg).algorithm.policy(final_state(cfg, run))
    for a, b in zip(
        *map(jax.tree.leaves, (trained, policies.of_run(run.path).arrays)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", ["native", "mjx", "warp"])
def test_a_policy_alone_acts_the_same_on_every_engine(cfg, straight, tmp_path, engine):
    """A copy of `policy/last`, without run, checkpoints and the engine that it was trained on."""
    run, _ = straight
    shutil.copytree(run.policy / "last", tmp_path / "mine")
    policy = policies.of_run(tmp_path / "mine")
    env = build.make_env(build.on_engine(policy.config, engine))
    policies.check_sizes(policy, env.spec)
    assert env.spec.engine == engine
    obs = np.asarray(build.build(cfg).env.batch(8).reset(jax.random.key(1)).obs)
    algorithm = build.build(cfg).algorithm
    expected = algorithm.act(algorithm.policy(final_state(cfg, run)), obs)
    np.testing.assert_allclose(policy.agent.act(policy.arrays, obs), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mjx", "warp"])
def test_a_policy_of_another_engine_is_evaluated(straight, engine):
    run, result = straight
    config, evaluation, iteration = outcome.evaluate_run(run, episodes=3, engine=engine)
    assert (config.engine, iteration) == (engine, 4)
    expected = result.evaluation.episode_return[:3]
    np.testing.assert_allclose(evaluation.episode_return, expected, rtol=0.05)


def test_a_policy_for_another_task_is_refused(straight):
    policy = policies.of_run(straight[0].path)
    spec = build.make_env(dataclasses.replace(policy.config, task="hopper-hop")).spec
    with pytest.raises(ConfigError, match=r"takes \d+ observations .* 'hopper-hop' has \d+ and"):
        policies.check_sizes(policy, spec)


def test_a_run_that_exists_is_never_overwritten(cfg, straight):
    path = straight[0].path
    with pytest.raises(ConfigError, match=r"--resume .*straight, or give another name"):
        folders.create(path.parent, path.name, "debug")


def test_rows_after_the_checkpoint_are_dropped_on_resume(tmp_path):
    path = tmp_path / "metrics.jsonl"
    tracker = record.JsonLines(path)
    for iteration in range(1, 6):
        tracker.log({"iteration": iteration})
    with path.open("a") as file:
        file.write('{"iteration": 6, "cut')  # a crash while writing
    record.JsonLines(path, resume_at=3).log({"iteration": 4})
    assert [row["iteration"] for row in record.read(path)] == [1, 2, 3, 4]


def test_a_full_disk_stops_no_learning(cfg, tmp_path, monkeypatch, capsys):
    """No checkpoint finds room; the record is written, and the result says what is not on disk."""

    def save(folder, iteration, state):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "save", save)
    run = start.new_run(build.build(cfg), "debug", "full", tmp_path)
    result = loop.train(build.build(cfg), run)
    assert result.finished
    assert result.unwritten == ("the checkpoint",)
    assert result.status == exits.UNWRITTEN
    assert len(record.read(run.metrics)) == 4
    assert "full: the checkpoint NOT WRITTEN: No space left on device" in capsys.readouterr().out


def test_no_work_begins_without_room_for_a_checkpoint(cfg, tmp_path, monkeypatch):
    run = start.new_run(build.build(cfg), "debug", "narrow", tmp_path)
    monkeypatch.setattr(keeping, "free", lambda path: 1000)
    with pytest.raises(ConfigError, match=r"a checkpoint takes up to .* MB, and 0\.0 MB are free"):
        loop.train(build.build(cfg), run)
    assert not locks.holds(run.path)


def test_a_run_without_checkpoint_cannot_be_resumed(cfg, tmp_path):
    run = start.new_run(build.build(cfg), "debug", "empty", tmp_path)
    with pytest.raises(ConfigError, match=r"no checkpoint.*cannot be resumed"):
        loop.train(build.build(cfg), run, resume=True)


def test_summaries_are_means_and_episodes_sums_over_sums():
    rows = [
        {"collect/episodes": 1, "collect/return_sum": 10.0, "model/loss": 1.0},
        {"collect/episodes": 3, "collect/return_sum": 50.0, "model/loss": 2.0},
    ]
    assert log.summarize(rows) == {
        "collect/episodes": 4.0,
        "collect/return": 15.0,
        "model/loss": 1.5,
    }


def shapes(tree):
    return {name: (x.shape, x.dtype) for name, x in arrays.named(tree).items()}


@pytest.mark.parametrize("preset", presets.preset_names())
def test_every_preset_builds(preset):
    cfg = presets.load_preset(RunConfig, preset)
    trainer = build.build(cfg)
    assert isinstance(cfg.algo, ALGORITHMS[cfg.algorithm].config)
    algorithm, key = trainer.algorithm, jax.random.key(0)
    assert algorithm.iterations > 0
    # What is kept of a run is what its agent is made for, elsewhere, without worlds.
    agent = ALGORITHMS[cfg.algorithm].agent(cfg.algo, Sizes.of(trainer.env.spec))
    kept = algorithm.policy(jax.eval_shape(algorithm.init, key))
    assert shapes(kept) == shapes(jax.eval_shape(agent.init, key))


def test_a_value_out_of_range_is_refused_before_anything_is_written(cfg, tmp_path):
    bad = dataclasses.replace(cfg, algo=dataclasses.replace(cfg.algo, gamma=1.5))
    with pytest.raises(ConfigError, match=r"gamma=1.5 is out of range; it must be in \[0, 1\]"):
        start.new_run(build.build(bad), "debug", "bad", tmp_path)
    assert not list(tmp_path.iterdir())
