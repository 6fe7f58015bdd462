"""What MuJoCo Warp adds to a program: kernels in a control step, memory. No GPU is needed."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
from mjxwm_envs.engines.mjx_model import for_mjx

from mjxwm.maths import platform

_WORLDS = 2


def in_control_step(env: envs.Env) -> int:
    """Kernels that Warp starts in one control step of all worlds, resets left out.

    They are counted on the CPU, in few worlds: Warp starts the same ones there, but for the turns
    of the constraint solver, which depend on the worlds. Compiles Warp's kernels for the CPU if it
    has not before.
    """
    with platform.compiling_for("cpu"), jax.default_device(jax.devices("cpu")[0]):
        return _started(env)


def bytes_of_world(engine: Any) -> int:
    """Bytes that a world of engine warp takes in the buffers of MuJoCo Warp."""
    import warp
    from mujoco.mjx.third_party import mujoco_warp

    sizes, model = engine.buffer_sizes, for_mjx(engine.model, engine.derived)
    with warp.ScopedDevice("cpu"):
        data = mujoco_warp.make_data(
            model, nworld=1, naconmax=max(1, sizes.contacts), njmax=max(1, sizes.rows)
        )
    parts = [data, *(part for part in vars(data).values() if dataclasses.is_dataclass(part))]
    arrays = [x for part in parts for x in vars(part).values() if isinstance(x, warp.array)]
    return sum(array.capacity for array in arrays)


def _started(env: envs.Env) -> int:
    batch = env.for_worlds(_WORLDS).batch(_WORLDS)
    worlds = jax.block_until_ready(jax.jit(batch.reset)(jax.random.key(0)))
    action = jnp.zeros((_WORLDS, env.action_size))
    with _counted() as started:
        jax.block_until_ready(jax.jit(batch.step)(worlds, action))
    return len(started)


@contextlib.contextmanager
def _counted() -> Iterator[list[str]]:
    import warp

    started: list[str] = []

    def counting(name: str) -> mock._patch:
        original = getattr(warp, name)

        def launch(*args: object, **options: object) -> object:
            started.append(name)
            return original(*args, **options)

        return mock.patch.object(warp, name, launch)

    with counting("launch"), counting("launch_tiled"):
        yield started
