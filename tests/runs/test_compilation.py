"""Programs of a run are compiled side by side, each of them once."""

import logging
import re

import jax
import jax.numpy as jnp
import pytest

from mjxwm.runs import compilation, loop
from mjxwm.runs.config import Config
from mjxwm.runs.presets import load_preset


def test_it_is_called_as_the_function_is():
    """The same value, and the donated argument is consumed."""
    function = jax.jit(lambda x, y: x + y, donate_argnums=0)
    x = jnp.arange(3.0)
    compiling = compilation.Compiling(function, x, jax.ShapeDtypeStruct((3,), jnp.float32))
    assert (compiling(x, jnp.ones(3)) == jnp.arange(1.0, 4.0)).all()
    assert x.is_deleted()
    assert compiling.seconds > 0


def test_what_the_compiler_raises_is_raised_where_the_program_is_needed():
    """Not in the thread alone, where nobody would see it."""

    class Broken:
        def lower(self, *shapes):
            return self

        def compile(self):
            raise MemoryError("no room")

    compiling = compilation.Compiling(Broken(), 1)
    with pytest.raises(MemoryError, match="no room"):
        compiling(1)


@pytest.fixture
def logged(caplog):
    """JAX's log of what is compiled, in all threads, unlike that of `jax.log_compiles()`."""
    jax.config.update("jax_log_compiles", True)
    yield caplog
    jax.config.update("jax_log_compiles", False)


def test_a_run_compiles_each_program_once_and_says_so(tmp_path, logged, capsys):
    """First state, iteration and evaluation."""
    config = load_preset(Config, "debug")
    with logged.at_level(logging.WARNING):
        result = loop.run(config, "debug", "run", tmp_path)
        assert result.evaluation is not None
    assert _compiled(logged) == {"init": 1, "iterate": 1, "run": 1}
    assert re.search(
        r"^compile  iteration, evaluation beside it: \d+ s$", capsys.readouterr().out, re.M
    )


def _compiled(caplog):
    names = re.findall(r"Finished XLA compilation of jit\((init|iterate|run)\)", caplog.text)
    return {name: names.count(name) for name in names}
