"""MyoSuite's tasks on MJX and Warp against C MuJoCo. Compilation takes minutes on a CPU."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest

pytest.importorskip("myosuite")
pytestmark = pytest.mark.slow

WORLDS, STEPS = 3, 5
# Largest difference of an observation within five control steps, in the precision that comes with
# it. Activity in float32 differs in the seventh digit, which a muscle's curves, joint limits and
# feet on the ground amplify; in float64 MJX follows C but for tendons inside of a wrapping geom.
MJX = {
    "myo-elbow-pose-random": (False, 1e-5),
    "myo-finger-reach-random": (True, 1e-9),
    "myo-hand-reach-random": (False, 1e-2),
    "myo-leg-walk": (False, 1e-3),
}


@pytest.mark.parametrize(("name", "double", "tolerance"), [(k, *v) for k, v in MJX.items()])
def test_mjx_follows_c(name, double, tolerance):
    with jax.enable_x64(double):
        np.testing.assert_allclose(
            observations(name, "mjx"), observations(name, "native"), atol=tolerance
        )


@pytest.mark.filterwarnings("ignore:engine='warp' without an NVIDIA GPU")
def test_warp_follows_c_with_an_object_of_another_size_in_each_world():
    name = "myo-hand-obj-hold-random"
    np.testing.assert_allclose(observations(name, "warp"), observations(name, "native"), atol=1e-3)


def observations(name, engine):
    env = envs.make(name, engine=engine).for_worlds(WORLDS)
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(3), WORLDS))
    step, seen = jax.jit(jax.vmap(env.step)), [state.obs]
    size = (STEPS, WORLDS, env.action_size)
    for action in jax.random.uniform(jax.random.key(1), size, minval=-1, maxval=1):
        state = step(state, action)
        seen.append(state.obs)
    return jnp.stack(seen)
