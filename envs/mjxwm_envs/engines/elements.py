"""The elements of a model that have something, by kind and name: `joint 'knee'`."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

Finder = Callable[[mujoco.MjModel], list[str]]
"""Model -> its elements that have the thing; empty where none does."""


def shown(elements: list[str]) -> str:
    """The first three of them, and how many more."""
    return ", ".join(elements[:3]) + (f" and {len(elements) - 3} more" if elements[3:] else "")


def named(kind: Any, mask: Callable[[mujoco.MjModel], Any]) -> Finder:
    """Elements of one kind where `mask`, an array with a row for each, is not zero."""

    def used(model: mujoco.MjModel) -> list[str]:
        rows = np.asarray(mask(model))
        hit = np.flatnonzero(rows.reshape(len(rows), -1).any(axis=1) if rows.size else [])
        return [name(model, kind, int(i)) for i in hit]

    return used


def name(model: mujoco.MjModel, kind: Any, index: int) -> str:
    """An element's kind and name, or its number where it has none."""
    word = kind.name.removeprefix("mjOBJ_").lower()
    name = mujoco.mj_id2name(model, kind, index)
    return f"{word} {name!r}" if name else f"{word} {index}"


def dofs(mask: Callable[[mujoco.MjModel], Any]) -> Finder:
    """Joints of the degrees of freedom where `mask` is not zero."""

    def used(model: mujoco.MjModel) -> list[str]:
        rows = np.asarray(mask(model)).reshape(model.nv, -1).any(axis=1) if model.nv else []
        joints = sorted({int(model.dof_jntid[i]) for i in np.flatnonzero(rows)})
        return [name(model, mujoco.mjtObj.mjOBJ_JOINT, i) for i in joints]

    return used


def flag(bit: Any) -> Finder:
    """A flag that is set."""
    disable = isinstance(bit, mujoco.mjtDisableBit)
    word = bit.name.split("_")[1].lower()
    said = f"<flag {word}='{'disable' if disable else 'enable'}'/>"

    def used(model: mujoco.MjModel) -> list[str]:
        flags = model.opt.disableflags if disable else model.opt.enableflags
        return [said] if flags & int(bit) else []

    return used


def option(said: str, test: Callable[[mujoco.MjModel], bool]) -> Finder:
    """An option of the whole model: `said` where it passes the test."""
    return lambda model: [said] if test(model) else []
