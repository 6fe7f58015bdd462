"""How stiff contacts are: one number, the time constant of MuJoCo's spring and damper."""

import math

import mujoco


def check_contact_time(contact_time: float, ctrl_dt: float, sim_dt: float) -> None:
    """Refuses contacts that MuJoCo would quietly soften.

    Args:
        contact_time: `solref[0]` of the contacts [s]; stiffness goes with its inverse square.
        ctrl_dt: control step [s].
        sim_dt: physics step [s].

    Raises:
        ValueError: `contact_time` is below twice `sim_dt`.
    """
    if contact_time >= 2 * sim_dt - 1e-9:
        return
    remedy = ctrl_dt / math.ceil(2 * ctrl_dt / contact_time - 1e-9) if contact_time > 0 else 0
    raise ValueError(
        f"contact_time={contact_time} is below 2 * sim_dt={2 * sim_dt:.6g}, where MuJoCo would "
        "quietly soften it; "
        + (f"lower sim_dt, to {remedy:.10g}" if remedy else "it must be above 0")
    )


def set_contact_time(model: mujoco.MjModel, contact_time: float) -> None:
    """Gives all contacts of `model` this time constant [s]."""
    model.geom_solref[:, 0] = contact_time
    model.pair_solref[:, 0] = contact_time
