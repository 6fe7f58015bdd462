"""A stance on both feet that is in equilibrium, and the muscle activations that hold it.

The body is first held by stiff springs in its joints instead of muscles, and stands until it rests.
Springs of hips and ankles are moved meanwhile until the pelvis is upright and the centre of mass
is ahead of the ankles. The torques of the springs are then those that the muscles have to give.
"""

import copy

import mujoco
import numpy as np
from jaxtyping import Float

from mjxwm_envs.tasks.locomotion.muscle_body import poses

KNEE = 0.3
"""Flexion of the knees [rad]; stretched ones would be at the end of their range."""
AHEAD = 0.05
"""Distance of the centre of mass before the ankles [m]: about the middle of the foot."""
TONE = 0.25
"""Activation that each muscle has as far as the equilibrium permits: torques of both signs can be
given by more and by less of it."""

_STIFFNESS, _DAMPING = 3000.0, 120.0  # [N m/rad], [N m s/rad]; ten times the weight's at the ankles
_STEP = 1 / 480  # [s]
_SLACK = 0.01  # [(N m)^2]
_RELAX = 0.05  # [s]
_STRONGEST = 1e5  # [N], beyond all muscles: the range is there for its other end
_ROUNDS, _ROUND = 20, 240  # corrections of the springs, and physics steps before each


def with_stance(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy of a model whose first keyframe is the stance: positions, activations, controls.

    The model is one of the reduced bodies. Its pelvis is at the origin and has the identity
    quaternion; the soles are as deep in the floor as they rest on it.
    """
    qpos, torques = _rest(model)
    result = copy.copy(model)
    activations = _hold(model, qpos, torques)
    result.key_qpos[0], result.key_ctrl[0] = qpos, activations
    if model.na:
        result.key_act[0] = activations
    return result


def stiffened(model: mujoco.MjModel, stiffness: float) -> mujoco.MjModel:
    """A copy of a body with a stance whose muscles resist being stretched and shortened from it.

    Muscle under tension F has a short-range stiffness of `stiffness` x F / L0, with L0 the length
    of its fibres at which it is strongest; 23.4 is measured (Cui, Perreault, Maas and Sandercock
    2008, J. Biomechanics 41, 1945). Here it is that of the stance's tension at all activations,
    with damping of `_RELAX` seconds of it, and a muscle still only pulls. Together the ankles
    have 1.1 times the stiffness that balances the weight where all else is rigid; people's have
    0.6 to 0.9 (Loram and Lakie 2002, J. Physiology 545, 1041; Casadio et al. 2005).

    Args:
        model: of `with_stance`. MuJoCo's muscles have stiffness of their own and stay as they are.
        stiffness: in units of F / L0; 0 leaves the tension independent of length.
    """
    result = copy.copy(model)
    if model.actuator_biastype[0] != mujoco.mjtBias.mjBIAS_NONE or not stiffness:
        return result
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    ends, shares = model.actuator_lengthrange, model.actuator_gainprm[:, 1:3]
    fibres = np.ptp(ends, axis=1) / np.ptp(shares, axis=1)
    spring = stiffness * -data.actuator_force / fibres
    result.actuator_biastype[:] = mujoco.mjtBias.mjBIAS_AFFINE
    result.actuator_biasprm[:, 0] = spring * data.actuator_length
    result.actuator_biasprm[:, 1], result.actuator_biasprm[:, 2] = -spring, -_RELAX * spring
    result.actuator_forcelimited[:], result.actuator_forcerange[:] = 1, (-_STRONGEST, 0)
    return result


def _rest(model: mujoco.MjModel) -> tuple[Float[np.ndarray, " nq"], Float[np.ndarray, " j"]]:
    """Positions at rest, and the torques of the joints [N m]."""
    held = copy.copy(model)
    held.opt.timestep = _STEP
    held.actuator_gainprm[:], held.actuator_biasprm[:] = 0, 0
    held.jnt_stiffness[1:], held.dof_damping[6:] = _STIFFNESS, _DAMPING
    hips, ankles, talus = ([f"leg/{name}_{side}" for side in "rl"] for name in _JOINTS)
    bent = {f"leg/knee_angle_{side}": KNEE for side in "rl"}
    bent |= dict.fromkeys(hips + ankles, KNEE / 2)
    data = poses.data(held, bent)
    pose = data.qpos.copy()
    pose[2] -= poses.lowest(held, data)
    held.qpos_spring[:], data.qpos[:] = pose, pose
    hip, ankle = ([held.joint(n).qposadr[0] for n in names] for names in (hips, ankles))
    feet = [held.body(name).id for name in talus]
    for _ in range(_ROUNDS):
        mujoco.mj_forward(held, data)
        pitch = 2 * data.qpos[5] * np.sign(data.qpos[3])
        short = AHEAD - (data.subtree_com[0, 0] - data.xpos[feet, 0].mean())
        # Leaning by an angle moves the centre of mass by that angle times its height.
        lean = 0.4 * short / data.subtree_com[0, 2]
        held.qpos_spring[ankle] += lean
        held.qpos_spring[hip] -= lean + 0.5 * pitch
        mujoco.mj_step(held, data, nstep=_ROUND)
    torques = _STIFFNESS * (held.qpos_spring - data.qpos)[7:]
    qpos = data.qpos.copy()
    qpos[:2], qpos[3:7] = 0, (1, 0, 0, 0)
    return qpos, torques


_JOINTS = "hip_flexion", "ankle_angle", "talus"


def _hold(
    model: mujoco.MjModel, qpos: Float[np.ndarray, " nq"], torques: Float[np.ndarray, " j"]
) -> Float[np.ndarray, " a"]:
    """Activations in [0, 1] near `TONE` that give these torques at rest.

    Both force laws are affine in the activation: torque = M a + b. Minimises |a - TONE|^2 +
    |M a + b - torques|^2 / `_SLACK`.
    """
    data = mujoco.MjData(model)
    forces = []
    for activation in (0.0, 1.0):
        data.qpos[:], data.ctrl[:], data.act[:] = qpos, activation, activation
        mujoco.mj_forward(model, data)
        forces.append(data.actuator_force.copy())
    arms = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        arms,
        data.actuator_moment.ravel(),
        data.moment_rownnz,
        data.moment_rowadr,
        data.moment_colind.ravel(),
    )
    arms = arms[:, 6:].T
    each, torques = arms * (forces[1] - forces[0]), torques - arms @ forces[0]
    # The dual: a = clip(TONE + M^T y), with one y for each joint, by Newton's method.
    y = np.zeros(len(torques))
    for _ in range(100):
        free = TONE + each.T @ y
        left = torques - each @ np.clip(free, 0, 1) - _SLACK * y
        moving = each * ((free > 0) & (free < 1))
        step = np.linalg.solve(moving @ each.T + _SLACK * np.eye(len(y)), left)
        y += 0.5 * step
    return np.clip(TONE + each.T @ y, 0, 1)
