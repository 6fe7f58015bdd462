"""One task on three engines: native is C MuJoCo to the last bit, mjx and warp agree with native."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from engine_cases import B, Bouncer, actions, bouncer_starts, compiled, hopper_starts, random_starts
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native
from mjxwm_envs.engines.warp import Warp
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.dm_control.cartpole import Cartpole
from mjxwm_envs.tasks.locomotion.hopper import Hopper


def exact(hidden, model) -> dict[str, np.ndarray]:
    """The float64 state that native carries as bits."""
    row = np.asarray(hidden)[..., :-2].copy().view(np.float64)
    ends = np.cumsum([1, model.nq, model.nv])
    time, qpos, qvel, warmstart = np.split(row, ends, axis=-1)
    return {"time": time[..., 0], "qpos": qpos, "qvel": qvel, "qacc_warmstart": warmstart}


class SensedHopper(Hopper):
    @property
    def derived(self):
        return ("sensordata", "subtree_com", "qacc")


class SensedCartpole(Cartpole):
    @property
    def derived(self):
        return ("sensordata", "geom_xmat")


TASKS = [Cartpole(), SensedCartpole(), Hopper(), SensedHopper(), Bouncer()]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_native_equals_a_loop_over_mj_step_to_the_last_bit(task):
    engine, reset, step = compiled("native", task, derived=True)
    model = load_model(task)
    start = bouncer_starts() if isinstance(task, Bouncer) else random_starts(model.nq, model.nv)
    ctrl = actions(model.nu, 100)
    sim, _ = jax.lax.scan(lambda s, c: (step(s, c), None), reset(start), ctrl)
    ours = exact(sim.hidden, model)
    for world in range(B):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = start.qpos[world], start.qvel[world]
        for control in np.asarray(ctrl[:, world]):
            data.ctrl[:] = control
            mujoco.mj_step(model, data, nstep=engine.n_substeps)
        for field, value in ours.items():
            np.testing.assert_array_equal(value[world], getattr(data, field), err_msg=field)
        np.testing.assert_array_equal(sim.physics.qpos[world], data.qpos.astype(np.float32))
        # As in dm_control: positions and velocities anew, accelerations of the last physics step.
        mujoco.mj_step1(model, data)
        for field, value in sim.physics.derived.items():
            np.testing.assert_array_equal(value[world], getattr(data, field).astype(np.float32))


# Two exact minimisers of the same cost differ by rounding only, but near its minimum the cost is
# flat: in float32 its argument is determined to about sqrt(eps) of its own size and no better.
# Without constraints nothing is minimised, and only the condition of the inertia matrix counts.
EPS = float(np.finfo(np.float32).eps)
SMOOTH, SOLVED = 100 * EPS, EPS**0.5


@pytest.mark.parametrize("engine", ["mjx", "warp"])
@pytest.mark.parametrize(
    ("kind", "relative"), [("flying", SMOOTH), ("standing", SOLVED), ("falling", SOLVED)]
)
def test_a_control_step_of_the_hopper_agrees_with_native(engine, kind, relative):
    # One step only: contacts amplify any difference, so longer trajectories part in any float32.
    task, start, ctrl = Hopper(), hopper_starts(kind), actions(3, 1)[0]
    results = []
    for name in ("native", engine):
        _, reset, step = compiled(name, task)
        results.append(step(reset(start), ctrl).physics)
    ours, native = results[1], results[0]
    change = float(jnp.abs(native.qvel - start.qvel).max())
    assert float(jnp.abs(ours.qvel - native.qvel).max()) < relative * change
    tolerance = relative * change * task.ctrl_dt + 4 * EPS
    assert float(jnp.abs(ours.qpos - native.qpos).max()) < tolerance
    np.testing.assert_allclose(ours.time, native.time, rtol=4 * EPS)


@pytest.mark.parametrize("kind", ["standing", "falling"])
def test_those_hoppers_do_touch_the_floor(kind):
    model, start = load_model(Hopper()), hopper_starts(kind)
    data, touching = mujoco.MjData(model), 0
    for qpos in np.asarray(start.qpos):
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        touching += data.ncon > 0
    assert touching >= B / 2


@pytest.mark.parametrize("engine", ["mjx", "warp"])
def test_a_cartpole_trajectory_agrees_with_native(engine):
    # Smooth dynamics: errors grow only with the pole's own instability, e^(4 t) over 0.2 s.
    start, ctrl = random_starts(2, 2), actions(1, 20)
    finals = []
    for name in ("native", engine):
        _, reset, step = compiled(name, Cartpole())
        sim = reset(start)
        for c in ctrl:
            sim = step(sim, c)
        finals.append(sim.physics)
    np.testing.assert_allclose(finals[1].qpos, finals[0].qpos, atol=2 * SMOOTH)
    np.testing.assert_allclose(finals[1].qvel, finals[0].qvel, atol=10 * SMOOTH)


@pytest.mark.parametrize("engine", ["mjx", "warp"])
@pytest.mark.parametrize("moment", ["reset", "step"])
def test_derived_fields_agree_with_native_in_shape_and_value(engine, moment):
    task, start, ctrl = Bouncer(), bouncer_starts(), actions(1, 1)[0]
    fields = {}
    for name in ("native", engine):
        _, reset, step = compiled(name, task, derived=True)
        sim = reset(start)
        sim = sim if moment == "reset" else step(sim, ctrl)
        fields[name] = sim.physics.derived
    for name, native in fields["native"].items():
        ours = fields[engine][name]
        assert ours.shape == native.shape, name
        # Forces and accelerations come out of the solve; the rest is smooth and of size 1.
        np.testing.assert_allclose(ours, native, rtol=SOLVED, atol=2 * SOLVED, err_msg=name)
    touch = fields["native"]["sensordata"][:, -1]
    assert touch[1] > 1 > touch[0] == 0  # [N]: the case is not an empty one


@pytest.mark.slow
def test_mjx_in_float64_agrees_with_native_for_twenty_steps_in_contact():
    # 1e-9 leaves room for the contacts to amplify the rounding of 80 physics steps.
    with jax.enable_x64(True):
        task, finals = Hopper(), []
        for engine in (Native(load_model(task), 4), Mjx(load_model(task), 4)):
            start = jax.tree.map(lambda x: x.astype(jnp.float64), hopper_starts("standing"))
            sim, step = jax.jit(jax.vmap(engine.reset))(start), jax.jit(jax.vmap(engine.step))
            for ctrl in actions(3, 20):
                sim = step(sim, ctrl)
            finals.append(sim.physics)
        assert finals[1].qpos.dtype == jnp.float64
        np.testing.assert_allclose(finals[1].qpos, finals[0].qpos, atol=1e-9)
        np.testing.assert_allclose(finals[1].qvel, finals[0].qvel, atol=1e-9)


def test_warp_runs_in_float32_where_jax_has_float64():
    with jax.enable_x64(True):
        engine = Warp(load_model(Bouncer()), 2, Bouncer().derived, num_worlds=B)
        start = jax.tree.map(lambda x: x.astype(jnp.float64), bouncer_starts())
        sim = jax.jit(jax.vmap(engine.reset))(start)
        sim = jax.jit(jax.vmap(engine.step))(sim, actions(1, 1)[0])
        assert {x.dtype for x in jax.tree.leaves(sim)} == {jnp.dtype("float64")}
    _, reset, step = compiled("warp", Bouncer(), derived=True)
    in_float32 = step(reset(bouncer_starts()), actions(1, 1)[0])
    np.testing.assert_allclose(sim.physics.qpos, in_float32.physics.qpos, atol=4 * EPS)
