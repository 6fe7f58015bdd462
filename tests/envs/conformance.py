"""Features of MuJoCo, each in a body of its own, and each engine's motion of it against C MuJoCo's.

A row is a feature in the smallest model that has it. Rows that need no option of their own share a
model, side by side, so that engines compile few programs; each is first tried alone, to see whether
the engine refuses it. `scripts/engine_conformance.py` writes the table, the slow tests check it.
"""

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native
from mjxwm_envs.engines.warp import Warp

ENGINES: dict[str, Any] = {"native": Native, "mjx": Mjx, "warp": Warp}
TOLERANCE = {"native": 0.0, "mjx": 1e-6, "warp": 2e-3}
"""Of the change of velocity since the start: bitwise, float64, float32."""
STATES, STEPS = 4, 4
"""Random starts of each row, and steps from each."""


class Row(NamedTuple):
    """A feature."""

    part: str
    feature: str
    world: str = ""
    """Bodies. `{n}` is the row's number, `{x}` its place [m], `{bit}` its collision bit."""
    after: str = ""
    """Sections beside the world's: tendons, actuators, sensors, equalities."""
    option: str = ""
    """Attributes of `<option>`; such a row has a model of its own, as with `flag`."""
    flag: str = ""
    asset: str = ""
    speed: float = 1.0
    """Standard deviation of start velocities."""
    spread: float = 0.1
    """Standard deviation of start positions about the model's own."""
    sensed: bool = False
    """Whether sensors are compared, too."""
    corrected: tuple[str, ...] = ()
    """Engines on which this project puts right what the engine's library does otherwise."""


class Outcome(NamedTuple):
    """What an engine does with a row."""

    verdict: str
    """equal, corrected, warned, refused, or different: the last is what must not be."""
    error: float | None = None
    said: str = ""
    """The refusal or the warning."""


def mjcf(rows: Sequence[Row]) -> str:
    """The model of rows that share one."""
    first = rows[0]
    places = [
        {"n": i, "x": f"{2 * i}", "bit": f'contype="{1 << i % 31}" conaffinity="{1 << i % 31}"'}
        for i in range(len(rows))
    ]
    flag = f"<flag {first.flag}/>" if first.flag else ""
    option = first.option if "timestep" in first.option else f'timestep=".005" {first.option}'
    worlds = "".join(r.world.format(**p) for r, p in zip(rows, places, strict=True))
    afters = "".join(r.after.format(**p) for r, p in zip(rows, places, strict=True))
    assets = dict.fromkeys(part for r in rows for part in re.findall("<[^>]*/>", r.asset))
    return (
        f'<mujoco><compiler angle="radian"/><option tolerance="0" {option}>{flag}</option>'
        f"<asset>{''.join(assets)}</asset>"
        f"<worldbody>{worlds}</worldbody>{afters}</mujoco>"
    )


def compiled(rows: Sequence[Row]) -> mujoco.MjModel:
    """The model; a world that diverges shows as NaN, as in an environment."""
    model = mujoco.MjModel.from_xml_string(mjcf(rows))
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    return model


def bundles(rows: Sequence[Row], most: int = 12) -> list[list[Row]]:
    """Rows that share a model: of one part, without options of their own."""
    shared: dict[Any, list[Row]] = {}
    for i, row in enumerate(rows):
        own = bool(row.option or row.flag)
        shared.setdefault(i if own else (row.part, row.sensed), []).append(row)
    return [group[i : i + most] for group in shared.values() for i in range(0, len(group), most)]


def made(name: str, rows: Sequence[Row]) -> tuple[Any, str]:
    """The engine, and what it warns of.

    Raises:
        ValueError: it refuses these rows.
    """
    derived = ("sensordata",) if rows[0].sensed else ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine = ENGINES[name](compiled(rows), 1, derived).for_worlds(STATES)
    return engine, "; ".join(str(w.message) for w in caught if "engine=" in str(w.message))


def outcomes(name: str, rows: Sequence[Row]) -> list[Outcome]:
    """What an engine does with rows that share a model."""
    results: dict[int, Outcome] = {}
    said: dict[int, str] = {}
    for i, row in enumerate(rows):
        try:
            _, said[i] = made(name, [row])
        except ValueError as error:
            results[i] = Outcome("refused", None, str(error))
    left = [i for i in range(len(rows)) if i not in results]
    if left:
        errors = measured(name, [rows[i] for i in left])
        for i, error in zip(left, errors, strict=True):
            results[i] = _judged(name, rows[i], float(error), said[i])
    return [results[i] for i in range(len(rows))]


def _judged(name: str, row: Row, error: float, said: str) -> Outcome:
    if error <= TOLERANCE[name]:
        return Outcome("corrected" if name in row.corrected else "equal", error, "")
    return Outcome("warned" if said else "different", error, said)


def measured(name: str, rows: Sequence[Row]) -> np.ndarray:
    """Each row's largest difference to C MuJoCo, over states, in units of its own change."""
    with jax.enable_x64(name != "warp"):
        engine, _ = made(name, rows)
        model = engine.model
        start, ctrl = starts(rows, model)
        sim = jax.jit(jax.vmap(engine.reset))(jax.tree.map(jnp.asarray, start))
        step, controls = jax.jit(jax.vmap(engine.step)), jnp.asarray(ctrl)
        for _ in range(STEPS):
            sim = step(sim, controls)
        qvel = np.asarray(sim.physics.qvel, float)
        sensed = np.asarray(sim.physics.derived.get("sensordata", np.zeros((STATES, 0))), float)
    errors = np.zeros(len(rows))
    for world in range(STATES):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:], data.act[:] = (x[world] for x in start[:3])
        data.ctrl[:] = ctrl[world]
        mujoco.mj_step(model, data, STEPS)
        if rows[0].sensed:
            mujoco.mj_step1(model, data)
        size = np.abs(data.qvel - start.qvel[world])
        errors = _worse(errors, qvel[world] - data.qvel, size, _sizes(rows, "nv"))
        if rows[0].sensed:
            apart, size = sensed[world] - data.sensordata, np.abs(data.sensordata)
            errors = _worse(errors, apart, size, _sizes(rows, "nsensordata"))
    return errors


def _worse(errors: np.ndarray, apart: np.ndarray, size: np.ndarray, sizes: list[int]) -> np.ndarray:
    ends = np.cumsum(sizes)[:-1]
    return np.array(
        [
            max(error, np.abs(a).max(initial=0) / (s.max(initial=0) + 1e-2))
            if np.isfinite(a).all()
            else np.inf
            for error, a, s in zip(errors, np.split(apart, ends), np.split(size, ends), strict=True)
        ]
    )


def _sizes(rows: Sequence[Row], field: str) -> list[int]:
    return [getattr(compiled([row]), field) for row in rows]


def starts(rows: Sequence[Row], model: mujoco.MjModel) -> tuple[Initial, np.ndarray]:
    """Random states and controls: in float32, which every engine reads alike."""
    rng, nv = np.random.default_rng(7), _sizes(rows, "nv")
    speed = np.repeat([row.speed for row in rows], nv)
    spread = np.repeat([row.spread for row in rows], nv)
    qpos = np.tile(model.qpos0, (STATES, 1))
    for world in qpos:
        mujoco.mj_integratePos(model, world, rng.normal(size=model.nv) * spread, 1.0)
    qvel = rng.normal(size=(STATES, model.nv)) * speed
    act = rng.uniform(0, 1, (STATES, model.na))
    ctrl = rng.uniform(-1, 1, (STATES, model.nu))
    parts = [np.asarray(x, np.float32).astype(float) for x in (qpos, qvel, act, ctrl)]
    return Initial(*parts[:3]), parts[3]
