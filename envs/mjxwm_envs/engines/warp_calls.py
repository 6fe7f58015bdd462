"""Calls of MuJoCo Warp from compiled programs: one for all substeps of a control step.

Only what carries information goes in and out: state and controls, and the fields that a task reads.
"""

import hashlib
import inspect
import math
import threading
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import warp
from jaxtyping import Array
from mujoco.mjx.third_party import mujoco_warp

from mjxwm_envs.engines.warp_worlds import Sizes, Work, Worlds, kept

_LOCK = threading.Lock()


class Inputs(NamedTuple):
    """What the worlds are stepped from. One world's arrays in a call under `jax.vmap`."""

    state: dict[str, Array]
    """Fields of Warp's data."""
    model: dict[str, Array]
    """Fields of the model that this world has its own value of."""


class Simulator:
    """One model on Warp, with buffers for at most `capacity` worlds."""

    def __init__(self, model: mujoco.MjModel, sizes: Sizes, capacity: int):
        """Args:
        model: compiled model.
        sizes: room in the buffers.
        capacity: the most worlds that may be stepped together.
        """
        self._body, self._sizes, self._capacity = model, sizes, capacity
        self._digest = _digest(model)
        self._example = Worlds(model, self._model("cpu"), Sizes(1, 1), 1, ())

    def size(self, name: str) -> int | None:
        """Numbers in a field of Warp's data of one world; None if it has no such array."""
        field = getattr(self._example.data, name, None)
        return math.prod(_shape(field)) if isinstance(field, warp.array) else None

    def __call__(self, work: Work, inputs: Inputs, results: Collection[str]) -> dict[str, Array]:
        """Does `work` in one world; under `jax.vmap`, in all of them with one call.

        Args:
            work: what to compute.
            inputs: the state before. Empty arrays may be left out or not.
            results: fields of Warp's data, at the state after.

        Raises:
            ValueError: more worlds than the buffers are made for.
        """
        empty = {k: jnp.zeros(s) for k in results if 0 in (s := self._result_shape(k))}
        names = tuple(sorted(set(results) - set(empty)))
        full = jax.tree.map(jnp.asarray, inputs)
        full = Inputs(*({k: x for k, x in part.items() if x.size} for part in full))
        return empty | self._batched(work, names, 0)(full)

    def alone(self, number: int) -> Worlds:
        """Buffers of `number` worlds that no compiled program uses, on Warp's first device."""
        return Worlds(self._body, self._model(warp.get_device()), self._sizes, number, ())

    def _result_shape(self, name: str) -> tuple[int, ...]:
        return _shape(self._example.field(name))[1:]

    def _batched(self, work: Work, results: tuple[str, ...], axes: int) -> Any:
        """`__call__` for inputs with this many leading axes of worlds."""

        @jax.custom_batching.custom_vmap
        def worlds(inputs: Inputs) -> dict[str, Array]:
            lead = jax.tree.leaves(inputs)[0].shape[:axes]
            number = math.prod(lead)
            if number > self._capacity:
                raise ValueError(
                    f"{number} worlds or more are stepped together, but the buffers of "
                    f"engine='warp' are made for {self._capacity}; use env.for_worlds(n) with the "
                    "number of all worlds"
                )
            computed = self._call(work, results, inputs, number)
            return {k: x.reshape(*lead, *x.shape[1:]) for k, x in computed.items()}

        @worlds.def_vmap
        def _(axis_size: int, batched: Any, inputs: Inputs) -> tuple[Any, Any]:
            def spread(x: Array, has_axis: bool) -> Array:
                return x if has_axis else jnp.broadcast_to(x, (axis_size, *x.shape))

            inputs = jax.tree.map(spread, inputs, batched[0])
            computed = self._batched(work, results, axes + 1)(inputs)
            return computed, jax.tree.map(lambda x: True, computed)

        return worlds

    def _call(
        self, work: Work, results: tuple[str, ...], inputs: Inputs, number: int
    ) -> dict[str, Array]:
        state, varying = tuple(sorted(inputs.state)), tuple(sorted(inputs.model))
        like = [self._example.field(k) for k in state] + [
            self._example.model_field(k) for k in varying
        ]
        arrays = [*(inputs.state[k] for k in state), *(inputs.model[k] for k in varying)]
        arrays = [
            jnp.asarray(x, warp.dtype_to_jax(_scalar(a.dtype))).reshape(number, *_shape(a)[1:])
            for x, a in zip(arrays, like, strict=True)
        ]
        dims = {f"out{i}": (number, *self._result_shape(k)) for i, k in enumerate(results)}
        call = self._callable(work, state, varying, results)
        with _LOCK:
            # Calls are alike: what is compiled does not depend on what was traced before.
            call.call_id = 0
            return dict(zip(results, call(*arrays, output_dims=dims), strict=True))

    def _callable(self, work: Work, state: Any, varying: Any, results: Any) -> Any:
        key = (self._digest, self._sizes, work, state, varying, results)
        with _LOCK:
            if key not in _calls:
                name = f"mujoco_warp_{_digest(key)}"
                _calls[key] = self._make(name, work, state, varying, results)
            return _calls[key]

    def _make(
        self,
        name: str,
        work: Work,
        state: tuple[str, ...],
        varying: tuple[str, ...],
        results: tuple[str, ...],
    ) -> Any:
        def run(*arrays: Any) -> None:
            ins, outs = arrays[: -len(results)], arrays[-len(results) :]
            worlds = self._worlds(ins[0].device, len(ins[0]), state, varying)
            targets = [worlds.field(k) for k in state] + [worlds.model_field(k) for k in varying]
            for target, x in zip(targets, ins, strict=True):
                warp.copy(target, x)
            worlds.run(work)
            for x, name in zip(outs, results, strict=True):
                warp.copy(x, worlds.field(name))

        kinds = {f"in{i}": self._example.field(k) for i, k in enumerate(state)}
        kinds |= {f"varying{i}": self._example.model_field(k) for i, k in enumerate(varying)}
        kinds |= {f"out{i}": self._example.field(k) for i, k in enumerate(results)}
        return _ffi(run, name, kinds, len(results))

    def _worlds(self, device: Any, number: int, state: Any, varying: Any) -> Worlds:
        key = (self._digest, self._sizes, str(device), number, state, varying)
        return kept(key, lambda: self.buffers(device, number, varying))

    def buffers(self, device: Any, number: int, varying: tuple[str, ...]) -> Worlds:
        """New buffers for `number` worlds on a device."""
        return Worlds(self._body, self._model(device), self._sizes, number, varying)

    def _model(self, device: Any) -> Any:
        """Warp's model on this device, the same for all simulators of a model."""
        key = (self._digest, str(device))
        if key not in _models:
            with warp.ScopedDevice(device):
                model = _models[key] = mujoco_warp.put_model(self._body)
                # The model's own, as in MJX: put_model raises it to 1e-6.
                model.opt.tolerance = warp.array([self._body.opt.tolerance], dtype=float)
        return _models[key]


# Shared by all simulators of a model: a program's text then depends on the model alone.
_models: dict[tuple[str, str], Any] = {}
_calls: dict[Any, Any] = {}


def _ffi(run: Any, name: str, kinds: Mapping[str, Any], num_outputs: int) -> Any:
    """`run` as a function of JAX arrays; its arguments have these types."""
    types = {k: warp.array(dtype=a.dtype, ndim=a.ndim) for k, a in kinds.items()}
    run.__qualname__ = name
    run.__annotations__ = types
    run.__signature__ = inspect.Signature(
        [inspect.Parameter(k, inspect.Parameter.POSITIONAL_OR_KEYWORD) for k in types]
    )
    return warp.jax_callable(
        run,
        num_outputs=num_outputs,
        graph_mode=warp.JaxCallableGraphMode.NONE,
        module_preload_mode=warp.JaxModulePreloadMode.NONE,
    )


def _digest(x: Any) -> str:
    """The same for the same model or tuple, in every process."""
    if isinstance(x, mujoco.MjModel):
        buffer = np.zeros(mujoco.mj_sizeModel(x), np.uint8)
        mujoco.mj_saveModel(x, None, buffer)
        return hashlib.sha256(buffer.tobytes()).hexdigest()[:16]
    return hashlib.sha256(repr(x).encode()).hexdigest()[:16]


def _scalar(dtype: Any) -> Any:
    return getattr(dtype, "_wp_scalar_type_", dtype)


def _shape(a: Any) -> tuple[int, ...]:
    """Shape as JAX has it: with the axes of vectors and matrices."""
    return (*a.shape, *getattr(a.dtype, "_shape_", ()))
