"""A replay buffer on the device: trajectories [T, B] in, windows [L, N] out.

The leaves are [K, B, U, ...]: K blocks, each of which is what one insert of U steps writes, so that
an insert is *one contiguous* `dynamic_update_slice` per leaf, in place when the state is donated.
Within a block the U steps of a world lie side by side, and all numbers of a step in one row, so
that a window fetches its steps from few places in memory. Observations are stored once: the
observation after an episode's end is never needed, because nothing bootstraps from it in a window.
Windows are contiguous in time and never cross the write head; steps after an episode's end stay in
the window and are masked, which keeps shapes fixed and favours no episode length.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped, UInt8
from mjxwm_envs import shards

from mjxwm.types import Known, Trajectory

_TERMINATED, _TRUNCATED, _INVALID = 1, 2, 4


class Columns(NamedTuple):
    """What a row holds."""

    obs: Float[Array, "*s o"]
    action: Float[Array, "*s a"]
    reward: Float[Array, "*s"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Replay:
    """The buffer's arrays and how far they are filled."""

    rows: Float[Array, "K B U o+a+1"]
    """Observation, action and reward of a step, side by side."""
    flags: UInt8[Array, "K B U"]
    """Bits: 1 terminated, 2 truncated, 4 not valid."""
    head: Int[Array, ""]
    """The step, of K * U, that the next insert writes first."""
    size: Int[Array, ""]
    """Steps that hold data, the newest just before `head`."""
    obs_size: int = dataclasses.field(metadata={"static": True})
    """o; no array, for it says where a row is cut."""

    @property
    def capacity(self) -> int:
        """Steps per world, K * U."""
        return self.flags.shape[-3] * self.flags.shape[-1]

    def at(self, steps: Int[Any, " T"]) -> tuple[Columns, UInt8[Array, "T B"]]:
        """What all worlds did at these steps of the buffer, [T, B], and the flags."""
        unroll = self.flags.shape[-1]
        block, within = steps // unroll, steps % unroll
        return self.columns(self.rows[block, :, within]), self.flags[block, :, within]

    def columns(self, rows: Float[Array, "*s o+a+1"]) -> Columns:
        """Cuts rows of this buffer into what they hold."""
        return Columns(rows[..., : self.obs_size], rows[..., self.obs_size : -1], rows[..., -1])


class Sequence(NamedTuple):
    """N windows of L consecutive steps."""

    obs: Float[Array, "L N o"]
    action: Float[Array, "L N a"]
    reward: Float[Array, "L N"]
    terminated: Bool[Array, "L N"]
    mask: Bool[Array, "L N"]
    """Step t belongs to the episode of step 0 and its action, reward and end are real."""
    next_mask: Bool[Array, "L N"]
    """Moreover obs[t + 1] is what step t led to: the episode goes on."""


def init(capacity: int, unroll: int, num_worlds: int, obs_size: int, action_size: int) -> Replay:
    """An empty buffer.

    Args:
        capacity: steps per world; rounded up to a multiple of `unroll`, so that no insert wraps.
        unroll: U, the steps of the trajectories to come.
        num_worlds: B.
        obs_size: o.
        action_size: a.

    Raises:
        ValueError: a size below 1.
    """
    for name, value in (("capacity", capacity), ("unroll", unroll), ("num_worlds", num_worlds)):
        if value < 1:
            raise ValueError(f"replay: {name}={value} is out of range; it must be at least 1")
    shape = (-(-capacity // unroll), num_worlds, unroll)
    return Replay(
        rows=jnp.zeros((*shape, obs_size + action_size + 1)),
        flags=jnp.zeros(shape, jnp.uint8),
        head=jnp.zeros((), jnp.int32),
        size=jnp.zeros((), jnp.int32),
        obs_size=obs_size,
    )


def layout(replay: Replay) -> Replay:
    """Which axis of each leaf is spread over devices: that of the worlds."""
    data, number = shards.spread(1), PartitionSpec()
    places: dict[str, Any] = {"rows": data, "flags": data, "head": number, "size": number}
    return dataclasses.replace(replay, **places)


def insert(replay: Replay, trajectory: Trajectory) -> Replay:
    """Writes U steps at the head, over the oldest ones once the buffer is full.

    Raises:
        ValueError: the steps or the worlds are not as many as a block's.
    """
    _, worlds, unroll = replay.flags.shape
    if trajectory.reward.shape != (unroll, worlds):
        raise ValueError(
            f"a trajectory of [T, B] = {list(trajectory.reward.shape)} does not fit a replay of "
            f"{replay.capacity} steps x {worlds} worlds, {unroll} steps per insert: T must be "
            f"{unroll} and B {worlds}"
        )
    flags = (
        _TERMINATED * trajectory.terminated
        + _TRUNCATED * trajectory.truncated
        + _INVALID * ~trajectory.valid
    ).astype(jnp.uint8)
    parts = (trajectory.obs, trajectory.action, trajectory.reward[..., None])
    new = jnp.concatenate([x.astype(replay.rows.dtype) for x in parts], axis=-1)

    first = replay.head // unroll

    def written(blocks: Array, steps: Shaped[Array, "U B *d"]) -> Array:
        block = steps.swapaxes(0, 1)[None]

        def write(at: Int[Array, ""], blocks: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(blocks, block, at, axis=0)

        # A loop of one turn, which XLA must not know: where a single batch is drawn, it would merge
        # the write into the batch's gather, write a second time, and copy the buffer for that.
        return jax.lax.fori_loop(first, first + 1, write, blocks)

    return dataclasses.replace(
        replay,
        rows=written(replay.rows, new),
        flags=written(replay.flags, flags),
        head=(replay.head + unroll) % replay.capacity,
        size=jnp.minimum(replay.size + unroll, replay.capacity),
    )


def sample(replay: Replay, key: PRNGKeyArray, num: int, length: int) -> Sequence:
    """Draws windows uniformly over start times, with replacement, and evenly over worlds.

    The i-th window is from about the i-th of `num` equal parts of the worlds
    (`mjxwm_envs.shards.strata`) and so from this device's, where they are spread over several.

    Args:
        replay: at least `length` steps must have been inserted (`size >= length`), which the
            caller ensures; fewer cannot be reported from inside a compiled program.
        key: random key.
        num: N, the number of windows, over all devices.
        length: L, their length in steps.

    Raises:
        ValueError: the window is longer than the buffer.
    """
    place = _places(replay, key, num, length)
    # Otherwise each number would be fetched on its own where it is used.
    fetched = _fetch(replay.rows, place), _fetch(replay.flags, place)
    rows, flags = jax.lax.optimization_barrier(fetched)
    return from_flags(*replay.columns(rows), flags)


def known(replay: Replay, keys: PRNGKeyArray, num: int, length: int) -> Known | None:
    """What counts in the batches that `sample` draws with these keys, on all devices.

    Losses need it before any gradient; asked for batch by batch, each would take a collective of
    its own. None on one device, where a batch shows it itself.
    """
    if shards.count() == 1:
        return None

    def shares(key: PRNGKeyArray) -> Known:
        flags = _fetch(replay.flags, _places(replay, key, num, length))
        mask, next_mask = _masks(flags)
        outcome = mask & (((flags & _TERMINATED) > 0) | next_mask)
        return Known(*(x[:-1].astype(float).mean() for x in (mask, next_mask, outcome)))

    for _ in keys.shape:
        shares = jax.vmap(shares)
    return shards.mean(shares(keys))


Place = tuple[Int[Array, "L N"], Int[Array, " N"], Int[Array, "L N"]]
"""Block, world and step within the block."""


def _fetch(leaf: Shaped[Array, "K B U *d"], place: Place) -> Shaped[Array, "L N *d"]:
    # No index is out of range or negative, and to look whether one is takes as long as the rest.
    return leaf.at[place].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _places(replay: Replay, key: PRNGKeyArray, num: int, length: int) -> Place:
    steps, (_, worlds, unroll) = replay.capacity, replay.flags.shape
    if length > steps:
        raise ValueError(f"windows of {length} steps do not fit a replay of {steps} per world")
    bits = jax.random.bits(key, (2, num), jnp.uint32)
    world = shards.strata(bits[0], worlds * shards.count())
    # Logical time 0 is the oldest step; the window's last is at most the newest, size - 1.
    start = shards.own(shards.below(bits[1], replay.size - length + 1))
    first = (replay.head - replay.size + start) % steps
    step = first + jnp.arange(length)[:, None]
    step = jnp.where(step < steps, step, step - steps)
    # Looked up once; otherwise it is computed again for each number that is fetched.
    return jax.lax.optimization_barrier((step // unroll, world, step % unroll))


def from_flags(
    obs: Float[Array, "L N o"],
    action: Float[Array, "L N a"],
    reward: Float[Array, "L N"],
    flags: UInt8[Array, "L N"],
) -> Sequence:
    """Windows of rows that were kept with their flags, here or on disk."""
    return Sequence(obs, action, reward, (flags & _TERMINATED) > 0, *_masks(flags))


def _masks(flags: UInt8[Array, "L N"]) -> tuple[Bool[Array, "L N"], Bool[Array, "L N"]]:
    # A product over time: on a CPU, `jnp.cumprod` takes several times as long.
    going_on = jax.lax.associative_scan(jnp.logical_and, flags == 0)
    before = jnp.concatenate([jnp.ones_like(going_on[:1]), going_on[:-1]])
    return before & ((flags & _INVALID) == 0), going_on
