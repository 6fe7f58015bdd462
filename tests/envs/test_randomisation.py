"""Worlds that differ: masses, friction, gains, gravity per world, and actions that come late."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs import Randomisation
from mjxwm_envs.env import load_model

B = 4
ALL = Randomisation(mass=(0.5, 2), friction=(0.3, 2), gain=(0.5, 1.5), gravity=(0.5, 1.5))


@pytest.mark.parametrize("task", ["walker-run", "cup-catch"])
def test_masses_reach_sensors_of_subtrees_and_simple_bodies(task):
    heavy = Randomisation(mass=(2.0, 2.0), gain=(2.0, 2.0))
    seen = []
    for randomise in (None, heavy):
        env = envs.make(task, engine="native", randomise=randomise)
        start = env.task.initial(jax.random.key(0))
        start = start._replace(qvel=jnp.linspace(0.5, 1.0, env.engine.model.nv))
        fields = {} if randomise is None else env.initial(jax.random.key(1)).fields
        state = jax.jit(env.place)(start._replace(fields=fields))
        seen.append([state, jax.jit(env.step)(state, jnp.zeros(env.action_size))])
    (light, after), (same, heavier) = seen
    for name in light.sim.physics.derived:
        if name == "sensordata":  # the speed of the centre of mass does not know the mass
            a, b = (x.sim.physics.derived[name] for x in (light, same))
            np.testing.assert_allclose(a, b, rtol=1e-4)
    if task == "cup-catch":  # a ball in the air falls as fast, whatever it weighs
        np.testing.assert_allclose(
            heavier.sim.physics.qvel[3], after.sim.physics.qvel[3], atol=1e-3
        )


def test_a_muscle_s_strength_alone_is_its_gain(key):
    model = envs.make("myo-elbow-pose", engine="native").engine.model
    fields = Randomisation(gain=(0.5, 0.5)).fields(model, key)
    ratio = np.asarray(fields["actuator_gainprm"])[:, :9] / model.actuator_gainprm[:, :9]
    force = np.where(model.actuator_gainprm[:, 2] >= 0, 2, 3)
    for row, at in zip(ratio, force, strict=True):
        np.testing.assert_allclose(row[at], 0.5)
        np.testing.assert_allclose(np.delete(row, at)[np.isfinite(np.delete(row, at))], 1)


def stepped(engine, steps=3, task="hopper"):
    env = envs.make(task, engine=engine, randomise=ALL)
    batch = env.batch(B)
    worlds = jax.jit(batch.reset)(jax.random.key(0))
    actions = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (steps, B, 3)), jnp.float32)
    first = worlds.state.sim
    return env, first, actions, jax.jit(lambda w: jax.lax.scan(batch.step, w, actions))(worlds)[0]


def test_a_world_is_c_mujoco_on_its_own_model():
    env, first, actions, worlds = stepped("native")
    for world in range(B):
        model = load_model(env.task)
        for name, values in first.fields.items():
            where, _, field = name.rpartition(".")
            target = getattr(model.opt if where else model, field)
            target[:] = values[world]
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = first.physics.qpos[world], first.physics.qvel[world]
        for action in actions[:, world]:
            data.ctrl[:] = env.to_ctrl(action)
            mujoco.mj_step(model, data, nstep=env.engine.n_substeps)
        np.testing.assert_allclose(worlds.state.sim.physics.qpos[world], data.qpos, atol=1e-6)


@pytest.mark.parametrize("engine", [pytest.param("mjx", marks=pytest.mark.slow), "warp"])
def test_engines_agree_on_randomised_worlds(engine):
    _, _, _, native = stepped("native")
    _, _, _, other = stepped(engine)
    physics = [w.state.sim.physics for w in (native, other)]
    np.testing.assert_allclose(physics[1].qpos, physics[0].qpos, atol=1e-4)
    np.testing.assert_allclose(physics[1].qvel, physics[0].qvel, atol=1e-2)


def test_factors_are_in_their_ranges_and_differ_between_worlds(key):
    model = envs.make("hopper", engine="native").engine.model
    keys = jax.random.split(key, 500)
    fields = jax.vmap(lambda k: ALL.fields(model, k))(keys)
    moving = model.body_mass > 0
    mass = fields["body_mass"][:, moving] / model.body_mass[moving]
    inertia = fields["body_inertia"][:, moving, 0] / model.body_inertia[moving, 0]
    np.testing.assert_allclose(mass, inertia, rtol=1e-5)
    for factor, (low, high) in (
        (mass, ALL.mass),
        (fields["geom_friction"][:, :, 0] / model.geom_friction[:, 0], ALL.friction),
        (fields["opt.gravity"][:, 2:] / model.opt.gravity[2], ALL.gravity),
    ):
        assert low * 0.999 <= float(factor.min()) < low + 0.1
        assert high - 0.1 < float(factor.max()) <= high * 1.001
        assert abs(float(factor.mean()) - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * 500)
    assert np.std(mass[0]) > 0  # one factor for each body
    rolling = np.broadcast_to(model.geom_friction[:, 1:], (500, model.ngeom, 2))
    np.testing.assert_allclose(fields["geom_friction"][..., 1:], rolling, rtol=1e-6)


def test_only_what_is_drawn_travels_with_a_world(key):
    model = envs.make("hopper", engine="native").engine.model
    assert set(Randomisation(gravity=(0.9, 1.1)).fields(model, key)) == {"opt.gravity"}
    assert envs.make("hopper", engine="native", randomise=Randomisation()).randomise is None


def test_each_episode_has_another_body(key):
    env = envs.make("hopper", engine="native", randomise=ALL, episode_length=2)
    batch = env.batch(B)
    worlds = jax.jit(batch.reset)(key)
    before = worlds.state.sim.fields["body_mass"]
    step = jax.jit(batch.step)
    for t in range(2):
        np.testing.assert_array_equal(worlds.state.sim.fields["body_mass"], before)
        worlds, _ = step(worlds, jnp.zeros((B, 3)))
        del t
    assert (worlds.state.sim.fields["body_mass"][:, 1:] != before[:, 1:]).all()


def test_late_actions_are_earlier_ones_and_are_seen(key):
    late = envs.make("hopper", engine="native", randomise=Randomisation(latency=3))
    prompt = envs.make("hopper", engine="native")
    start = prompt.initial(key)
    actions = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (6, 3)), jnp.float32)
    for lag in range(4):
        a = jax.jit(late.place)(start._replace(lag=jnp.asarray(lag)))
        b = jax.jit(prompt.place)(start)
        shifted = jnp.concatenate([jnp.zeros((lag, 3)), actions])[:6]
        for own, earlier in zip(actions, shifted, strict=True):
            a, b = jax.jit(late.step)(a, own), jax.jit(prompt.step)(b, earlier)
        np.testing.assert_array_equal(a.obs, jnp.concatenate([b.obs, actions[:2:-1].ravel()]))
    assert late.spec.obs_size == prompt.spec.obs_size + 3 * 3
    lags = jax.vmap(lambda k: late.initial(k).lag)(jax.random.split(key, 200))
    assert sorted(set(np.asarray(lags).tolist())) == [0, 1, 2, 3]


def test_latency_is_of_control_steps_also_within_an_action_that_repeats(key):
    late = envs.make("hopper", engine="native", action_repeat=2, randomise=Randomisation(latency=1))
    prompt = envs.make("hopper", engine="native")
    start = prompt.initial(key)
    one = jnp.full(3, 0.7)
    state = jax.jit(late.step)(jax.jit(late.place)(start._replace(lag=jnp.asarray(1))), one)
    other = jax.jit(prompt.place)(start)
    for action in (jnp.zeros(3), one):
        other = jax.jit(prompt.step)(other, action)
    np.testing.assert_allclose(state.obs, jnp.concatenate([other.obs, one]), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass": (2.0, 1.0)}, r"mass=\(2.0, 1.0\) is no range"),
        ({"gain": (-1.0, 1.0)}, "is no range"),
        ({"latency": -1}, "latency=-1 is out of range"),
    ],
)
def test_what_is_no_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ALL, **change)


def test_foreign_bodies_cannot_be_randomised():
    with pytest.raises(ValueError, match="foreign"):
        envs.make("gymnasium/HalfCheetah-v5", randomise=ALL)
