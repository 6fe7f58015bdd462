"""A replay buffer on the device: trajectories [U, B] are inserted, windows [L, N] are sampled.

The arrays are [K, B, U, ...]: K blocks, one for each insert of U steps (an unroll, T elsewhere) in
B worlds. An insert is one contiguous `dynamic_update_slice` per array, in place if the state is
donated. The U steps of a world are adjacent, and so are observation, action and reward of a step,
so that fetching a window reads from few places in memory.
Each observation is stored once; the one after the end of an episode is not stored, because windows
mask what follows an end and never bootstrap from it.
Windows are contiguous in time and never cross the write head. Masking, instead of cutting windows
at the end of an episode, keeps shapes fixed and samples episodes of all lengths alike.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped, UInt8
from mjxwm_envs import shards, vmapped

from mjxwm.types import StepCounts, Trajectory

_TERMINATED, _TRUNCATED, _INVALID = 1, 2, 4


class Columns(NamedTuple):
    """The parts of a row of the buffer."""

    obs: Float[Array, "*s o"]
    action: Float[Array, "*s a"]
    reward: Float[Array, "*s"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Replay:
    """A ring buffer of K blocks with U steps of B worlds each; it holds K * U steps per world."""

    rows: Float[Array, "K B U o+a+1"]
    """Observation, action and reward of each step, concatenated."""
    flags: UInt8[Array, "K B U"]
    """Bits: 1 terminated, 2 truncated, 4 not valid."""
    head: Int[Array, ""]
    """Index, in 0..K*U - 1, of the step that the next insert writes first."""
    size: Int[Array, ""]
    """Number of steps per world that hold data; the newest is the one before `head`."""
    obs_size: int = dataclasses.field(metadata={"static": True})
    """o: where the observation ends in a row. Static, because shapes depend on it."""

    @property
    def capacity(self) -> int:
        """Largest number of steps per world, K * U."""
        return self.flags.shape[-3] * self.flags.shape[-1]

    def at(self, steps: Int[Any, " T"]) -> tuple[Columns, UInt8[Array, "T B"]]:
        """The data of all worlds at T step indices of the buffer, [T, B], and their flags."""
        unroll = self.flags.shape[-1]
        block, within = steps // unroll, steps % unroll
        return self.columns(self.rows[block, :, within]), self.flags[block, :, within]

    def columns(self, rows: Float[Array, "*s o+a+1"]) -> Columns:
        """Splits rows of this buffer into observation, action and reward."""
        return Columns(rows[..., : self.obs_size], rows[..., self.obs_size : -1], rows[..., -1])


class Sequence(NamedTuple):
    """N windows of L consecutive steps."""

    obs: Float[Array, "L N o"]
    action: Float[Array, "L N a"]
    reward: Float[Array, "L N"]
    terminated: Bool[Array, "L N"]
    mask: Bool[Array, "L N"]
    """Whether step t is in the same episode as step 0 and its physics did not diverge: only then
    its action, reward and termination may be learned from."""
    next_mask: Bool[Array, "L N"]
    """Whether, in addition, the episode continues: obs[t + 1] is the observation after step t."""


def init(capacity: int, unroll: int, num_worlds: int, obs_size: int, action_size: int) -> Replay:
    """An empty buffer.

    Args:
        capacity: steps per world, where configurations count over all worlds; rounded up to a
            multiple of `unroll`: no insert wraps around.
        unroll: U, the steps of each trajectory to be inserted.
        num_worlds: B.
        obs_size: o.
        action_size: a.

    Raises:
        ValueError: a size is below 1.
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
    """Which axis of each array is split over devices: that of the worlds."""
    data, number = shards.spread(1), PartitionSpec()
    places: dict[str, Any] = {"rows": data, "flags": data, "head": number, "size": number}
    return dataclasses.replace(replay, **places)


def insert(replay: Replay, trajectory: Trajectory) -> Replay:
    """Writes a trajectory of U steps at the head; once the buffer is full, over the oldest steps.

    Under `vmap` over several buffers, those of several seeds, all have the same head.

    Raises:
        ValueError: the trajectory is not [U, B].
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
    rows = jnp.concatenate([x.astype(replay.rows.dtype) for x in parts], axis=-1)
    # Buffers of several seeds are filled alike: they have one head, and the write stays in place.
    block = vmapped.largest(replay.head // unroll)
    return dataclasses.replace(
        replay,
        rows=_write_in_place(replay.rows, rows, block),
        flags=_write_in_place(replay.flags, flags, block),
        head=(replay.head + unroll) % replay.capacity,
        size=jnp.minimum(replay.size + unroll, replay.capacity),
    )


def _write_in_place(
    blocks: Shaped[Array, "K B U *d"], steps: Shaped[Array, "U B *d"], index: Int[Array, ""]
) -> Shaped[Array, "K B U *d"]:
    """Writes `steps` into block number `index`, without copying the buffer.

    The write is in a loop with one iteration, so that XLA does not fuse it with the gather of
    `sample`: where an iteration samples a single batch, XLA would otherwise write twice and copy
    the whole buffer in between.
    """
    block = steps.swapaxes(0, 1)[None]

    def write(index: Int[Array, ""], blocks: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(blocks, block, index, axis=0)

    return jax.lax.fori_loop(index, index + 1, write, blocks)


def sample(replay: Replay, key: PRNGKeyArray, num: int, length: int) -> Sequence:
    """Samples N windows of L steps: start times uniformly with replacement, worlds stratified.

    Window i is from the i-th of N equal parts of the worlds (`mjxwm_envs.shards.strata`); so each
    device samples from its own worlds.

    Args:
        replay: the buffer. The caller must have inserted at least `length` steps; a compiled
            program cannot check this.
        key: random key.
        num: N, the number of windows over all devices.
        length: L, the steps of a window.

    Raises:
        ValueError: windows are longer than the buffer.
    """
    place = _places(replay, key, num, length)
    # Without the barrier, XLA fuses the gather into its users and fetches every number on its own.
    fetched = _fetch(replay.rows, place), _fetch(replay.flags, place)
    rows, flags = jax.lax.optimization_barrier(fetched)
    return from_flags(*replay.columns(rows), flags)


def step_counts(replay: Replay, keys: PRNGKeyArray, num: int, length: int) -> StepCounts | None:
    """Numbers of unmasked steps in the batches that `sample` draws with these keys.

    Losses divide by them. They are computed for many batches at once, because each batch would
    otherwise take a collective of its own. None on one device, where the masks of a batch say it.

    Args:
        replay: the buffer.
        keys: random keys of any shape, one per batch.
        num: N, see `sample`.
        length: L = H + 1, see `sample`; the last step of a window is no transition.
    """
    if shards.count() == 1:
        return None

    def counts(key: PRNGKeyArray) -> StepCounts:
        flags = _fetch(replay.flags, _places(replay, key, num, length))
        mask, next_mask = _masks(flags)
        outcome = mask & (((flags & _TERMINATED) > 0) | next_mask)
        return StepCounts(*(x[:-1].astype(float).sum() for x in (mask, next_mask, outcome)))

    for _ in keys.shape:
        counts = jax.vmap(counts)
    return shards.mean(counts(keys))


Place = tuple[Int[Array, "L N"], Int[Array, " N"], Int[Array, "L N"]]
"""Indices into the buffer's arrays: block, world, step within the block."""


def _fetch(leaf: Shaped[Array, "K B U *d"], place: Place) -> Shaped[Array, "L N *d"]:
    # Indices are in range; checking them would take as long as the gather itself.
    return leaf.at[place].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _places(replay: Replay, key: PRNGKeyArray, num: int, length: int) -> Place:
    steps, (_, worlds, unroll) = replay.capacity, replay.flags.shape
    if length > steps:
        raise ValueError(f"windows of {length} steps do not fit a replay of {steps} per world")
    bits = jax.random.bits(key, (2, num), jnp.uint32)
    world = shards.strata(bits[0], worlds * shards.count())
    # Start 0 is the oldest step; the last step of a window is at most the newest, size - 1.
    start = shards.local(shards.cheap_randint(bits[1], replay.size - length + 1))
    first = (replay.head - replay.size + start) % steps
    step = first + jnp.arange(length)[:, None]
    step = jnp.where(step < steps, step, step - steps)
    # Without the barrier, XLA computes the indices again for each number that is fetched.
    return jax.lax.optimization_barrier((step // unroll, world, step % unroll))


def from_flags(
    obs: Float[Array, "L N o"],
    action: Float[Array, "L N a"],
    reward: Float[Array, "L N"],
    flags: UInt8[Array, "L N"],
) -> Sequence:
    """Windows from arrays and flags (bits as in `Replay.flags`), of a buffer or a data set."""
    return Sequence(obs, action, reward, (flags & _TERMINATED) > 0, *_masks(flags))


def _masks(flags: UInt8[Array, "L N"]) -> tuple[Bool[Array, "L N"], Bool[Array, "L N"]]:
    # The same as `jnp.cumprod` over time, which takes several times as long on a CPU.
    next_mask = jax.lax.associative_scan(jnp.logical_and, flags == 0)
    same_episode = jnp.concatenate([jnp.ones_like(next_mask[:1]), next_mask[:-1]])
    return same_episode & ((flags & _INVALID) == 0), next_mask
