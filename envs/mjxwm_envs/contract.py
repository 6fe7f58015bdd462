"""Checks that a task's functions return what `Task` demands, when its environment is made.

The functions are traced with abstract values, for shapes and types only: nothing is compiled or
computed.
"""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.engines.engine import Engine
from mjxwm_envs.task import Task
from mjxwm_envs.task_errors import called, check_names, check_signature

_SIZES = {"qpos": "nq", "qvel": "nv", "act": "na"}
_WHOLE_NUMBERS = (
    *("body_conaffinity", "body_contype", "eq_active0", "geom_conaffinity", "geom_condim"),
    *("geom_contype", "geom_priority", "jnt_actgravcomp", "pair_dim", "light_active"),
    *("opt.iterations", "opt.ls_iterations", "opt.noslip_iterations", "opt.ccd_iterations"),
    *("opt.disableflags", "opt.enableflags", "opt.disableactuator"),
)
"""Integer fields that may differ between worlds; all others determine array sizes or programs."""


def check_task(task: Task, engine: Engine) -> None:
    """Checks everything that a task returns.

    Args:
        task: the task.
        engine: the engine of its model.

    Raises:
        ValueError: a function fails, or its result is not as `envs.Task` demands; the message has
            its name, the result and what was expected.
    """
    model, dtype = engine.model, jnp.result_type(float)
    check_names(task)
    initial = _traced(task, "initial", jax.random.key(0))
    check_initial(initial, model)
    _check_fields(initial.fields, engine)
    action = jax.ShapeDtypeStruct((model.nu,), dtype)
    physics = _physics(model, initial, engine.derived)
    _check_array("shape", _traced(task, "shape", action), (model.nu,), "f", "the actuators")
    obs = _traced(task, "observe", physics)
    _check_array("observe", obs, (None,), "f")
    if not obs.size:
        raise ValueError("observe: returns no numbers; a policy needs at least one")
    _check_reward(_traced(task, "reward", physics, action, physics))
    _check_array("terminated", _traced(task, "terminated", physics), (), "b")
    success = _traced(task, "success", physics)
    if success is not None:
        _check_array("success", success, (), "b")


def check_initial(initial: Any, model: mujoco.MjModel) -> None:
    """Checks that a start state fits the model.

    Raises:
        ValueError: it does not; the message has the field, its value and what was expected.
    """
    if not isinstance(initial, Initial):
        raise ValueError(f"initial: returns {_kind(initial)}, not an envs.Initial")
    for name, size in _SIZES.items():
        value, expected = getattr(initial, name), getattr(model, size)
        if not _is_array(value):
            raise ValueError(
                f"initial: {name} is {_kind(value)}; an array of {expected} numbers is expected"
            )
        if len(np.shape(value)) != 1:
            shape = np.shape(value)
            raise ValueError(f"initial: {name} has shape {shape}; ({expected},) is expected")
        if np.shape(value)[0] != expected:
            count = np.shape(value)[0]
            raise ValueError(f"initial: {name} has {count} numbers, the model {expected} ({size})")
        _check_type(f"initial: {name}", value, "f")
    if not isinstance(initial.fields, dict):
        raise ValueError(f"initial: fields is {_kind(initial.fields)}; a dict is expected")
    for name, value in initial.fields.items():
        _check_field(name, value, model)


def check_model(task: Task) -> mujoco.MjModel:
    """The task's compiled model, with checks of its times and its `derived` fields.

    Raises:
        ValueError: there is no model, or one of these has a wrong type or value.
    """
    steps = task.episode_length
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise ValueError(f"episode_length={steps!r}: a whole number of at least 1 is expected")
    for name in ("ctrl_dt", "sim_dt"):
        value: Any = getattr(task, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{name}={value!r}: seconds above 0 are expected")
    derived: Any = called(task, "derived", lambda: task.derived)
    is_list = isinstance(derived, tuple | list)
    if not is_list or not all(isinstance(name, str) for name in derived):
        raise ValueError(f"derived: {derived!r}; a tuple of names is expected, as ('xpos',)")
    model: Any = called(task, "model", task.model)
    if not isinstance(model, mujoco.MjModel):
        raise ValueError(f"model: returns {_kind(model)}, not a mujoco.MjModel")
    return model


def _physics(model: mujoco.MjModel, initial: Initial, derived: tuple[str, ...]) -> Physics:
    data, dtype = mujoco.MjData(model), jnp.result_type(float)

    def real(*shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    fields = {name: real(*np.shape(getattr(data, name))) for name in derived}
    qpos, qvel, act, ctrl = map(real, (model.nq, model.nv, model.na, model.nu))
    return Physics(real(), qpos, qvel, act, ctrl, fields, initial.goal)


def _check_field(name: Any, value: Any, model: mujoco.MjModel) -> None:
    try:
        nominal = np.asarray(operator.attrgetter(name)(model))
        is_field = nominal.dtype.kind in "fiub"
    except (AttributeError, TypeError):
        is_field = False
    if not is_field:
        raise ValueError(f"initial: fields has {name!r}, which is no field of MjModel")
    if not _is_array(value):
        raise ValueError(f"initial: field {name!r} is {_kind(value)}; an array is expected")
    shape = np.shape(value)
    # Bounding boxes may be rows of six numbers or pairs of vectors.
    if int(np.prod(shape)) != nominal.size or shape[:1] != nominal.shape[:1]:
        raise ValueError(
            f"initial: field {name!r} has shape {shape}, the model's is {nominal.shape}; fields "
            "are whole arrays"
        )
    if nominal.dtype.kind == "f":
        _check_type(f"initial: field {name!r}", value, "fiu")
    elif name not in _WHOLE_NUMBERS:
        raise ValueError(
            f"initial: field {name!r} says how the model is built, and cannot differ between worlds"
        )
    else:
        _check_type(f"initial: field {name!r}", value, "iub")


def _check_fields(fields: dict[str, Any], engine: Engine) -> None:
    for name in fields:
        if not engine.can_differ(name):
            raise ValueError(
                f"initial: field {name!r} cannot differ between worlds with engine={engine.name!r}"
            )


def _check_reward(returned: Any) -> None:
    expected = "a reward and a dict of its terms, (reward, {}) without any, are expected"
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise ValueError(f"reward: returns {_kind(returned)}; {expected}")
    reward, terms = returned
    _check_array("reward", reward, (), "f")
    if not isinstance(terms, dict):
        raise ValueError(f"reward: its terms are {_kind(terms)}; {expected}")
    for name, term in terms.items():
        if not isinstance(name, str):
            raise ValueError(f"reward: a term's name is {name!r}; a word is expected")
        _check_array(f"reward: term {name!r}", term, (), "fiub")


def _check_array(
    what: str, value: Any, shape: tuple[int | None, ...], kinds: str, of: str = ""
) -> None:
    words = {(): "one number", (None,): "a vector"}.get(shape, f"shape {shape}")
    words += f", as {of} have" if of else ""
    if not _is_array(value):
        raise ValueError(f"{what}: returns {_kind(value)}; {words} is expected")
    actual = np.shape(value)
    same = len(actual) == len(shape) and all(s in (None, a) for s, a in zip(shape, actual))  # noqa: B905
    if not same:
        raise ValueError(f"{what}: has shape {actual}; {words} is expected{_hint(actual, shape)}")
    _check_type(what, value, kinds)


def _hint(actual: tuple[int, ...], shape: tuple[int | None, ...]) -> str:
    if shape == () and int(np.prod(actual)) == 1:
        return ": take its element [0], or .squeeze()"
    return ": .ravel() makes one" if shape == (None,) and len(actual) > 1 else ""


def _check_type(what: str, value: Any, kinds: str) -> None:
    dtype = jnp.result_type(value)
    kind = "f" if jnp.issubdtype(dtype, jnp.floating) else np.dtype(dtype).kind
    if kind not in kinds:
        expected = {"f": "a floating-point type", "b": "bool"}.get(kinds, "a real type")
        remedy = {"f": "; .astype(float)", "b": "; a comparison, such as x > 0"}.get(kinds, "")
        raise ValueError(f"{what}: has type {dtype}; {expected} is expected{remedy}")


def _traced(task: Task, what: str, *args: Any) -> Any:
    check_signature(task, what, len(args))
    return called(task, what, lambda: jax.eval_shape(getattr(task, what), *args))


def _is_array(value: Any) -> bool:
    numbers = bool | int | float | complex
    return isinstance(value, numbers) or (hasattr(value, "shape") and hasattr(value, "dtype"))


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if _is_array(value):
        return f"one array of shape {np.shape(value)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
