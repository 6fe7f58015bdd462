"""The suite's models, read from the files of the installed `dm_control`.

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
    """The folder of dm_control's models.

    Raises:
        ValueError: dm_control is not installed.
    """
    package = importlib.util.find_spec("dm_control")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise ValueError(_MISSING)
    return Path(next(iter(folders))) / "suite"


def spec(body: str) -> mujoco.MjSpec:
    """The model of that name, as a spec that may be changed."""
    return mujoco.MjSpec.from_file(str(folder() / f"{body}.xml"))


def build(make: Callable[[], mujoco.MjSpec]) -> mujoco.MjModel:
    """Compiles the spec that `make` returns.

    Raises:
        ValueError: dm_control is missing, or its version has a different model.
    """
    with warnings.catch_warnings():
        # The cheetah's file sets its total mass with an attribute that MuJoCo has deprecated.
        warnings.filterwarnings("ignore", message=".*settotalmass.*")
        return compose(lambda: make().compile(), PINNED)


def remove(spec: mujoco.MjSpec, kind: str, *names: str) -> None:
    """Deletes elements of one kind ("body", "geom", "site", "camera") by their names."""
    for name in names:
        spec.delete(getattr(spec, kind)(name))


def speed_up(spec: mujoco.MjSpec, bodies_touch: bool) -> None:
    """Makes a model cheaper to simulate: few solver iterations, fewer contacts.

    Args:
        spec: the model, which is changed.
        bodies_touch: whether to keep contacts between moving bodies; else bodies collide with the
            floor only.
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
    """Lowest and highest start position of each entry of qpos; equal for those that are not drawn.

    Limited joints have their range, other hinges -pi to pi; other slides, free and ball joints keep
    their position at rest.
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
