"""The four bodies, each composed from the anatomical models in named steps."""

import mujoco
import numpy as np
from jaxtyping import Float

from mjxwm_envs import assets
from mjxwm_envs.tasks.locomotion.muscle_body import (
    actuators,
    paths,
    poses,
    shapes,
    skeleton,
    sources,
)
from mjxwm_envs.tasks.locomotion.muscle_body.sources import Source

_CLEARANCE = 0.001  # [m] between the soles and the floor in the start pose

_SNU = skeleton.Joints(damping=2.0, trunk_damping=5.0, armature=0.05)
"""The SNU humanoid's; its trunk is stiff, so the spine's damping is chosen here."""


def compose(body: str) -> mujoco.MjModel:
    """One of `BODIES`, with its start pose as the first keyframe.

    Raises:
        ValueError: myo-sim is missing, or its version has different muscles.
    """
    spec = BODIES[body]()
    model = spec.compile()
    assert model.nu == sources.MUSCLES
    pose = _start(model)
    spec.add_key(name="start", qpos=pose)
    return spec.compile()


def _direct() -> mujoco.MjSpec:
    return _reduced(sources.load(trunk=True), actuators.direct)


def _muscle() -> mujoco.MjSpec:
    return _reduced(sources.load(trunk=True), actuators.dynamic)


def _legs() -> mujoco.MjSpec:
    return _reduced(sources.load(trunk=False), actuators.direct, fibres=True)


def _reduced(source: Source, law: actuators.Law, fibres: bool = False) -> mujoco.MjSpec:
    """A body with fewer joints, and tendons through fixed points."""
    spec = mujoco.MjSpec.from_string(assets.read("muscle_humanoid.xml"))
    parts = skeleton.segments(source)
    skeleton.add_segments(spec, source, parts, _SNU)
    muscles = paths.muscles(source, spec.compile())
    if fibres:
        muscles = [fibre for muscle in muscles for fibre in paths.split(muscle, parts)]
    actuators.add_muscles(spec, muscles, law)
    of_body = dict(zip(source.body_names(), skeleton.carriers(source.model), strict=True))

    def place(name: str, point: Float[np.ndarray, " 3"]) -> tuple[mujoco.MjsBody, np.ndarray]:
        part = parts[of_body[name]]
        return spec.body(part.name), part.local(point)

    shapes.add_shapes(spec, shapes.shapes(source), place)
    return spec


def _full() -> mujoco.MjSpec:
    """A body with all joints, couplings and wrapping surfaces, and simplified geoms."""
    source = sources.load(trunk=True)
    spec, model, data = source.spec, source.model, source.data
    light = shapes.shapes(source)
    _fix_inertias(spec, model)
    _strip(spec, model)
    for actuator in spec.actuators:
        actuators.smooth(actuator)

    def place(name: str, point: Float[np.ndarray, " 3"]) -> tuple[mujoco.MjsBody, np.ndarray]:
        i = model.body(name).id
        return spec.body(name), data.xmat[i].reshape(3, 3).T @ (point - data.xpos[i])

    shapes.add_shapes(spec, light, place)
    return spec


def _fix_inertias(spec: mujoco.MjSpec, model: mujoco.MjModel) -> None:
    """Makes all inertias explicit: some are computed from meshes, which are deleted later."""
    for body in spec.bodies[1:]:
        compiled = model.body(body.name)
        if compiled.mass[0] > 0:
            body.explicitinertial, body.mass = True, compiled.mass[0]
            body.ipos, body.iquat, body.inertia = compiled.ipos, compiled.iquat, compiled.inertia


def _strip(spec: mujoco.MjSpec, model: mujoco.MjModel) -> None:
    """Deletes every geom and site that no tendon uses, and the meshes."""
    wrap = mujoco.mjtWrap
    on_site = model.wrap_type == wrap.mjWRAP_SITE
    on_geom = np.isin(model.wrap_type, (wrap.mjWRAP_SPHERE, wrap.mjWRAP_CYLINDER))
    sides = model.wrap_prm[on_geom].astype(int)
    sites = {model.site(i).name for i in (*model.wrap_objid[on_site], *sides[sides >= 0])}
    geoms = {"floor", *(model.geom(i).name for i in model.wrap_objid[on_geom])}
    for item, used in ((spec.geoms, geoms), (spec.sites, sites)):
        for element in [e for e in item if e.name not in used]:
            spec.delete(element)
    for element in (*spec.geoms, *spec.sites, *spec.tendons):
        if element.name != "floor":
            element.material = ""
    for item in (spec.meshes, spec.materials, spec.textures):
        for element in [e for e in item if e.name.startswith(("leg/", "trunk/"))]:
            spec.delete(element)


def _start(model: mujoco.MjModel) -> Float[np.ndarray, " nq"]:
    """The start pose: upright, couplings satisfied, the soles just above the floor."""
    data = poses.data(model, {})
    pose = data.qpos.copy()
    pose[2] += _CLEARANCE - poses.lowest(model, data)
    return pose


BODIES = {"direct": _direct, "muscle": _muscle, "legs": _legs, "full": _full}
