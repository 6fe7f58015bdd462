"""A film shows the world of the evaluation's first episode: its own bodies and goal."""

import types

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs import rendering

from mjxwm.reports import outcome
from mjxwm.runs import build
from mjxwm.runs.evaluate import evaluate


@pytest.fixture
def opengl():
    try:
        rendering.check_opengl()
    except rendering.RenderingUnavailableError as error:
        pytest.skip(str(error))


def test_the_reacher_s_target_in_the_film_is_the_episode_s(opengl, tmp_path, monkeypatch):
    env = envs.make("reacher-easy", "native", episode_length=3, target_size=0.08)
    seen = evaluate(env, lambda obs: jnp.zeros((len(obs), 2)), jax.random.key(0), 2)
    seen = jax.device_get(seen)
    start = jax.tree.map(lambda x: x[0], env.batch(2).reset(jax.random.key(0)).state.sim)
    np.testing.assert_array_equal(seen.goal, start.physics.goal)
    monkeypatch.setattr(build, "make_env", lambda cfg: env)
    film = outcome.film(types.SimpleNamespace(), seen, tmp_path / "film.mp4")
    model = env.task.model()
    model.geom("target").pos[:2], model.geom("target").size[0] = start.physics.goal, 0.08
    data = mujoco.MjData(model)
    data.qpos[:] = start.physics.qpos
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, 240, 320) as renderer:
        renderer.update_scene(data)
        expected = renderer.render()

    import imageio.v2 as imageio

    frame = imageio.mimread(film)[0]
    np.testing.assert_allclose(reddish(frame), reddish(expected), atol=3)


def reddish(frame):
    """The middle of the target: row and column."""
    red, green, blue = np.moveaxis(frame.astype(int), -1, 0)
    return np.argwhere((red > 90) & (red > green + 40) & (red > blue + 30)).mean(axis=0)


def test_the_model_of_a_film_is_the_first_episode_s():
    env = envs.make(
        "cartpole-balance",
        "native",
        episode_length=2,
        randomise=envs.Randomisation(gravity=(0.5, 2)),
    )
    seen = evaluate(env, lambda obs: jnp.zeros((len(obs), 1)), jax.random.key(5), 3)
    state = env.batch(3).reset(jax.random.key(5)).state
    scene = env.scene(jax.device_get(seen.fields), seen.goal)
    np.testing.assert_array_equal(scene.model.opt.gravity, state.sim.fields["opt.gravity"][0])
