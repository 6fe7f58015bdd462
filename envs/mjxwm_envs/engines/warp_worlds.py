"""MuJoCo Warp's own model and data of B worlds, which run a whole control step in one call.

Between two calls the buffers stay where they are, in Warp's memory: a call copies the state of the
worlds in, runs all substeps and copies the new state out. Nothing that a call computes depends on
the calls before it. On a GPU the substeps are one CUDA graph; it refers to these buffers alone,
so that it is captured once.
"""

import collections
import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import mujoco
import warp
from mujoco.mjx.third_party import mujoco_warp

HELD = "sensordata of the last step"
"""Stands among fields of Warp's data for the sensors' values before `Work.after` is computed."""
_MOST = 16
"""Buffers that are kept: the least recently used ones are freed, and made again when needed."""


class Work(NamedTuple):
    """What one call computes."""

    substeps: int
    """Physics steps."""
    after: Literal["nothing", "forward", "refresh"]
    """What is computed at the state after them: nothing; `mj_forward`; or what depends on positions
    and velocities alone, so that accelerations and forces stay those of the last step."""


class Sizes(NamedTuple):
    """Room in the buffers."""

    contacts: int
    """Contacts of all worlds together."""
    rows: int
    """Constraint rows of each world."""


class Worlds:
    """The buffers of `number` worlds on one device."""

    def __init__(
        self, body: mujoco.MjModel, model: Any, sizes: Sizes, number: int, varying: tuple[str, ...]
    ):
        """Args:
        body: compiled model.
        model: the same as Warp's model, on the device of the worlds; it is not changed.
        sizes: room in the buffers.
        number: worlds.
        varying: fields of the model of which each world has its own value.
        """
        self.device = model.qpos0.device
        self.model, self.model.opt = copy.copy(model), copy.copy(model.opt)
        with warp.ScopedDevice(self.device):
            self.data = mujoco_warp.make_data(
                body, nworld=number, naconmax=sizes.contacts, njmax=sizes.rows
            )
            for name in varying:
                owner, last = _owner(self.model, name)
                shape = (number, *getattr(owner, last).shape[1:])
                setattr(owner, last, warp.zeros(shape, dtype=getattr(owner, last).dtype))
            self._held = warp.zeros_like(self.data.sensordata)
            warp.synchronize_device(self.device)
        self._with_constraints = _sensors_read_constraints(model)
        self._graphs: dict[Work, Any] = {}

    def field(self, name: str) -> Any:
        """The array of a field of Warp's data, or `HELD`."""
        return self._held if name == HELD else getattr(self.data, name)

    def model_field(self, name: str) -> Any:
        """The array of a field of Warp's model."""
        owner, last = _owner(self.model, name)
        return getattr(owner, last)

    def run(self, work: Work) -> None:
        """Computes `work` from the state in the buffers."""
        if not self.device.is_cuda:
            self._compute(work)
            return
        if work not in self._graphs:
            with warp.ScopedCapture() as capture:
                self._compute(work)
            self._graphs[work] = capture
        warp.capture_launch(self._graphs[work].graph)

    def _compute(self, work: Work) -> None:
        self.data.overflow.zero_()
        # Rows that are not in use count as zero times what is in them, which must not be NaN.
        self.data.efc.J.zero_()
        for _ in range(work.substeps):
            mujoco_warp.step(self.model, self.data)
        if work.after == "forward":
            mujoco_warp.forward(self.model, self.data)
        elif work.after == "refresh":
            self._refresh(self.model, self.data)

    def _refresh(self, model: Any, data: Any) -> None:
        if self._with_constraints:
            mujoco_warp.fwd_position(model, data, factorize=False)
        else:
            mujoco_warp.fwd_kinematics(model, data)
            mujoco_warp.crb(model, data)
            mujoco_warp.transmission(model, data)
        if data.sensordata.size:
            warp.copy(self._held, data.sensordata)
            data.sensordata.zero_()
        mujoco_warp.sensor_pos(model, data)
        mujoco_warp.fwd_velocity(model, data)
        mujoco_warp.sensor_vel(model, data)


_kept: collections.OrderedDict[Any, Worlds] = collections.OrderedDict()


def kept(key: Any, make: Callable[[], Worlds]) -> Worlds:
    """The buffers under this key; made if there are none. For one thread at a time."""
    if key not in _kept:
        while len(_kept) >= _MOST:
            warp.synchronize_device(_kept.popitem(last=False)[1].device)
        _kept[key] = make()
    _kept.move_to_end(key)
    return _kept[key]


@functools.cache
def varying_fields() -> frozenset[str]:
    """Fields of Warp's model that each world may have its own value of, such as "opt.gravity"."""
    kinds = {"": mujoco_warp.Model, "opt.": mujoco_warp.Option}
    return frozenset(
        prefix + field.name
        for prefix, kind in kinds.items()
        for field in dataclasses.fields(kind)
        if getattr(field.type, "shape", ())[:1] == ("*",)
    )


def _owner(model: Any, name: str) -> tuple[Any, str]:
    *above, last = name.split(".")
    return functools.reduce(getattr, above, model), last


def _sensors_read_constraints(model: Any) -> bool:
    """Whether a sensor of positions or velocities reads contacts, distances or limits."""
    limits = (model.sensor_limitpos_adr, model.sensor_limitvel_adr, model.sensor_contact_pos_adr)
    return bool(model.nsensorcollision or model.nsensortaxel or any(x.size for x in limits))
