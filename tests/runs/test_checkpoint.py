"""Checkpoints of any state: what was saved is what is read, and another state's is refused."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.runs import checkpoint


class State(NamedTuple):
    weight: jax.Array
    key: jax.Array
    nothing: jax.Array


class Later(NamedTuple):
    weight: jax.Array
    bias: jax.Array
    key: jax.Array


def state(size=3):
    return State(jnp.arange(float(size)), jax.random.key(7), jnp.zeros((2, 0)))


def abstract(made):
    return jax.eval_shape(lambda: made)


@pytest.fixture
def saved(tmp_path):
    checkpoint.save(tmp_path / "run", 5, state())
    return tmp_path / "run"


def test_a_state_comes_back_with_its_keys_and_its_empty_arrays(saved):
    found = checkpoint.restore(saved, abstract(state()))
    np.testing.assert_array_equal(found.weight, state().weight)
    np.testing.assert_array_equal(jax.random.bits(found.key), jax.random.bits(jax.random.key(7)))
    assert found.nothing.shape == (2, 0)
    assert checkpoint.latest(saved) == 5


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (state(4), r".weight is float32\[3\] there and float32\[4\] here"),
        (
            Later(jnp.zeros(3), jnp.zeros(2), jax.random.key(0)),
            r".bias is missing there and float32\[2\] here",
        ),
        (
            state()._replace(weight=jnp.arange(3)),
            r".weight is float32\[3\] there and int32\[3\] here",
        ),
    ],
)
def test_a_checkpoint_of_another_state_is_refused_and_kept(saved, other, message):
    with pytest.raises(ConfigError, match=message):
        checkpoint.restore(saved, abstract(other))
    assert checkpoint.restore(saved, abstract(state())).weight[2] == 2


class Parameter(NamedTuple):
    """How version 0.1 kept the parameters of its networks: leaves were named ".weight.value"."""

    value: jax.Array


@pytest.mark.parametrize("size", [3, 4])
def test_a_checkpoint_of_version_0_1_is_read_and_checked_as_any_other(tmp_path, size):
    before = state()._replace(weight=Parameter(state().weight))
    checkpoint.save(tmp_path / "run", 5, before)
    if size == 3:
        found = checkpoint.restore(tmp_path / "run", abstract(state()))
        np.testing.assert_array_equal(found.weight, before.weight.value)
    else:
        with pytest.raises(ConfigError, match=r".weight.value is float32\[3\] there and float32"):
            checkpoint.restore(tmp_path / "run", abstract(state(size)))


def test_a_folder_without_checkpoints_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        checkpoint.restore(tmp_path / "none", abstract(state()))
