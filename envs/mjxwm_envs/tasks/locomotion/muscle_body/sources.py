"""The anatomical models, from the installed package myo-sim: legs of 80 muscles and a trunk of 72.

myo-sim is Apache-2.0. Its legs come from Rajagopal et al. 2016 (full-body model for muscle-driven
gait, MIT) and its trunk from a published lumbar spine model (MIT). Its arms are left out, as their
data were released for non-commercial use.
"""

import collections
import importlib
import importlib.metadata
import re
from typing import Any, NamedTuple

import mujoco

from mjxwm_envs import assets
from mjxwm_envs.tasks.locomotion.muscle_body.poses import data as data_at

PACKAGE = "myo-sim"
MUSCLES = 152
_TESTED = "0.2.3"

_TRUNK_GROUPS = {"IL_": 24, "EO": 12, "IO": 12, "rect_abd": 2, "Ps_": 22}
"""The muscles that are used, of the trunk's 210: prefix of their names, and their number. Lumbar
iliocostalis, external and internal obliques, rectus abdominis, psoas."""
_TRUNK_NAMES = re.compile(r"IL_|EO\d|IO\d|rect_abd|Ps_")

_QUARTER_TURN = (0.5**0.5, 0, 0, 0.5**0.5)  # myo-sim's bodies face -y; tasks run along +x


class Source(NamedTuple):
    """An unreduced body, with a free pelvis, upright, facing +x."""

    spec: mujoco.MjSpec
    model: mujoco.MjModel
    data: mujoco.MjData
    """Its data in the neutral pose, which satisfies the joint couplings; root at height 1 m."""

    def body_names(self) -> list[str]:
        """Names of all bodies, starting with the world."""
        return [self.model.body(i).name for i in range(self.model.nbody)]


def version() -> str:
    """The installed version of myo-sim.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(
            "the muscle humanoids are composed from the package myo-sim, which is not installed; "
            "run: pip install 'mjxwm[muscles]'"
        ) from error


def load(trunk: bool) -> Source:
    """The legs with a trunk of 72 muscles, or with a stiff trunk without muscles.

    Raises:
        ValueError: myo-sim is missing, or its version has different muscles.
    """
    installed = version()
    try:
        compose = importlib.import_module("myo_sim.build.compose")
        spec = _assemble(compose, trunk)
    except (AttributeError, ImportError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"myo-sim {installed} does not compose as {_TESTED} does ({error}); "
            f"run: pip install '{PACKAGE}=={_TESTED}'"
        ) from error
    check_muscles([a.name for a in spec.actuators], trunk, installed)
    model = spec.compile()
    return Source(spec, model, data_at(model, {}))


def check_muscles(names: list[str], trunk: bool, installed: str) -> None:
    """Checks that myo-sim has the muscles that the reduction is made for.

    Args:
        names: the actuators' names.
        trunk: whether the 72 muscles of the trunk are expected.
        installed: version of myo-sim, for the message.

    Raises:
        ValueError: the number of muscles in a group differs.
    """
    expected = {"right leg": 40, "left leg": 40, **(_TRUNK_GROUPS if trunk else {})}
    numbers = collections.Counter(map(_group, names))
    if numbers != expected:
        counts = ", ".join(f"{group} {numbers[group]}" for group in {**expected, **numbers})
        raise ValueError(
            f"myo-sim {installed} gives {len(names)} muscles instead of "
            f"{sum(expected.values())}: {counts}; run: pip install '{PACKAGE}=={_TESTED}'"
        )


def _group(name: str) -> str:
    part, _, muscle = name.partition("/")
    if part == "leg":
        return "right leg" if muscle.endswith("_r") else "left leg"
    return next((group for group in _TRUNK_GROUPS if muscle.startswith(group)), muscle)


def _assemble(compose: Any, trunk: bool) -> mujoco.MjSpec:
    registration = compose.ModelRegistration(
        name="trunk",
        description="",
        build_strategy=compose.BuildStrategy.TORSO_BODY,
        build_kwargs={"include_arm_contacts": False},
    )
    build = compose.build_torso_spec if trunk else compose.build_passive_torso_spec
    upper, legs = build(registration), compose.build_legs_spec(registration)
    for actuator in [a for a in upper.actuators if not _TRUNK_NAMES.match(a.name)]:
        upper.delete(upper.tendon(actuator.target))
        upper.delete(actuator)
    for sensor in list(legs.sensors):
        legs.delete(sensor)
    spec = mujoco.MjSpec.from_string(assets.read("muscle_humanoid.xml"))
    frame = spec.body("pelvis").add_frame(quat=_QUARTER_TURN)
    # Without prefixes MuJoCo writes a warning to a file.
    for part, prefix, root in ((legs, "leg/", "myolegs_root"), (upper, "trunk/", "Full Body")):
        part.body(root).pos = (0, 0, 0)
        frame.attach_body(part.body(root), prefix, "")
    return spec
