"""Finds the elements of a model with some property, and names them: `joint 'knee'`."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

Finder = Callable[[mujoco.MjModel], list[str]]
"""Function of a model: descriptions of its elements that have a property; may be empty."""


def shown(elements: list[str]) -> str:
    """The first three elements, and the number of further ones, as text."""
    return ", ".join(elements[:3]) + (f" and {len(elements) - 3} more" if elements[3:] else "")


def named(kind: Any, mask: Callable[[mujoco.MjModel], Any]) -> Finder:
    """Finds elements of one kind by `mask`: an array with a row per element, nonzero to select."""

    def used(model: mujoco.MjModel) -> list[str]:
        rows = np.asarray(mask(model))
        hit = np.flatnonzero(rows.reshape(len(rows), -1).any(axis=1) if rows.size else [])
        return [name(model, kind, int(i)) for i in hit]

    return used


def name(model: mujoco.MjModel, kind: Any, index: int) -> str:
    """An element's kind and name, or number if it has no name."""
    word = kind.name.removeprefix("mjOBJ_").lower()
    name = mujoco.mj_id2name(model, kind, index)
    return f"{word} {name!r}" if name else f"{word} {index}"


def dofs(mask: Callable[[mujoco.MjModel], Any]) -> Finder:
    """Finds joints by `mask`: an array with a row per degree of freedom, nonzero to select."""

    def used(model: mujoco.MjModel) -> list[str]:
        rows = np.asarray(mask(model)).reshape(model.nv, -1).any(axis=1) if model.nv else []
        joints = sorted({int(model.dof_jntid[i]) for i in np.flatnonzero(rows)})
        return [name(model, mujoco.mjtObj.mjOBJ_JOINT, i) for i in joints]

    return used


def flag(bit: Any) -> Finder:
    """Finds out whether a flag of `<option>` is set."""
    disable = isinstance(bit, mujoco.mjtDisableBit)
    word = bit.name.split("_")[1].lower()
    element = f"<flag {word}='{'disable' if disable else 'enable'}'/>"

    def used(model: mujoco.MjModel) -> list[str]:
        flags = model.opt.disableflags if disable else model.opt.enableflags
        return [element] if flags & int(bit) else []

    return used


def option(text: str, test: Callable[[mujoco.MjModel], bool]) -> Finder:
    """Finds a property of the whole model: returns `text` if the model passes `test`."""
    return lambda model: [text] if test(model) else []
