"""Bodies in contact at drawn poses, and what C MuJoCo and engine mjx make of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx

GEOMS = {
    "sphere": 'type="sphere" size=".12"',
    "capsule": 'type="capsule" size=".06 .2"',
    "ellipsoid": 'type="ellipsoid" size=".1 .15 .2"',
    "cylinder": 'type="cylinder" size=".1 .15"',
    "box": 'type="box" size=".1 .14 .2"',
    "mesh": 'type="mesh" mesh="stone"',
    "prism": 'type="mesh" mesh="prism"',
}
_ANGLES = np.linspace(0, 2 * np.pi, 7, endpoint=False) + 0.3
_STONE = np.random.default_rng(3).normal(size=(12, 3)) * [0.12, 0.15, 0.2]
_PRISM = [(r * np.cos(a), r * np.sin(a), z) for z, r in ((-0.1, 0.15), (0.1, 0.1)) for a in _ANGLES]


def _mesh(name, points):
    return f'<mesh name="{name}" vertex="{" ".join(f"{x:.3f}" for x in np.ravel(points))}"/>'


def world(pairs, options=""):
    """A model with two free bodies a pair, which touch one another alone; a plane is the world's.

    Args:
        pairs: two names of `GEOMS` (or plane, first) and the attributes of both.
        options: attributes of `<option>`.
    """
    bodies, contacts = '<geom name="plane" type="plane" size="9 9 .1"/>', ""
    for i, (first, second, more) in enumerate(pairs):
        names = []
        for side, kind in (("a", first), ("b", second)):
            name = "plane" if kind == "plane" else f"{kind}{i}{side}"
            names.append(name)
            if kind != "plane":
                bodies += f'<body><freejoint/><geom name="{name}" {GEOMS[kind]}/></body>'
        contacts += f'<pair geom1="{names[0]}" geom2="{names[1]}" {more}/>'
    return mujoco.MjModel.from_xml_string(f"""
      <mujoco>
        <option timestep=".002" tolerance="1e-14" iterations="100" {options}/>
        <default><geom contype="0" conaffinity="0"/></default>
        <asset>{_mesh("stone", _STONE)}{_mesh("prism", _PRISM)}</asset>
        <worldbody>{bodies}</worldbody>
        <contact>{contacts}</contact>
      </mujoco>""")


class States(NamedTuple):
    qpos: np.ndarray
    qvel: np.ndarray


def touching(model, count, seed=0, depth=0.02):
    """Poses in which every pair of `world` touches, at most `depth` deep, one by one drawn."""
    rng, data = np.random.default_rng(seed), mujoco.MjData(model)
    qpos = np.zeros((count, model.nq))
    for state in range(count):
        done = np.zeros(model.npair, bool)
        while not done.all():
            for pair in np.flatnonzero(~done):
                for geom in (model.pair_geom1[pair], model.pair_geom2[pair]):
                    body = model.geom_bodyid[geom]
                    if body:
                        adr = model.jnt_qposadr[model.body_jntadr[body]]
                        data.qpos[adr : adr + 3] = rng.uniform(-0.3, 0.3, 3)
                        data.qpos[adr + 3 : adr + 7] = rng.normal(size=4)
            mujoco.mj_normalizeQuat(model, data.qpos)
            mujoco.mj_forward(model, data)
            for pair in np.flatnonzero(~done):
                dist = [c.dist - c.includemargin for c in contacts_of(model, data, pair)]
                done[pair] = bool(dist) and -depth < min(dist) < -1e-4
        qpos[state] = data.qpos
    return States(qpos, rng.normal(size=(count, model.nv)) * 0.3)


def contacts_of(model, data, pair):
    geoms = {int(model.pair_geom1[pair]), int(model.pair_geom2[pair])}
    return [c for c in data.contact if set(c.geom.tolist()) == geoms and not c.exclude]


def c_accelerations(model, states):
    """Accelerations, and how many contacts each pair has."""
    data, found, numbers = mujoco.MjData(model), [], []
    for qpos, qvel in zip(*states, strict=True):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_forward(model, data)
        found.append(data.qacc.copy())
        numbers.append([len(contacts_of(model, data, pair)) for pair in range(model.npair)])
    return np.array(found), np.array(numbers)


def mjx_accelerations(model, states):
    """The same of engine mjx."""
    engine = Mjx(model, 1)

    @jax.jit
    @jax.vmap
    def run(qpos, qvel):
        sim = engine.reset(Initial(qpos, qvel, jnp.zeros(model.na)))
        data = engine._forward(engine._model, engine._load(sim, jnp.zeros(model.nu)))
        return data.qacc, data._impl.contact

    found, contact = run(*map(jnp.asarray, states))
    active = np.asarray(contact.dist < contact.includemargin)
    geoms = np.sort(np.asarray(contact.geom), axis=-1)
    pairs = np.sort(np.stack([model.pair_geom1, model.pair_geom2], axis=1), axis=1)
    same = (geoms[:, :, None] == pairs).all(axis=-1)
    return np.asarray(found), (active[:, :, None] & same).sum(axis=1)
