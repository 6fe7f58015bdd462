"""What gymnasium's own vector environments promise, kept by ours: seeds, masks, infos, arrays."""

import gymnasium
import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from mjxwm_envs.tasks.dm_control.pendulum import Pendulum

B, LIMIT = 3, 4


class Timed(Pendulum):
    """It is solved at the end of an episode, and there alone."""

    def success(self, physics):
        return physics.time > self.ctrl_dt * (LIMIT - 0.5)


@pytest.fixture(scope="module")
def worlds():
    return envs.to_gymnasium(f"{__name__}:Timed", B, engine="native", episode_length=LIMIT)


@pytest.fixture(scope="module")
def world():
    return envs.to_gymnasium(f"{__name__}:Timed", engine="native", episode_length=LIMIT)


def act(count=B):
    return np.full((count, 1), 0.5, np.float32)


def test_world_i_starts_as_one_world_does_from_its_seed(worlds, world):
    """Gymnasium's rule: a number stands for that number and those after it."""
    each = np.stack([world.reset(seed=7 + i)[0] for i in range(B)])
    np.testing.assert_array_equal(worlds.reset(seed=7)[0], each)
    np.testing.assert_array_equal(worlds.reset(seed=np.int64(7))[0], each)
    np.testing.assert_array_equal(worlds.reset(seed=[9, 7, 9])[0], each[[2, 0, 2]])
    drawn = [worlds.reset(seed=[7, None, 9])[0] for _ in range(2)]
    np.testing.assert_array_equal(drawn[0][[0, 2]], each[[0, 2]])
    assert (drawn[0][1] != drawn[1][1]).any()
    with pytest.raises(ValueError, match="2 seeds of 3 worlds"):
        worlds.reset(seed=[1, 2])
    with pytest.raises(ValueError, match="neither a whole number nor a list"):
        worlds.reset(seed=1.5)


@pytest.mark.parametrize("seed", [11, [3, 2**40, 5]])
def test_a_seed_makes_all_that_follows_the_same_again(worlds, seed):
    runs = []
    for _ in range(2):
        worlds.reset(seed=seed)
        runs.append(np.stack([worlds.step(act())[0] for _ in range(2 * LIMIT + 1)]))
    np.testing.assert_array_equal(*runs)
    starts = runs[0][[LIMIT - 1, 2 * LIMIT - 1]].reshape(2 * B, -1)
    assert len(np.unique(starts, axis=0)) == 2 * B


MASKS = [[True, False, True], [False, True, False], [True, True, True]]


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_resets_its_worlds_and_no_others(worlds, mask):
    """The peer: gymnasium's SyncVectorEnv, world by world, in how long its episodes still last."""
    peer = gymnasium.make_vec(
        "Pendulum-v1",
        B,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        max_episode_steps=LIMIT,
    )
    mask, ends = np.array(mask), {}
    for name, env in {"ours": worlds, "theirs": peer}.items():
        env.reset(seed=1)
        for _ in range(2):
            before = env.step(act())[0]
        options = {"reset_mask": mask.copy()}
        after, infos = env.reset(seed=5, options=options)
        np.testing.assert_array_equal((after == before).all(axis=1), ~mask)
        fresh = env.reset(seed=5)[0]  # of the masked worlds: from their seeds
        np.testing.assert_array_equal(after[mask], fresh[mask])
        assert infos == {}
        env.reset(seed=1)
        for _ in range(2):
            env.step(act())
        env.reset(options={"reset_mask": mask.copy()})
        ends[name] = np.stack([env.step(act())[3] for _ in range(6)])
    np.testing.assert_array_equal(ends["ours"], ends["theirs"])


def test_worlds_that_a_mask_leaves_out_go_on_bit_for_bit(worlds):
    worlds.reset(seed=2)
    through = [worlds.step(act())[0] for _ in range(LIMIT - 1)][-1]
    worlds.reset(seed=2)
    worlds.step(act())
    options = {"reset_mask": np.array([True, False, False])}
    worlds.reset(options=options)
    assert list(options) == ["reset_mask"]  # the caller's own is left as it was
    again = [worlds.step(act())[0] for _ in range(LIMIT - 2)][-1]
    np.testing.assert_array_equal(again[1:], through[1:])
    assert (again[0] != through[0]).any()


BAD = {
    "a list": ({"reset_mask": [True, False, False]}, "numpy array, not of type list"),
    "too short": ({"reset_mask": np.array([True])}, r"shape \(1,\) and is of bool; \(3,\)"),
    "a column": ({"reset_mask": np.ones((B, 1), bool)}, r"shape \(3, 1\)"),
    "numbers": ({"reset_mask": np.ones(B, int)}, "is of int64"),
    "nothing": ({"reset_mask": np.zeros(B, bool)}, "False everywhere"),
    "another": ({"randomize": True}, r"options \['randomize'\] are unknown"),
    "one more": ({"reset_mask": np.ones(B, bool), "low": 0}, r"\['low'\] are unknown"),
}


@pytest.mark.parametrize("case", BAD)
def test_other_options_are_refused_and_nothing_is_reset(worlds, case):
    options, words = BAD[case]
    worlds.reset(seed=0)
    with pytest.raises(ValueError, match=words):
        worlds.reset(options=options)
    ended = [worlds.step(act())[3].all() for _ in range(LIMIT)]
    assert ended == [False] * (LIMIT - 1) + [True]


def test_one_world_has_no_options(world):
    world.reset(seed=0, options={})
    for options in ({"low": 0}, {"reset_mask": np.array([True])}):
        with pytest.raises(ValueError, match=r"are unknown: these worlds have none"):
            world.reset(options=options)


def test_some_worlds_cannot_be_reset_before_all():
    fresh = envs.to_gymnasium("pendulum-swingup", 2, engine="native")
    with pytest.raises(gymnasium.error.ResetNeeded):
        fresh.reset(options={"reset_mask": np.array([True, False])})


def arrays(tree):
    if isinstance(tree, dict):
        return [array for value in tree.values() for array in arrays(value)]
    if isinstance(tree, tuple | list) or getattr(tree, "dtype", np.dtype(bool)).hasobject:
        return [array for value in tree for array in arrays(value)]
    return [tree] if isinstance(tree, np.ndarray) else []


def test_arrays_that_are_handed_out_are_the_caller_s_own(worlds, world):
    """Written into, they change nothing of ours; gymnasium's own are such copies."""
    out = [worlds.reset(seed=4), *(worlds.step(act()) for _ in range(LIMIT))]
    kept = [np.copy(array) for array in arrays(out)]
    worlds.reset(seed=4)
    for t in range(-1, LIMIT):
        taken = worlds.reset(seed=4) if t < 0 else worlds.step(act())
        for array in arrays(taken):
            assert array.flags.writeable
            array[...] = 1
    for array, before in zip(arrays(out), kept, strict=True):
        np.testing.assert_array_equal(array, before)
    for array in arrays([world.reset(seed=0), world.step(act(1)[0])]):
        assert array.flags.writeable


def test_infos_of_ended_episodes_are_under_final_info_with_their_masks(worlds):
    worlds.reset(seed=0)
    rewards = []
    for t in range(LIMIT):
        if t == 1:
            worlds.reset(options={"reset_mask": np.array([False, False, True])})
        _, reward, terminated, truncated, infos = worlds.step(act())
        rewards.append(reward)
    done = np.array([True, True, False])
    np.testing.assert_array_equal(truncated, done)
    assert not terminated.any()
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float64, bool, bool)
    final = infos["final_info"]
    for mask in (infos["_final_obs"], infos["_final_info"], final["_episode"], final["_success"]):
        np.testing.assert_array_equal(mask, done)
    np.testing.assert_array_equal(final["success"], done)
    np.testing.assert_array_equal(final["episode"]["l"], [LIMIT, LIMIT, 0])
    total = np.where(done, np.sum(rewards, axis=0), 0)
    np.testing.assert_allclose(final["episode"]["r"], total, rtol=1e-6)
    assert infos["final_obs"][2] is None


@pytest.mark.parametrize("shape", [(B,), (1, 1), (B, 2), (B + 1, 1), ()])
def test_actions_of_another_shape_are_refused(worlds, world, shape):
    worlds.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions of shape .*; \(3, 1\) was expected"):
        worlds.step(np.zeros(shape, np.float32))
    world.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions of shape .*; \(1,\) was expected"):
        world.step(np.zeros((*shape, 1), np.float32) if shape else 0.0)


def test_actions_are_cut_to_their_bounds(worlds):
    worlds.reset(seed=0)
    far = worlds.step(np.full((B, 1), 30.0))[0]
    worlds.reset(seed=0)
    np.testing.assert_array_equal(worlds.step(np.ones((B, 1), int).tolist())[0], far)


def test_gymnasium_s_statistics_follow_a_mask(worlds):
    counted = RecordEpisodeStatistics(worlds)
    counted.reset(seed=0)
    for _ in range(2):
        counted.step(act())
    counted.reset(options={"reset_mask": np.array([True, False, False])})
    for _ in range(2):
        infos = counted.step(act())[4]
    np.testing.assert_array_equal(infos["episode"]["l"], [0, LIMIT, LIMIT])


def test_our_vector_env_is_a_source_as_any_other_is(worlds):
    """A shorter limit is kept by its masks; success at the last step is that of the episode."""
    source = envs.from_gymnasium(worlds, "back", 3, success="success")
    batch, ends = source.batch(B), []
    state, step = jax.jit(batch.reset)(jax.random.key(0)), jax.jit(batch.step)
    for _ in range(7):
        state, taken = step(state, jnp.full((B, 1), 0.5))
        ends.append(np.asarray(taken.truncated))
        assert not taken.success.any()
    np.testing.assert_array_equal(np.stack(ends)[:, 1], np.arange(7) % 3 == 2)
    on_host = envs.from_gymnasium(worlds, "back", LIMIT, success="success").make(B)
    on_host.reset(0, False)
    solved = [on_host.step(act())[5].all() for _ in range(2 * LIMIT)]
    assert solved == 2 * ([False] * (LIMIT - 1) + [True])


@pytest.mark.parametrize("count", [0, -1, 2.5, "two"])
def test_a_number_of_worlds_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match="num_envs="):
        envs.to_gymnasium("pendulum-swingup", count)


def test_baselines_take_seeds_once_and_no_options():
    pytest.importorskip("stable_baselines3")
    ours = envs.to_stable_baselines3("pendulum-swingup", 2, engine="native", episode_length=9)
    assert ours.seed(5) == [5, 6]
    first = ours.reset()
    assert (ours.reset() != first).any()
    ours.seed(5)
    np.testing.assert_array_equal(ours.reset(), first)
    ours.set_options({"low": 0})
    with pytest.raises(ValueError, match=r"\['low'\] are unknown"):
        ours.reset()
