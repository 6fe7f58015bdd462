"""Changes a model so that MJX and MuJoCo Warp accept it and simulate it as C MuJoCo does."""

import copy

import mujoco


def for_mjx(model: mujoco.MjModel, derived: tuple[str, ...]) -> mujoco.MjModel:
    """A copy of the model without options that MJX or Warp refuse and that have no effect here.

    Args:
        model: compiled model.
        derived: `MjData` fields that the task reads.
    """
    flags, model = mujoco.mjtDisableBit, copy.copy(model)
    # MJX never restarts a diverged world, and Warp refuses the flag that asks for that.
    model.opt.disableflags &= ~int(flags.mjDSBL_AUTORESET)
    for name in ("max_contact_points", "max_geom_pairs"):  # C MuJoCo keeps all contacts
        number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_NUMERIC, name)
        if number >= 0:
            model.numeric_data[number] = -1
    if "energy" not in derived:
        model.opt.enableflags &= ~int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    _disable_springs_and_dampers(model)
    if model.opt.disableflags & int(flags.mjDSBL_CONTACT | flags.mjDSBL_CONSTRAINT):
        model.geom_contype[:] = model.geom_conaffinity[:] = 0
    if "sensordata" not in derived:
        model.opt.disableflags |= int(flags.mjDSBL_SENSOR)
    return model


def _disable_springs_and_dampers(model: mujoco.MjModel) -> None:
    """Sets stiffness and damping to zero, as C does with the flags that disable springs or dampers.

    With either of the flags MJX leaves out all passive forces, yet its Euler integrator damps.
    """
    spring = int(mujoco.mjtDisableBit.mjDSBL_SPRING)
    damper = int(mujoco.mjtDisableBit.mjDSBL_DAMPER)
    off = model.opt.disableflags & (spring | damper)
    if off & spring:
        model.jnt_stiffness[:] = model.tendon_stiffness[:] = 0
    if off & damper:
        model.dof_damping[:] = model.tendon_damping[:] = 0
    if off != spring | damper:  # with both, C leaves out all passive forces, too
        model.opt.disableflags &= ~(spring | damper)
