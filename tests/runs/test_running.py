"""A state between iterations: the same results as if it were passed whole, and it comes back."""

import jax
import jax.numpy as jnp
import pytest

from mjxwm.models import nets
from mjxwm.runs.running import Iteration, Running


def initial(key):
    net = nets.Linear.create(2, 3, "torch", key=key)
    return {"net": net, "count": jnp.zeros((), int), "key": key}


def iterate(state, shift=0.0):
    key, noise = jax.random.split(state["key"])
    x = jax.random.normal(noise, (5, 2)) + shift
    loss, gradient = jax.value_and_grad(lambda net: (net(x) ** 2).mean())(state["net"])
    net = jax.tree.map(lambda a, g: a - 0.1 * g, state["net"], gradient)
    return {"net": net, "count": state["count"] + 1, "key": key}, {"loss": loss}


def test_iterations_are_those_of_whole_states(key):
    state, step = initial(key), jax.jit(iterate)
    running = Running(Iteration(iterate), initial(jax.random.key(0)))
    for _ in range(3):
        state, metrics = step(state)
        assert running()["loss"] == metrics["loss"]
    running.wait()
    assert isinstance(running.state["net"], nets.Linear)
    assert running.state["count"] == 3
    x = jnp.ones((4, 2))
    assert (running.state["net"](x) == state["net"](x)).all()


def test_runs_of_one_structure_share_a_program_and_not_their_states(key):
    iteration = Iteration(iterate)
    one, other = (Running(iteration, initial(jax.random.key(i))) for i in range(2))
    assert one._program is other._program
    losses = [one()["loss"], other()["loss"], one()["loss"]]
    assert len(set(map(float, losses))) == 3
    assert (one.state["count"], other.state["count"]) == (2, 1)


def test_data_goes_in_and_a_program_compiled_ahead_does_the_same(key):
    one, other = (Running(Iteration(iterate), initial(jax.random.key(0))) for _ in range(2))
    assert other.compiled(1.0).as_text()
    assert one(1.0)["loss"] == other(1.0)["loss"]
    assert one(1.0)["loss"] != Running(Iteration(iterate), initial(key))()["loss"]


def test_an_iteration_that_changes_the_structure_is_refused(key):
    running = Running(Iteration(lambda state: (state["net"], {})), initial(key))
    with pytest.raises(AssertionError, match="changed its state"):
        running()
