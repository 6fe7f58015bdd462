"""Time limits of foreign environments: whose holds, and what is said where none can."""

import functools

import gymnasium
import mjxwm_envs as envs
import numpy as np
import pytest
from gym_worlds import Counter
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import (
    ClipAction,
    DtypeObservation,
    OrderEnforcing,
    RecordEpisodeStatistics,
    TimeLimit,
)
from gymnasium.wrappers.vector import RecordEpisodeStatistics as VectorStatistics

SAME, NEXT, DISABLED = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED


class Endless(Counter):
    """Nothing of its own ends an episode."""

    length = 10**9


def limited(steps):
    return TimeLimit(Endless(), steps)


def ends(source, steps=12, worlds=2):
    """(terminated, truncated, obs to act on) [T, B], straight from the host."""
    on_host = source.make(worlds)
    on_host.reset(3, False)
    taken = [on_host.step(np.zeros((worlds, source.action_size))) for _ in range(steps)]
    assert source.failures() == []
    assert all(step.valid.all() for step in taken)
    names = ("terminated", "truncated", "obs")
    return [np.stack([getattr(step, name) for step in taken]) for name in names]


WRAPPED = {
    "outermost": lambda: limited(4),
    "within": lambda: RecordEpisodeStatistics(OrderEnforcing(limited(4))),
    "innermost": lambda: DtypeObservation(ClipAction(limited(4)), np.float32),
    "two, the shorter holds": lambda: TimeLimit(OrderEnforcing(limited(9)), 4),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_a_time_limit_is_seen_wherever_it_is_among_the_wrappers(case):
    source = envs.from_gymnasium(WRAPPED[case], case)
    assert source.spec.episode_length == 4
    terminated, truncated, obs = ends(source)
    assert not terminated.any()
    np.testing.assert_array_equal(truncated[:, 0], np.arange(12) % 4 == 3)
    np.testing.assert_array_equal(obs[:, 1, 1], np.arange(1, 13) % 4)


def test_the_shorter_of_a_time_limit_and_of_ours_holds_and_a_longer_one_is_refused():
    source = envs.from_gymnasium(lambda: limited(5), "short", 3)
    _, truncated, _ = ends(source)
    np.testing.assert_array_equal(truncated[:, 0], np.arange(12) % 3 == 2)
    with pytest.raises(ValueError, match=r"long: episode_length=6, but a TimeLimit .* 5 steps"):
        envs.from_gymnasium(lambda: limited(5), "long", 6)


def test_a_registered_environment_lasts_as_long_as_is_asked():
    """Pendulum's own limit is 200 steps, kept by a wrapper that `gymnasium.make` puts around it."""
    assert envs.make("gymnasium/Pendulum-v1").spec.episode_length == 200
    source = envs.make("gymnasium/Pendulum-v1", episode_length=230)
    _, truncated, _ = ends(source, steps=230, worlds=1)
    assert np.flatnonzero(truncated[:, 0]).tolist() == [229]


@pytest.mark.parametrize("length", [0, -4, 2.5, "long", True])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(ValueError, match=f"episode_length={length!r} "):
        envs.from_gymnasium(Endless, "endless", length)


def test_an_environment_without_any_limit_needs_one():
    with pytest.raises(ValueError, match="endless has no time limit; give episode_length"):
        envs.from_gymnasium(Endless, "endless")
    with pytest.raises(ValueError, match=r"no field 'succes. .did you mean 'success'"):
        envs.from_gymnasium(Endless, "endless", 5, succes="success")


@pytest.mark.parametrize("mode", [SAME, DISABLED])
@pytest.mark.parametrize("around", [lambda env: env, VectorStatistics])
def test_ours_is_kept_in_a_vector_env_as_time_limits_in_it_would_be(mode, around):
    """The peer: the same worlds, the limit in a `TimeLimit` around each of them."""
    makers = [functools.partial(Counter), functools.partial(Endless)]
    ours = envs.from_gymnasium(
        around(SyncVectorEnv(makers, autoreset_mode=mode)), "ours", episode_length=7
    )
    theirs = SyncVectorEnv(
        [functools.partial(lambda make: TimeLimit(make(), 7), make) for make in makers],
        autoreset_mode=SAME,
    )
    terminated, truncated, obs = ends(ours, steps=20)
    theirs.reset(seed=3)
    for t in range(20):
        there = theirs.step(theirs.action_space.sample() * 0)
        np.testing.assert_array_equal(obs[t][:, 1], there[0][:, 1])
        np.testing.assert_array_equal(terminated[t], there[2])
        np.testing.assert_array_equal(truncated[t], there[3])


def test_limits_inside_of_a_vector_env_are_seen_and_bind():
    env = SyncVectorEnv([lambda: limited(4)] * 2, autoreset_mode=SAME)
    source = envs.from_gymnasium(env, "inside")
    assert source.spec.episode_length == 4
    _, truncated, _ = ends(source)
    np.testing.assert_array_equal(truncated[:, 1], np.arange(12) % 4 == 3)
    with pytest.raises(ValueError, match=r"episode_length=9 of a VectorEnv .* after 4 steps"):
        envs.from_gymnasium(env, "inside", 9)


@pytest.mark.slow  # processes of their own import what they step
def test_limits_are_kept_in_other_processes_too():
    env = AsyncVectorEnv([Endless] * 2, autoreset_mode=SAME, context="spawn")
    try:
        _, truncated, obs = ends(envs.from_gymnasium(env, "async", 3))
        np.testing.assert_array_equal(truncated[:, 0], np.arange(12) % 3 == 2)
        np.testing.assert_array_equal(obs[:, 1, 1], np.arange(1, 13) % 3)
    finally:
        env.close()
    with_limit = AsyncVectorEnv([functools.partial(limited, 4)] * 2, autoreset_mode=SAME)
    assert envs.from_gymnasium(with_limit, "async").spec.episode_length == 4
    with_limit.close()


class Batched(gymnasium.vector.VectorEnv):
    """Written as one: nothing but the contract of gymnasium's own class is known of it."""

    num_envs = 2
    single_observation_space = Endless.observation_space
    single_action_space = Endless.action_space

    def __init__(self, **metadata):
        """`metadata`: what it says of itself."""
        self.metadata = metadata


def test_a_vector_env_that_cannot_keep_a_limit_says_so():
    with pytest.raises(ValueError, match="episode_length=5 of a VectorEnv that resets by itself"):
        envs.from_gymnasium(Batched(autoreset_mode=SAME), "batched", 5)
    with pytest.raises(ValueError, match="does not say when it resets"):
        envs.from_gymnasium(Batched(), "batched", 5)
    late = SyncVectorEnv([Endless] * 2, autoreset_mode=NEXT)
    SyncVectorEnv([Endless] * 2, autoreset_mode=SAME)  # which shares its metadata
    with pytest.raises(ValueError, match="NEXT_STEP"):
        envs.from_gymnasium(VectorStatistics(late), "late", 5)
