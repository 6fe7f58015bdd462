"""The suite's bodies, read from the installed `dm_control` and compiled once.

`dm_control` itself is not imported, which would load its renderer; nothing of it is copied here.
"""

import functools
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import mujoco

from mjxwm_envs.packages import compose

PINNED = {"dm-control": "1.0.50"}
"""The version that these tasks are tested with."""

_MISSING = "the bodies come from the package dm_control; run: pip install 'mjxwm[suites]'"
_Joint = mujoco.mjtJoint
FAST_ITERATIONS, FAST_LS_ITERATIONS = 8, 16


def folder() -> Path:
    """Where dm_control keeps its bodies.

    Raises:
        ValueError: dm_control is not installed.
    """
    found = importlib.util.find_spec("dm_control")
    places = found.submodule_search_locations if found else None
    if not places:
        raise ValueError(_MISSING)
    return Path(next(iter(places))) / "suite"


def spec(body: str) -> mujoco.MjSpec:
    """The body of that name, to be changed."""
    return mujoco.MjSpec.from_file(str(folder() / f"{body}.xml"))


def build(make: Callable[[], mujoco.MjSpec]) -> mujoco.MjModel:
    """Compiles what `make` returns.

    Raises:
        ValueError: dm_control is missing, or another version of it has another body.
    """
    with warnings.catch_warnings():
        # The cheetah asks for its total mass by an attribute that MuJoCo means to drop.
        warnings.filterwarnings("ignore", message=".*settotalmass.*")
        return compose(lambda: make().compile(), PINNED)


def remove(spec: mujoco.MjSpec, kind: str, *names: str) -> None:
    """Deletes elements of one kind ("body", "geom", "site", "camera") by their names."""
    for name in names:
        spec.delete(getattr(spec, kind)(name))


def speed_up(spec: mujoco.MjSpec, bodies_touch: bool) -> None:
    """Makes the variant for massive collection: few solver iterations, fewer contacts.

    Args:
        spec: the body, to be changed.
        bodies_touch: keep contacts of bodies with one another, which are the task; by default only
            the floor touches.
    """
    spec.option.iterations = FAST_ITERATIONS
    spec.option.ls_iterations = FAST_LS_ITERATIONS
    spec.option.noslip_iterations = 0
    for geom in spec.geoms if not bodies_touch else ():
        if geom.contype or geom.conaffinity:
            of_world = geom.parent.name == "world"
            geom.contype, geom.conaffinity = (0, 1) if of_world else (1, 0)


@functools.cache
def joint_ranges(model: mujoco.MjModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Between which positions the suite draws hinges and slides; fixed ones where it draws none.

    Limited joints within their range, other hinges within half a turn, other slides at rest. Free
    and ball joints keep their rest position.
    """
    low, high = model.qpos0.copy(), model.qpos0.copy()
    for joint in range(model.njnt):
        place, kind = model.jnt_qposadr[joint], model.jnt_type[joint]
        if kind in (_Joint.mjJNT_FREE, _Joint.mjJNT_BALL):
            continue
        if model.jnt_limited[joint]:
            low[place], high[place] = model.jnt_range[joint]
        elif kind == _Joint.mjJNT_HINGE:
            low[place], high[place] = -mujoco.mjPI, mujoco.mjPI
    return tuple(low.tolist()), tuple(high.tolist())
