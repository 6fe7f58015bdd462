"""What does not fit into memory is said before it starts, with what would fit."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import pytest

from mjxwm import ConfigError
from mjxwm.runs import build, memory, presets
from mjxwm.runs.config import Config as RunConfig


def test_bytes_of_a_tree():
    """Of arrays and of their shapes alike; a random key is two words."""
    tree = {"a": jnp.zeros((3, 4)), "b": jnp.zeros(5, jnp.uint8), "key": jax.random.key(0)}
    assert memory.size(tree) == 48 + 5 + 8
    assert memory.size(jax.eval_shape(lambda: tree)) == 48 + 5 + 8


def test_some_memory_is_free_here():
    """Less than a terabyte, more than a few megabytes, on whatever runs this."""
    assert 1e6 < memory.available(jax.devices()[0]) < 1e13


def test_too_many_worlds_are_refused_with_the_number_that_fits(monkeypatch):
    """And that number does fit."""
    monkeypatch.setattr(memory, "available", lambda device: 40e6)
    cfg = presets.load_preset(RunConfig, "debug")

    def sized(worlds):
        algo = dataclasses.replace(cfg.algo, worlds=worlds, capacity=500_000)
        return dataclasses.replace(cfg, algo=algo)

    with pytest.raises(ConfigError, match=r"worlds=100,000: the state takes about 0\.\d GB") as e:
        build.build(sized(100_000))
    fits = int(re.search(r"about ([\d,]+) worlds fit", str(e.value)).group(1).replace(",", ""))
    assert 1000 < fits < 100_000
    build.build(sized(int(0.99 * fits)))
    with pytest.raises(ConfigError, match="GB can be had"):
        build.build(sized(int(1.01 * fits)))
