"""Reverse-mode gradients through sixteen control steps of the muscle humanoid, against C MuJoCo."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.muscle_humanoid import MuscleHumanoid

pytest.importorskip("myo_sim")
STEPS = 16
H = 1e-6  # half width of the differences: rounding then weighs about as much as curvature


def point(model: mujoco.MjModel) -> tuple[np.ndarray, ...]:
    """Activations over time, then positions, velocities and activations at the start.

    The feet are 4 mm in the floor. Neither an activation nor a joint is at an end of its range,
    where slopes differ.
    """
    rng = np.random.default_rng(0)
    low, high = model.jnt_range[1:].T
    qpos = model.key_qpos[0] - 0.005 * (np.arange(model.nq) == 2)
    qpos[7:] = np.clip(qpos[7:], low + 0.02, high - 0.02)
    ctrls = rng.uniform(0.05, 0.5, (STEPS, model.nu))
    return ctrls, qpos, 0.1 * rng.normal(size=model.nv), rng.uniform(0.05, 0.5, model.na)


def weights(model: mujoco.MjModel) -> np.ndarray:
    return np.random.default_rng(1).normal(size=model.nq + model.nv)


def in_mjx(model: mujoco.MjModel, substeps: int):
    """Value and gradient of a weighted sum of the last positions and velocities."""
    engine = Mjx(model, substeps)
    assert engine.differentiable

    def value(ctrls, qpos, qvel, act):
        sim = engine.reset(Initial(qpos, qvel, act))
        end, _ = jax.lax.scan(lambda sim, ctrl: (engine.step(sim, ctrl), None), sim, ctrls)
        return jnp.concatenate([end.physics.qpos, end.physics.qvel]) @ weights(model)

    arguments = [jnp.asarray(x, float) for x in point(model)]
    return jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2, 3)))(*arguments)


def in_c(model: mujoco.MjModel, substeps: int, ctrls, qpos, qvel, act) -> tuple[float, bytes]:
    """The same value by C MuJoCo, and the zones that the constraints were in, step by step."""
    data, zones = mujoco.MjData(model), b""
    data.qpos[:], data.qvel[:], data.act[:] = qpos, qvel, act
    for ctrl in np.repeat(ctrls, substeps, axis=0):
        data.ctrl[:] = ctrl
        mujoco.mj_step(model, data)
        zones += data.efc_state.tobytes() + data.efc_id.tobytes() + b"|"
    return float(np.concatenate([data.qpos, data.qvel]) @ weights(model)), zones


def difference(model: mujoco.MjModel, substeps: int, part: int, direction: np.ndarray) -> float:
    """The slope of the value as one of the arguments moves in `direction`."""

    def at(distance: float) -> tuple[float, bytes]:
        moved = list(point(model))
        moved[part] = moved[part] + distance * direction
        return in_c(model, substeps, *moved)

    (ahead, zones_ahead), (behind, zones_behind) = at(H), at(-H)
    assert zones_ahead == zones_behind, "a contact or limit comes or goes between the two points"
    return (ahead - behind) / (2 * H)


@pytest.mark.slow
@pytest.mark.parametrize("body", ["direct", "muscle"])
def test_the_gradient_is_that_of_central_differences(body):
    task = MuscleHumanoid(body=body)
    model, substeps = load_model(task), round(task.ctrl_dt / task.sim_dt)
    model.opt.iterations, model.opt.tolerance = (
        100,
        1e-15,
    )  # differences of unfinished solutions would be noise
    with jax.enable_x64(True):
        value, gradient = in_mjx(model, substeps)
    assert value == pytest.approx(in_c(model, substeps, *point(model))[0], rel=1e-9)
    rng = np.random.default_rng(2)
    # Along random directions of each argument apart: activations, positions, velocities, muscles.
    for k, part in enumerate(gradient):
        assert jnp.isfinite(part).all()
        found, expected = [], []
        for _ in range(8 if part.size else 0):
            direction = rng.normal(size=part.shape)
            if k == 1:
                direction[3:7] = 0  # a quaternion is not a free vector
            direction /= np.linalg.norm(direction)
            found.append(float(np.sum(part * direction)))
            expected.append(difference(model, substeps, k, direction))
        if found:
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(map(abs, found)))
    in_single = in_mjx(load_model(task), substeps)[1]
    for single, double in zip(in_single, gradient, strict=True):
        assert jnp.isfinite(single).all()
        if single.size and np.abs(double).max() > 0:
            apart = np.linalg.norm(single - np.asarray(double)) / np.linalg.norm(double)
            assert apart < 0.01
