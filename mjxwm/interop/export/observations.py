"""Names of an observation's numbers, learned from what the task computes them of.

A task is a pure function of the physics: a number of the observation that equals one position at
several random values of the physics is that position, and likewise for its cosine.
"""

from collections.abc import Iterator
from typing import Any

import jax
import mujoco
import numpy as np
from mjxwm_envs import Env
from mjxwm_envs.core import Physics

_DRAWS = 4
_TOLERANCE = 1e-6


def names(env: Env) -> list[str | None]:
    """What each number of an observation is, such as "qpos[hinge]"; None if it is computed."""
    physics = jax.eval_shape(env.reset, jax.random.key(0)).sim.physics
    rng = np.random.default_rng(0)
    draws = [jax.tree.map(lambda x: _random(x, rng), physics) for _ in range(_DRAWS)]
    observe = jax.jit(env.task.observe)
    observed = np.stack([np.asarray(observe(draw), np.float64) for draw in draws])
    sources = [dict(_numbers(env.engine.model, draw)) for draw in draws]
    labels = list(sources[0])
    table = np.array([[source[label] for label in labels] for source in sources])
    near = np.abs(observed[:, :, None] - table[:, None, :]).max(axis=0) < _TOLERANCE
    of_task = [labels[int(row.argmax())] if row.any() else None for row in near]
    return of_task + _pending(env)


def _random(x: jax.ShapeDtypeStruct, rng: np.random.Generator) -> Any:
    """Random numbers of this shape; what is no number of physics is 0."""
    if not np.issubdtype(x.dtype, np.floating):
        return np.zeros(x.shape, x.dtype) if isinstance(x.dtype, np.dtype) else jax.random.key(0)
    return rng.uniform(-0.5, 0.5, x.shape).astype(x.dtype)


def _numbers(model: mujoco.MjModel, physics: Physics) -> Iterator[tuple[str, float]]:
    """All numbers of a state by their names, positions with their cosines and sines."""
    for label, place in _coordinates(model, model.jnt_qposadr, model.nq):
        value = float(physics.qpos[place])
        yield f"qpos[{label}]", value
        yield f"cos(qpos[{label}])", np.cos(value)
        yield f"sin(qpos[{label}])", np.sin(value)
    for label, place in _coordinates(model, model.jnt_dofadr, model.nv):
        yield f"qvel[{label}]", float(physics.qvel[place])
    rest = {"act": physics.act, "ctrl": physics.ctrl, **physics.derived}
    for name, array in rest.items():
        for index, value in np.ndenumerate(np.asarray(array)):
            yield f"{name}[{', '.join(map(str, index))}]", float(value)
    yield "time", float(physics.time)
    for path, leaf in jax.tree_util.tree_flatten_with_path(physics.goal)[0]:
        if isinstance(leaf, np.ndarray):
            for index, value in np.ndenumerate(leaf):
                yield f"goal{jax.tree_util.keystr(path)}{list(index)}", float(value)


def _coordinates(model: mujoco.MjModel, starts: Any, total: int) -> Iterator[tuple[str, int]]:
    """Labels of the coordinates: the joint, and a number where the joint has several."""
    ends = [*starts[1:], total]
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        joint = model.joint(i).name or f"joint{i}"
        for place in range(start, end):
            yield (joint if end - start == 1 else f"{joint}, {place - start}"), int(place)


def _pending(env: Env) -> list[str | None]:
    """Names of the actions that stand after the observation if actions are delayed."""
    steps = 0 if env.randomise is None else env.randomise.latency
    each = range(env.action_size)
    return [f"action[{i}], {step} before" for step in range(1, steps + 1) for i in each]
