"""Checkpoints that are written while training goes on: each is whole before the next begins."""

import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import GuardError
from mjxwm.runs import checkpoint, memory, saving
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.saving import Saver


class State(NamedTuple):
    weight: jax.Array
    key: jax.Array


def state(value):
    return State(jnp.full(3, float(value)), jax.random.key(7))


def restored(run):
    shapes = jax.eval_shape(lambda: state(0))
    return checkpoint.restore(run.checkpoints, shapes)


@jax.jit
def step(state):
    return state._replace(weight=state.weight + 1)


@pytest.fixture
def gate(monkeypatch):
    """Savings wait until it is opened; the order of what happens."""
    opened, order, real = threading.Event(), [], checkpoint.save

    def save(folder, iteration, state):
        opened.wait(30)
        real(folder, iteration, state)
        order.append(iteration)

    monkeypatch.setattr(checkpoint, "save", save)
    return opened, order


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, gate):
    opened, order = gate
    run = RunFolder(tmp_path)
    consume = jax.jit(step, donate_argnums=0)
    with Saver([run], None) as saver:
        now = state(1)
        saver.save([run], 1, now)
        now = consume(now)
        assert order == []
        threading.Timer(0.1, opened.set).start()
        saver.save([run], 2, now)
        assert order == [1], "the first is whole before the second is begun"
    assert order == [1, 2], "and the second before the process ends"
    found = restored(run)
    np.testing.assert_array_equal(found.weight, np.full(3, 2))
    np.testing.assert_array_equal(jax.random.bits(found.key), jax.random.bits(jax.random.key(7)))


def test_a_state_for_whose_copy_there_is_no_room_is_written_at_once(tmp_path, gate, monkeypatch):
    opened, order = gate
    opened.set()
    monkeypatch.setattr(memory, "host", lambda: 16)
    with Saver([RunFolder(tmp_path)], None) as saver:
        saver.save([RunFolder(tmp_path)], 1, state(1))
        assert order == [1]


def test_seeds_are_saved_each_with_its_part(tmp_path):
    runs = [RunFolder(tmp_path / name) for name in "ab"]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), state(1), state(2))
    with Saver(runs, (0, 1)) as saver:
        saver.save(runs[1:], 1, stacked)
    assert not runs[0].checkpoints.exists()
    np.testing.assert_array_equal(restored(runs[1]).weight, np.full(3, 2))


def test_rows_are_added_to_a_data_set_once_the_checkpoint_is_whole(tmp_path, gate):
    opened, order = gate
    opened.set()

    class Recorder:
        def hold(self, iteration):
            order.append("on disk")

        def settle(self, iteration):
            order.append("in the set")

    with Saver([RunFolder(tmp_path)], None, Recorder()) as saver:  # pyright: ignore[reportArgumentType]
        saver.save([RunFolder(tmp_path)], 1, state(1))
    assert order == ["on disk", 1, "in the set"]


def test_an_error_is_raised_where_it_is_waited_for(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("of this project")

    monkeypatch.setattr(checkpoint, "save", fail)
    saver = saving.Saver([RunFolder(tmp_path)], None)
    saver.save([RunFolder(tmp_path)], 1, state(1))
    with pytest.raises(RuntimeError, match="of this project"):
        saver.wait()
    assert not saver.wait()


def test_an_error_of_one_checkpoint_takes_no_other_and_hides_no_end(tmp_path, monkeypatch, capsys):
    """The next one is saved before it is raised; and a guard's stop keeps its status."""
    real = checkpoint.save

    def fail_first(folder, iteration, state):
        if iteration == 1:
            raise RuntimeError("of this project")
        real(folder, iteration, state)

    monkeypatch.setattr(checkpoint, "save", fail_first)
    run = RunFolder(tmp_path)

    def train(end):
        with Saver([run], None) as saver:
            saver.save([run], 1, state(1))
            end(saver)

    with pytest.raises(RuntimeError, match="of this project"):
        train(lambda saver: saver.save([run], 2, state(2)))
    assert checkpoint.iterations(run.checkpoints) == [2]

    def stop(saver):
        raise GuardError("lost")

    with pytest.raises(GuardError, match="lost"):
        train(stop)
    assert "NOT WRITTEN: RuntimeError('of this project')" in capsys.readouterr().out
