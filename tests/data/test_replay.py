"""The replay buffer: every field of every step carries the id of its world and its time."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mjxwm.data import replay
from mjxwm.types import Transition

UNROLL, WORLDS, CAPACITY, LENGTH, NUM = 2, 3, 8, 4, 256
TERMINATED, TRUNCATED, INVALID = 1, 2, 4

insert = jax.jit(replay.insert)
sample = jax.jit(functools.partial(replay.sample, num=NUM, length=LENGTH))


def trajectory(start: int, flags: np.ndarray) -> Transition:
    """Steps `start`, `start` + 1, ... of all worlds; the id of a step is 100 * world + time."""
    length, worlds = flags.shape
    ids = 100.0 * jnp.arange(worlds) + start + jnp.arange(length, dtype=float)[:, None]
    return Transition(
        obs=jnp.stack([ids, -ids], axis=-1),
        action=jnp.stack([ids, 2 * ids, 3 * ids], axis=-1),
        reward=ids,
        terminated=jnp.asarray(flags & TERMINATED > 0),
        truncated=jnp.asarray(flags & TRUNCATED > 0),
        valid=jnp.asarray(flags & INVALID == 0),
        next_obs=jnp.full((length, worlds, 2), jnp.nan),  # must go nowhere
    )


def filled(flags: np.ndarray) -> replay.Replay:
    """A buffer that was given all of `flags` [time, worlds], UNROLL rows at a time."""
    buffer = replay.init(CAPACITY, UNROLL, WORLDS, obs_size=2, action_size=3)
    for start in range(0, len(flags), UNROLL):
        buffer = insert(buffer, trajectory(start, flags[start : start + UNROLL]))
    return buffer


# What a step can end with: nothing mostly, a termination, a truncation, or diverged physics, which
# also truncates.
end = st.sampled_from([0, 0, 0, TERMINATED, TRUNCATED, TRUNCATED | INVALID])
histories = st.integers(LENGTH // UNROLL, 13).flatmap(
    lambda inserts: arrays(np.uint8, (inserts * UNROLL, WORLDS), elements=end)
)


@given(histories, st.integers(0, 2**31 - 1))
def test_windows_are_contiguous_in_one_world_and_within_what_is_stored(flags, seed):
    windows = sample(filled(flags), jax.random.key(seed))
    ids = np.asarray(windows.reward)
    world, time = ids[0] // 100, ids[0] % 100
    np.testing.assert_array_equal(ids, 100 * world + time + np.arange(LENGTH)[:, None])
    np.testing.assert_array_equal(windows.obs, np.stack([ids, -ids], axis=-1))
    np.testing.assert_array_equal(windows.action, np.stack([ids, 2 * ids, 3 * ids], axis=-1))
    # Newest and oldest rows: a window beyond either would cross the write head.
    stored = min(len(flags), CAPACITY)
    assert (time >= len(flags) - stored).all()
    assert (time + LENGTH <= len(flags)).all()


@given(histories, st.integers(0, 2**31 - 1))
def test_masks_equal_a_loop_over_the_flags(flags, seed):
    windows = sample(filled(flags), jax.random.key(seed))
    for n in range(0, NUM, 8):
        alive = True
        for t in range(LENGTH):
            id_ = int(windows.reward[t, n])
            flag = int(flags[id_ % 100, id_ // 100])
            assert windows.terminated[t, n] == bool(flag & TERMINATED)
            assert windows.mask[t, n] == (alive and not flag & INVALID)
            alive = alive and flag == 0
            assert windows.next_mask[t, n] == alive


@pytest.mark.parametrize("inserts", [2, 3, 4, 5, 7, 12])
def test_every_start_is_reached_about_equally_often(inserts):
    flags = np.zeros((inserts * UNROLL, WORLDS), np.uint8)
    buffer = filled(flags)
    keys = jax.random.split(jax.random.key(1), 10)
    starts = np.concatenate([np.asarray(sample(buffer, k).reward[0]) for k in keys])
    stored = min(len(flags), CAPACITY)
    times = np.arange(len(flags) - stored, len(flags) - LENGTH + 1)
    eligible = (100 * np.arange(WORLDS)[:, None] + times).reshape(-1)
    drawn, counts = np.unique(starts, return_counts=True)
    np.testing.assert_array_equal(drawn, eligible)
    expected = len(starts) / len(eligible)
    # Counts are binomial: five deviations.
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_different_keys_give_different_windows_and_equal_keys_equal_ones():
    buffer = filled(np.zeros((CAPACITY, WORLDS), np.uint8))
    first, again, other = (sample(buffer, jax.random.key(i)).reward for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_flags_survive_storage():
    flags = np.array([[0, TERMINATED, TRUNCATED], [TRUNCATED | INVALID, 0, TERMINATED]], np.uint8)
    np.testing.assert_array_equal(filled(flags).at(np.arange(UNROLL))[1], flags)


def test_what_all_worlds_did_at_a_step_is_found_again():
    buffer = filled(np.zeros((CAPACITY + UNROLL, WORLDS), np.uint8))
    columns, _ = buffer.at(np.array([0, UNROLL, CAPACITY - 1]))
    # The first block was written over by what came after the last.
    ids = np.array([[CAPACITY], [UNROLL], [CAPACITY - 1]]) + 100 * np.arange(WORLDS)
    np.testing.assert_array_equal(columns.reward, ids)
    np.testing.assert_array_equal(columns.action[..., 1], 2 * ids)


def test_the_capacity_is_rounded_up_to_whole_unrolls():
    buffer = replay.init(capacity=7, unroll=3, num_worlds=2, obs_size=1, action_size=1)
    assert buffer.rows.shape == (3, 2, 3, 3)
    assert buffer.capacity == 9
    assert buffer.size == buffer.head == 0


def test_size_and_head_follow_the_inserts():
    flags = np.zeros((UNROLL, WORLDS), np.uint8)
    buffer = replay.init(CAPACITY, UNROLL, WORLDS, 2, 3)
    for i in range(1, 7):
        buffer = insert(buffer, trajectory(UNROLL * (i - 1), flags))
        assert buffer.size == min(UNROLL * i, CAPACITY)
        assert buffer.head == UNROLL * i % CAPACITY


@pytest.mark.parametrize("field", ["capacity", "unroll", "num_worlds"])
def test_a_size_below_one_is_refused_by_name(field):
    sizes = {"capacity": 8, "unroll": 2, "num_worlds": 3, "obs_size": 2, "action_size": 3}
    with pytest.raises(ValueError, match=f"{field}=0 is out of range; it must be at least 1"):
        replay.init(**{**sizes, field: 0})


@pytest.mark.parametrize("shape", [(3, WORLDS), (UNROLL, WORLDS + 1)])
def test_a_trajectory_that_does_not_fit_is_refused_with_both_shapes(shape):
    buffer = replay.init(CAPACITY, UNROLL, WORLDS, 2, 3)
    text = rf"\[T, B\] = \[{shape[0]}, {shape[1]}\] does not fit a replay of 8 steps x 3 worlds"
    with pytest.raises(ValueError, match=text):
        replay.insert(buffer, trajectory(0, np.zeros(shape, np.uint8)))


def test_a_window_longer_than_the_buffer_is_refused():
    buffer = replay.init(CAPACITY, UNROLL, WORLDS, 2, 3)
    with pytest.raises(ValueError, match="windows of 9 steps do not fit a replay of 8 per world"):
        replay.sample(buffer, jax.random.key(0), num=2, length=9)


@pytest.mark.parametrize("donated", [True, False])
def test_a_donated_buffer_is_written_in_place(donated):
    # A capacity that no other array has, so that its shape is recognisable in the program.
    blocks = 3119

    def step(buffer, new, key):
        buffer = replay.insert(buffer, new)
        return buffer, replay.sample(buffer, key, num=5, length=LENGTH)

    buffer = jax.eval_shape(lambda: replay.init(blocks * UNROLL, UNROLL, WORLDS, 2, 3))
    new = trajectory(0, np.zeros((UNROLL, WORLDS), np.uint8))
    donate = {"donate_argnums": 0} if donated else {}
    program = jax.jit(step, **donate).lower(buffer, new, jax.random.key(0)).compile()
    copies = re.findall(rf".*\[{blocks},\S* copy\(.*", program.as_text())
    # Without donation each leaf must be copied: the search finds copies where there are some.
    assert len(copies) == (0 if donated else 2)
    if donated:
        assert program.memory_analysis().temp_size_in_bytes < buffer.flags.size


def test_windows_are_within_the_buffer_in_float64_too(key):
    """There, random bits have 64 of them unless they are asked not to."""
    with jax.enable_x64(True):
        buffer = replay.init(16, 4, 8, 1, 1)
        buffer = dataclasses.replace(buffer, size=jnp.int32(12), head=jnp.int32(12))
        place = replay._places(buffer, key, 64, 5)
        block, world, within = map(np.asarray, place)
    assert block.min() >= 0
    assert within.min() >= 0
    assert within.max() < 4
    assert (4 * block + within).max() < 12
    np.testing.assert_array_equal(world, np.repeat(np.arange(8), 8))


def test_buffers_of_several_seeds_are_written_in_place_each_with_its_own():
    rows = [np.zeros((UNROLL, WORLDS), int), np.full((UNROLL, WORLDS), TRUNCATED)]
    steps = [trajectory(40 * seed, flags) for seed, flags in enumerate(rows)]
    before = [filled(np.zeros((6, WORLDS), int))] * 2
    stack = functools.partial(jax.tree.map, lambda *x: jnp.stack(x))
    together = jax.vmap(replay.insert)(stack(*before), stack(*steps))
    for seed in range(2):
        expected = insert(before[seed], steps[seed])
        own = jax.tree.map(lambda x, s=seed: x[s], together)
        jax.tree.map(np.testing.assert_array_equal, own, expected)
    # A loop over indices that differ would choose between old and new for all of the buffer.
    program = jax.make_jaxpr(jax.vmap(replay.insert))(stack(*before), stack(*steps))
    loops = [e.params for e in program.eqns if e.primitive.name == "while"]
    assert [loop["cond_jaxpr"].out_avals[0].shape for loop in loops] == [(), ()]
