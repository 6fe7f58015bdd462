"""Physics, tasks and their gradients multiply in full float32, whatever JAX's default is."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from jax.extend.core import Jaxpr
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.precision import all_in_full, in_full

HIGHEST = jax.lax.Precision.HIGHEST
BOXES = """
<mujoco>
  <worldbody>
    <geom type="box" size="1 1 .1"/>
    <body pos="0 0 .199">
      <freejoint/><geom type="box" size=".1 .1 .1"/>
      <body pos="0 0 .3"><joint type="ball" stiffness="1"/><geom size=".05"/></body>
    </body>
  </worldbody>
</mujoco>"""


def products(program):
    """The precision of every product in a program, inner ones too."""
    program = getattr(program, "jaxpr", program)
    if isinstance(program, Jaxpr):
        for operation in program.eqns:
            if operation.primitive is jax.lax.dot_general_p:
                yield operation.params["precision"]
            for value in operation.params.values():
                yield from products(value)
    elif isinstance(program, tuple | list):
        for part in program:
            yield from products(part)


def assert_in_full(function, *args):
    found = list(products(jax.make_jaxpr(function)(*args)))
    assert found
    assert set(found) == {(HIGHEST, HIGHEST)}


@pytest.fixture(params=["bfloat16", "tensorfloat32"])
def coarse(request):
    """A default that an NVIDIA GPU would take, or a user ask for."""
    with jax.default_matmul_precision(request.param):
        yield


def test_a_step_of_boxes_and_its_gradient():
    """Differentiated outside of everything, as learners do, where rules are traced last."""
    model = mujoco.MjModel.from_xml_string(BOXES)
    engine = Mjx(model, 1)
    start = Initial(jnp.float32(model.qpos0), jnp.zeros(model.nv), jnp.zeros(0))

    @jax.jit
    def height(start):
        return engine.step(engine.reset(start), jnp.zeros(0)).physics.qpos[2]

    with jax.default_matmul_precision("tensorfloat32"):
        assert_in_full(jax.grad(height), start)


def test_a_tasks_own_products_too(coarse, key):
    env = envs.make("hopper", engine="native")
    mixed = np.eye(env.spec.obs_size, dtype=np.float32)

    class Mixing(type(env.task)):
        def observe(self, physics):
            return mixed @ super().observe(physics)

    env = type(env)("mixing", Mixing(), env.engine)
    action = jnp.zeros(env.action_size)
    assert_in_full(lambda key: env.step(env.reset(key), action).obs, key)


def test_what_is_around_the_step_stays_as_coarse_as_it_was():
    half = jnp.ones((4, 4))

    def loss(x):
        return (in_full(jnp.dot)(x, half) @ half).sum()

    with jax.default_matmul_precision("bfloat16"):
        found = list(products(jax.make_jaxpr(loss)(half)))
    assert found == [(HIGHEST, HIGHEST), (jax.lax.Precision.DEFAULT,) * 2]


def test_what_asks_for_less_is_raised_and_its_value_is_the_same(key):
    x = jax.random.normal(key, (5, 3))

    def scores(tree):
        dot = jax.jit(jax.vmap(lambda a, b: jnp.dot(a, b, precision="high"), (None, 0)))
        each = jax.lax.map(lambda row: dot(row, tree["x"]), tree["x"])
        return {"best": jax.lax.cond(each[0, 0] > 0, lambda m: m @ m, lambda m: m, each)}

    raised = all_in_full(scores)
    assert_in_full(raised, {"x": x})
    np.testing.assert_array_equal(raised({"x": x})["best"], scores({"x": x})["best"])
