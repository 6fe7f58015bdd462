"""Tendons through fixed points, and the two force laws that act on them."""

from collections.abc import Callable

import mujoco

from mjxwm_envs.tasks.locomotion.muscle_body.paths import Muscle

DIRECT_SCALE = 0.36
"""Tension at full activation in the direct law, as a fraction of the peak force: 0.6 x 0.6, as in
the SNU humanoid of SHAC and PWM (Xu et al. 2022, arXiv 2204.07137; muscles after Lee et al.
2019)."""
SMOOTHING = 0.01
"""Width [activation] of the switch between the time constants of activation and deactivation. With
MuJoCo's default, 0, float32 gradients through it are NaN."""

Law = Callable[[mujoco.MjsActuator, Muscle], None]


def direct(actuator: mujoco.MjsActuator, muscle: Muscle) -> None:
    """Tension = 0.36 F0 a, independent of length and velocity; the control is the activation.

    The numbers that say the fibres' length are kept where this law does not read them.
    """
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_NONE
    actuator.dyntype = mujoco.mjtDyn.mjDYN_NONE
    fibres = list(muscle.gain[:2])  # a tendon's pull is negative
    actuator.gainprm = [-DIRECT_SCALE * muscle.peak, *fibres] + 7 * [0]
    actuator.lengthrange = muscle.length_range


def dynamic(actuator: mujoco.MjsActuator, muscle: Muscle) -> None:
    """MuJoCo's muscle: activation dynamics, force-length, force-velocity and passive force."""
    actuator.gaintype = mujoco.mjtGain.mjGAIN_MUSCLE
    actuator.biastype = mujoco.mjtBias.mjBIAS_MUSCLE
    actuator.dyntype = mujoco.mjtDyn.mjDYN_MUSCLE
    actuator.gainprm = actuator.biasprm = muscle.gain
    actuator.dynprm = muscle.dynamics
    actuator.lengthrange = muscle.length_range
    smooth(actuator)


def smooth(actuator: mujoco.MjsActuator) -> None:
    """Smooths a muscle's activation dynamics by `SMOOTHING`, for finite gradients."""
    dynamics = actuator.dynprm.copy()
    dynamics[2] = SMOOTHING
    actuator.dynprm = dynamics


def add_muscles(spec: mujoco.MjSpec, muscles: list[Muscle], law: Law) -> None:
    """Adds each muscle's sites, its tendon and its actuator, controlled in [0, 1]."""
    for muscle in muscles:
        tendon = spec.add_tendon(name=muscle.name)
        for k, (segment, point) in enumerate(zip(*muscle.path, strict=True)):
            site = spec.body(segment).add_site(name=f"{muscle.name}_{k}", pos=point)
            tendon.wrap_site(site.name)
        actuator = spec.add_actuator(name=muscle.name, target=muscle.name)
        actuator.trntype = mujoco.mjtTrn.mjTRN_TENDON
        actuator.ctrllimited, actuator.ctrlrange = True, [0, 1]
        law(actuator, muscle)
