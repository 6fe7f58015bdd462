"""A picture is of that world: its own bodies and its own goal, as C MuJoCo draws them."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs import headless, rendering
from mjxwm_envs.core import Initial, Marker
from mjxwm_envs.task import Task

XML = """
<mujoco>
  <statistic center="0 0 0" extent="1"/>
  <visual><global offwidth="40" offheight="30"/></visual>
  <worldbody>
    <light pos="0 0 3"/>
    <body name="post" pos=".2 .1 0"><geom name="post" type="box" size=".05 .05 .1" rgba="1 0 0 1"/>
    </body>
    <body mocap="true" name="flag" pos="0 .5 0"><geom size=".06" rgba="0 1 0 1"/></body>
    <site name="aim" pos=".4 .4 0" size=".07" rgba="1 1 0 1"/>
    <body pos="-.2 0 0"><joint name="j" type="slide" axis="0 0 1"/><geom size=".08" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor joint="j" ctrlrange="-1 1"/></actuator>
</mujoco>"""


@dataclasses.dataclass(frozen=True)
class Posts(Task):
    """A post of another size, a flag at another place and another goal in each episode."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.01
    episode_length: int = 5

    def mjcf(self):
        return XML

    def initial(self, key):
        model, (flag, size, goal) = self.model(), jax.random.uniform(key, (3, 3))
        fields = {
            "body_pos": jnp.asarray(model.body_pos).at[2].set(flag - 0.5),
            "geom_size": jnp.asarray(model.geom_size).at[0].set(0.05 + 0.1 * size),
            "opt.gravity": jnp.array([0, 0, -1.0]),
        }
        return Initial(jnp.array([0.1]), jnp.zeros(1), jnp.zeros(0), goal - 0.5, fields)

    def observe(self, physics):
        return jnp.concatenate([physics.qpos, physics.qvel, physics.goal])

    def reward(self, before, action, after):
        return after.qpos[0], {}

    def show(self, model, goal):
        model.site("aim").pos = goal
        return [Marker(goal / 2, 0.05, (1, 0, 1, 1))]


@pytest.fixture
def opengl():
    try:
        rendering.check_opengl()
    except rendering.RenderingUnavailableError as error:
        pytest.skip(str(error))


def drawn_by_c(sim, size=(240, 320)):
    """The picture of a world by hand, but for the marker: a body in its place looks the same."""
    goal = np.asarray(sim.physics.goal, float)
    place = " ".join(map(str, goal / 2))
    ball = f'<geom pos="{place}" size=".05" rgba="1 0 1 1"/></worldbody>'
    model = mujoco.MjModel.from_xml_string(XML.replace("</worldbody>", ball))
    model.vis.global_.offheight, model.vis.global_.offwidth = size
    model.body_pos[:] = sim.fields["body_pos"]
    model.geom("post").size = sim.fields["geom_size"][0]
    model.site("aim").pos = goal
    data = mujoco.MjData(model)
    data.qpos[:] = sim.physics.qpos
    mujoco.mj_forward(model, data)
    with mujoco.Renderer(model, *size) as renderer:
        renderer.update_scene(data)
        return renderer.render()


def test_gymnasium_s_render_is_c_mujoco_s_picture_in_every_episode(opengl):
    env = dataclasses.replace(envs.make("cartpole-balance", "native"))
    task = Posts()
    env = dataclasses.replace(env, task=task, engine=type(env.engine)(task.model(), 2))
    world, pictures = envs.to_gymnasium(env, render_mode="rgb_array"), []
    for seed in range(3):
        world.reset(seed=seed)
        world.step(np.ones(1, np.float32))
        sim = jax.tree.map(lambda x: np.asarray(x[0]), world._state.sim)
        pictures.append(world.render())
        expected = drawn_by_c(sim)
        # A marker's surface is cut into other triangles than a geom's.
        off = np.abs(pictures[-1].astype(int) - expected).max(axis=-1) > 24
        assert off.mean() < 2e-3
    world.close()
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 100


def test_a_model_s_small_buffer_does_not_limit_pictures(opengl):
    model = mujoco.MjModel.from_xml_string(XML)
    camera = rendering.Camera(rendering.Scene(model), (700, 500))
    assert camera.picture(model.qpos0).shape == (500, 700, 3)
    assert model.vis.global_.offwidth == 40
    camera.close()


def test_what_cannot_be_drawn_is_not_blamed_on_opengl(opengl, monkeypatch):
    def fails(*args):
        raise RuntimeError("too many textures")

    monkeypatch.setattr(mujoco, "Renderer", fails)
    with pytest.raises(rendering.RenderingUnavailableError, match=r"cannot draw.*many textures"):
        rendering.Camera(rendering.Scene(mujoco.MjModel.from_xml_string(XML)))


@pytest.mark.parametrize(
    ("environ", "installed", "becomes"),
    [
        ({}, ["egl", "osmesa"], "egl"),
        ({}, ["osmesa"], "osmesa"),
        ({}, [], None),
        ({"DISPLAY": ":0"}, ["egl"], None),
        ({"MUJOCO_GL": ""}, ["egl"], "egl"),
        ({"MUJOCO_GL": "glfw"}, ["egl"], "glfw"),
        ({"MUJOCO_GL": "OSMesa"}, ["egl", "osmesa"], "OSMesa"),
    ],
)
def test_headless_rendering_is_chosen_and_the_user_s_choice_stands(
    environ, installed, becomes, monkeypatch
):
    monkeypatch.setattr(headless.sys, "platform", "linux")
    monkeypatch.setattr(headless, "installed", lambda: installed)
    headless.choose(environ)
    assert environ.get("MUJOCO_GL") == becomes


@pytest.mark.parametrize(
    ("way", "says"), [("opengl", "unknown.*choose glfw"), ("osmesa", "apt install libosmesa6")]
)
def test_a_choice_that_mujoco_cannot_be_imported_with_is_said_and_all_else_works(
    way, says, monkeypatch
):
    monkeypatch.setattr(headless.sys, "platform", "linux")
    monkeypatch.setattr(headless, "installed", lambda: ["egl"])
    monkeypatch.setattr(headless, "complaints", [])
    environ = {"MUJOCO_GL": way}
    with pytest.warns(UserWarning, match=says):
        headless.choose(environ)
    assert environ == {"MUJOCO_GL": "off"}


def test_a_task_whose_show_fails_is_named_and_nothing_to_add_is_fine():
    class Broken(Posts):
        def show(self, model, goal):
            return model.site("aimm")

    class Silent(Posts):
        def show(self, model, goal):
            model.site("aim").pos = goal

    env = envs.make("cartpole-balance", "native")
    broken, silent = (dataclasses.replace(env, name="posts", task=t()) for t in (Broken, Silent))
    with pytest.raises(
        rendering.RenderingUnavailableError, match=r"show of task 'posts': KeyError"
    ):
        broken.scene({}, np.zeros(3))
    engine = type(env.engine)(Posts().model(), 2)
    scene = dataclasses.replace(silent, engine=engine).scene({}, np.ones(3))
    assert scene.markers == ()
    np.testing.assert_array_equal(scene.model.site("aim").pos, 1)


def show(name):
    """A world's goal, its model with the goal in it, and the bodies of a start state."""
    env = envs.make(name, "native")
    sim = env.reset(jax.random.key(3)).sim
    scene = env.scene(sim.fields, sim.physics.goal)
    data = mujoco.MjData(scene.model)
    data.qpos[:] = sim.physics.qpos
    mujoco.mj_kinematics(scene.model, data)
    return env.task, sim.physics, scene, data


@pytest.mark.parametrize("name", ["reacher-easy", "reacher-hard", "reacher-three-hard"])
def test_the_reacher_s_target_is_where_and_as_large_as_it_is_rewarded(name):
    task, physics, scene, data = show(name)
    target = data.geom("target").xpos - data.geom("finger").xpos
    np.testing.assert_allclose(target[:2], task.to_target(physics), atol=1e-6)
    assert scene.model.geom("target").size[0] == task.target_size


def test_the_fish_s_and_the_finger_s_targets_are_where_they_are_rewarded():
    task, physics, scene, data = show("fish-swim")
    seen = (data.geom("target").xpos - data.geom("mouth").xpos) @ data.geom("mouth").xmat.reshape(
        3, 3
    )
    np.testing.assert_allclose(seen, task._to_target(physics), atol=1e-6)
    task, physics, scene, data = show("finger-turn-hard")
    from_hinge = data.site("target").xpos - data.joint("hinge").xanchor
    np.testing.assert_allclose(from_hinge[[0, 2]], task.target(physics), atol=1e-6)
    assert scene.model.site("target").size[0] == task.target_size
    # As in the suite, what these two tasks have no use for is not drawn.
    assert show("finger-spin")[2].model.site("target").rgba[3] == 0
    assert show("fish-upright")[2].model.geom("target").rgba[3] == 0
