"""A film shows the world of the evaluation's first episode: its own bodies and goal."""

import types

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs import rendering
from mjxwm_envs.rendering import following

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
    model.vis.global_.offwidth = 640
    with mujoco.Renderer(model, 480, 640) as renderer:
        renderer.update_scene(data)
        expected = renderer.render()

    import imageio.v2 as imageio

    frame = imageio.mimread(film)[0]
    np.testing.assert_allclose(reddish(frame), reddish(expected), atol=6)


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


def test_the_camera_goes_with_a_cart_and_stands_still_for_an_arm():
    cart = envs.make_task("cartpole-swingup", "native").task.model()
    qpos = np.stack([np.linspace(-1.5, 1.5, 7), np.zeros(7)], axis=1)
    seen = following.views(cart, qpos, following.camera_of(cart, "side"))
    assert seen is not None
    np.testing.assert_allclose([view.lookat[0] for view in seen], qpos[:, 0], atol=1e-6)
    assert {(view.distance, view.elevation, view.lookat[2]) for view in seen} == {
        (seen[0].distance, seen[0].elevation, seen[0].lookat[2])
    }
    assert following.views(cart, qpos * 0.1, "side") is None
    hopper = envs.make_task("hopper", "native").task.model()
    far = np.tile(hopper.qpos0, (2, 1)) + np.arange(2)[:, None]
    assert following.views(hopper, far, "side") is None, "that camera follows by itself"


def test_a_camera_that_follows_is_taken_where_none_has_the_name():
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><camera name='still'/><body><joint/><geom size='1'/>"
        "<camera name='hand' mode='track'/></body><body><freejoint/><geom size='1'/>"
        "<camera name='along' mode='trackcom'/></body></worldbody></mujoco>"
    )
    assert following.camera_of(model, "still") == "still"
    assert following.camera_of(model, "side") == "along"
    assert following.camera_of(mujoco.MjModel.from_xml_string("<mujoco/>"), "side") is None
