"""Names of an observation's numbers, learned from what the task computes them of.

A task is a pure function of the physics: a number of the observation that equals one position at
several random values of the physics is that position, and likewise for multiples and cosines.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import mujoco
import numpy as np
from mjxwm_envs import Env
from mjxwm_envs.core import Physics

_DRAWS = 12
_TOLERANCE = 1e-5


def names(env: Env) -> list[str | None]:
    """What each number of an observation is, such as "qpos[hinge]"; None if it has none."""
    physics = jax.eval_shape(env.reset, jax.random.key(0)).sim.physics
    rng = np.random.default_rng(0)
    draws = [jax.tree.map(lambda x: _random(x, rng), physics) for _ in range(_DRAWS)]
    observe = jax.jit(env.task.observe)
    observed = np.stack([np.asarray(observe(draw), np.float64) for draw in draws])
    sources = [dict(_numbers(env.engine.model, draw)) for draw in draws]
    table = np.array([list(source.values()) for source in sources])
    labels = list(sources[0])
    return [_label(labels, table, numbers) for numbers in observed.T] + _pending(env)


def _label(labels: list[str], table: np.ndarray, numbers: np.ndarray) -> str | None:
    """What a number is that had these values [D] in D draws, where the sources had `table` [D, S].

    It is a source, or a multiple of one, if their ratio is the same in all draws.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = numbers[:, None] / table
        spread = np.ptp(ratios, axis=0) / np.abs(ratios[0])
    spread = np.where(np.isfinite(spread), spread, np.inf)
    place = int(spread.argmin())
    if spread[place] > _TOLERANCE:
        return None
    factor = ratios[:, place].mean()
    is_source = abs(factor - 1) < _TOLERANCE
    return labels[place] if is_source else f"{factor:.4g} * {labels[place]}"


def _random(x: jax.ShapeDtypeStruct, rng: np.random.Generator) -> Any:
    """Random numbers of this shape; what is no number of physics is 0."""
    if not np.issubdtype(x.dtype, np.floating):
        return np.zeros(x.shape, x.dtype) if isinstance(x.dtype, np.dtype) else jax.random.key(0)
    return rng.uniform(-0.5, 0.5, x.shape).astype(x.dtype)


def _numbers(model: mujoco.MjModel, physics: Physics) -> Iterator[tuple[str, float]]:
    """All numbers of a state by their names, positions with their cosines and sines."""
    for label, place in _coordinates(model.joint, model.jnt_qposadr, model.nq):
        value = float(physics.qpos[place])
        yield f"qpos[{label}]", value
        yield f"cos(qpos[{label}])", np.cos(value)
        yield f"sin(qpos[{label}])", np.sin(value)
    for label, place in _coordinates(model.joint, model.jnt_dofadr, model.nv):
        yield f"qvel[{label}]", float(physics.qvel[place])
    rest = {"act": physics.act, "ctrl": physics.ctrl, **physics.derived}
    for name, array in rest.items():
        rows = _rows(model, name, len(array))
        for index, value in np.ndenumerate(np.asarray(array)):
            label = [rows[index[0]], *map(str, index[1:])]
            yield f"{name}[{', '.join(label)}]", float(value)
    yield "time", float(physics.time)
    for path, leaf in jax.tree_util.tree_flatten_with_path(physics.goal)[0]:
        if isinstance(leaf, np.ndarray):
            for index, value in np.ndenumerate(leaf):
                yield f"goal{jax.tree_util.keystr(path)}{list(index)}", float(value)


def _coordinates(kind: Callable[[int], Any], starts: Any, total: int) -> Iterator[tuple[str, int]]:
    """Labels and places of coordinates: the joint or sensor, and a number where it has several."""
    ends = [*starts[1:], total]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        name = _name(kind, i) or str(i)
        for place in range(start, end):
            yield (name if end - start == 1 else f"{name}, {place - start}"), int(place)


def _rows(model: mujoco.MjModel, field: str, count: int) -> list[str]:
    """Labels of the rows of a field of `MjData`: the bodies, sites, ... that they are of."""
    if field == "sensordata":
        return [label for label, _ in _coordinates(model.sensor, model.sensor_adr, count)]
    kinds = {"site": model.site, "geom": model.geom, "cam": model.camera, "ten": model.tendon}
    kinds |= {"actuator": model.actuator, "act": model.actuator, "ctrl": model.actuator}
    kinds |= dict.fromkeys(("xpos", "xquat", "xmat", "xipos", "ximat", "cvel"), model.body)
    kinds |= {"subtree": model.body, "cfrc": model.body, "cacc": model.body, "cinert": model.body}
    kind = kinds.get(field.split("_")[0])
    return [(_name(kind, i) if kind else "") or str(i) for i in range(count)]


def _name(kind: Callable[[int], Any], i: int) -> str:
    """The name of a body, joint, ...; empty if it has none."""
    try:
        return kind(i).name
    except (IndexError, KeyError):  # a field of another length
        return ""


def _pending(env: Env) -> list[str | None]:
    """Names of the actions that stand after the observation if actions are delayed."""
    steps = 0 if env.randomise is None else env.randomise.latency
    each = range(env.action_size)
    return [f"action[{i}], {step} before" for step in range(1, steps + 1) for i in each]
