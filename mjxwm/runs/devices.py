"""The devices of a run: chosen, joined over machines, and an algorithm's programs spread over them.

JAX's own runtime does the work: every process runs the same program, `jax.shard_map` hands each
device its worlds (`mjxwm_envs.shards`), and gradients are averaged by collectives.
"""

import os
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from mjxwm_envs import shards

from mjxwm import ConfigError
from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.types import Algorithm


class Programs(NamedTuple):
    """An algorithm's functions on the devices of a run, compiled on first use."""

    init: Any
    """key -> the first state."""
    iterate: Any
    """(state, *batches) -> the next state and metrics; it consumes the state."""
    place: Any
    """abstract state -> the same with the sharding of every leaf."""


def join() -> None:
    """Joins the other processes of a job, which JAX finds through SLURM, Kubernetes or Open MPI.

    Elsewhere JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and JAX_PROCESS_ID
    say it. To be called before anything is computed.

    Raises:
        ConfigError: there is no job to join, or its processes did not come.
    """
    names = ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    variables = [os.environ.get(name) for name in names]
    try:
        # None is what JAX finds out by itself.
        number, which = (None if value is None else int(value) for value in variables)
        jax.distributed.initialize(num_processes=number, process_id=which)
    except (ValueError, TypeError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"--distributed: JAX found no job to join ({first}). Start one process per machine "
            "with srun or as a Kubernetes job, or set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES "
            "and JAX_PROCESS_ID for each"
        ) from error


def leads() -> bool:
    """Whether this process is the one that prints, evaluates and writes the record."""
    return jax.process_index() == 0


def refuse(reason: str) -> None:
    """Ends all processes of a run if any of them has a reason to.

    Args:
        reason: this process's; empty where it has none.

    Raises:
        ConfigError: any process has a reason: its own, or that another one refused.
    """
    (refused,) = any_of(bool(reason))
    if refused:
        raise ConfigError(reason or "another process of this run refused to go on, and says why")


def any_of(*flags: bool) -> tuple[bool, ...]:
    """Each flag: whether it is set in any process. What ends a run must end it in all of them."""
    if jax.process_count() == 1:
        return flags
    everywhere = multihost_utils.process_allgather(np.array(flags))
    return tuple(everywhere.any(axis=0).tolist())


def of_the_first(number: int) -> int:
    """A number that the process that leads has found out, in all processes."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.array(number)))


def chosen(number: int | str) -> list[Any]:
    """The devices of a run: the first `number` of JAX's, or all for "all".

    Raises:
        ConfigError: there are fewer, or some of another process would be left out.
    """
    available = jax.devices()
    if number == "all":
        return available
    if not 1 <= int(number) <= len(available):
        raise ConfigError(
            f"devices={number} is out of range; here are {len(available)}: "
            f"{', '.join(str(d) for d in available)}. `--devices all` takes them all"
        )
    if jax.process_count() > 1 and int(number) < len(available):
        raise ConfigError(
            f"devices={number} leaves out some of the {len(available)} devices of "
            f"{jax.process_count()} processes; take `--devices all`"
        )
    return available[: int(number)]


def described(number: int | str) -> str:
    """The devices of a run in words, such as "8 x NVIDIA H100"."""
    count, kind = len(chosen(number)), jax.devices()[0].device_kind
    several = f"{count} x {kind}" if count > 1 else kind
    return several if jax.process_count() == 1 else f"{several} of {jax.process_count()} processes"


def programs(
    algorithm: Algorithm, name: str, config: AlgorithmConfig, among: list[Any]
) -> Programs:
    """The programs of an algorithm on these devices.

    Args:
        algorithm: what is run.
        name: its name, for errors.
        config: its configuration, which says what the number of devices has to divide.
        among: the devices.

    Raises:
        ConfigError: it runs on one device alone, or the devices do not divide its sizes.
    """
    if len(among) == 1:
        on = jax.sharding.SingleDeviceSharding(among[0])
        return Programs(
            algorithm.init,
            jax.jit(algorithm.iterate, donate_argnums=0),
            lambda abstract: jax.tree.map(lambda x: _placed(x, on), abstract),
        )
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0))
    if not hasattr(shapes, "layout"):
        raise ConfigError(
            f"algorithm={name!r} runs on one device; pwm, shac, reppo and tdmpc2 run on several. "
            "Take `--devices 1`"
        )
    _check(config, len(among))
    return _spread(algorithm, shards.mesh(among), shapes.layout())


def _check(config: AlgorithmConfig, devices: int) -> None:
    for name in config.spread:
        size = getattr(config, name)
        if size % devices:
            near = max(devices, round(size / devices) * devices)
            raise ConfigError(
                f"{name}={size} cannot be spread evenly over {devices} devices; {name}={near} can"
            )


def _spread(algorithm: Algorithm, mesh: Mesh, layout: Any) -> Programs:
    # `jax.jit` with a NamedSharding would run 36 collectives in PWM's updates on 8 devices (26 if
    # compiled for an H100) where this runs 14: gradients would be summed over devices in every step
    # of the backward loop over time. And where XLA gathers the start states, it runs the actor's
    # whole rollout on every device.
    whole = PartitionSpec()
    # What is replicated is known by construction, not by JAX's types: they would need a mark on
    # every value that a scan carries.
    init = jax.shard_map(
        algorithm.init, mesh=mesh, in_specs=whole, out_specs=layout, check_vma=False
    )
    iterate = jax.shard_map(
        algorithm.iterate,
        mesh=mesh,
        in_specs=(layout,),
        out_specs=(layout, whole),
        check_vma=False,
    )

    def place(abstract: Any) -> Any:
        return jax.tree.map(lambda x, spec: _placed(x, NamedSharding(mesh, spec)), abstract, layout)

    return Programs(jax.jit(init), jax.jit(iterate, donate_argnums=0), place)


def _placed(x: Any, sharding: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def local(state: Any) -> Any:
    """A state as this process's first device has it: everything replicated, and its own worlds."""
    return jax.tree.map(
        lambda x: x if len(x.sharding.device_set) == 1 else x.addressable_data(0), state
    )


def local_shapes(state: Any) -> Any:
    """The abstract value of `local` of a state.

    Args:
        state: abstract values with their shardings, as `Programs.place` returns them.
    """
    first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.sharding.shard_shape(x.shape), x.dtype, sharding=first),
        state,
    )
