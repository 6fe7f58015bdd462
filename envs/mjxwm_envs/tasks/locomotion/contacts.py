"""Stiffness of contacts, by the time constant of MuJoCo's contact spring and damper."""

import dataclasses
import math

import mujoco

from mjxwm_envs.task import Task


@dataclasses.dataclass(frozen=True)
class ContactTask(Task):
    """A task whose contacts can be made stiffer."""

    contact_time: float = 0.02
    """Time constant of the contacts [s], MuJoCo's `solref[0]`: stiffness is proportional to its
    inverse square. MuJoCo raises it to at least twice `sim_dt`."""

    def model(self) -> mujoco.MjModel:
        """See `Task`.

        Raises:
            ValueError: `contact_time` is below twice `sim_dt`, or not above 0.
        """
        if self.contact_time <= 0:
            raise ValueError(
                f"contact_time={self.contact_time} is out of range; it must be above 0, and at "
                f"least 2 * sim_dt={2 * self.sim_dt:.6g}"
            )
        if self.contact_time < 2 * self.sim_dt - 1e-9:
            # The largest step that suffices and divides the control step.
            sim_dt = self.ctrl_dt / math.ceil(2 * self.ctrl_dt / self.contact_time - 1e-9)
            raise ValueError(
                f"contact_time={self.contact_time} is below 2 * sim_dt={2 * self.sim_dt:.6g}, "
                f"where MuJoCo would quietly soften it; lower sim_dt, to {sim_dt:.10g}"
            )
        model = super().model()
        model.geom_solref[:, 0] = self.contact_time
        model.pair_solref[:, 0] = self.contact_time
        return model
