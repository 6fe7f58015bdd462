"""Gymnasium's environments as worlds of ours."""

import functools

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from gym_worlds import Counter
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from mjxwm_envs.adapters import spaces as forms

B = 3


def counters(**trouble):
    Counter.made = -1  # the first one made is only looked at
    return functools.partial(Counter, **trouble)


def unrolled(env, steps=12, action=-0.8, key=0, stagger=False):
    """(worlds, steps [T, B]) of a constant action in B worlds, in one compiled program."""
    batch = env.batch(B)

    @jax.jit
    def run(key):
        actions = jnp.full((steps, B, env.action_size), action)
        return jax.lax.scan(batch.step, batch.reset(key, stagger), actions)

    return jax.block_until_ready(run(jax.random.key(key)))


def vector(mode):
    return SyncVectorEnv([counters()] * B, autoreset_mode=mode)


def sources():
    yield "factory", envs.from_gymnasium(counters(), episode_length=100)
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
        yield mode.name, envs.from_gymnasium(vector(mode), episode_length=100)


@pytest.mark.parametrize("kind", ["factory", "SAME_STEP", "DISABLED"])
def test_the_last_observation_of_an_episode_and_the_first_of_the_next_are_both_kept(kind):
    env = dict(sources())[kind]
    worlds, step = unrolled(env)
    in_episode = np.arange(12) % 5 + 1
    np.testing.assert_array_equal(step.next_obs[:, 0, 1], in_episode)
    np.testing.assert_array_equal(step.terminated[:, 0], in_episode == 5)
    np.testing.assert_array_equal(step.episode_length[:, 1], in_episode)
    np.testing.assert_allclose(step.reward, 1.0, rtol=1e-6)  # -0.8 of [-1, 1] is 1 of [0, 10]
    np.testing.assert_allclose(step.episode_return[:, 2], in_episode, rtol=1e-6)
    assert not step.truncated.any()
    assert step.valid.all()
    np.testing.assert_array_equal(worlds.obs[:, 1], 2)
    assert len(set(np.asarray(worlds.obs[:, 0]).tolist())) == B  # different worlds
    assert env.failures() == []


def test_a_time_limit_truncates_and_can_be_staggered():
    env = envs.from_gymnasium(counters(), episode_length=3)
    _, step = unrolled(env)
    np.testing.assert_array_equal(step.truncated[:, 0], np.arange(12) % 3 == 2)
    assert not step.terminated.any()
    _, staggered = unrolled(env, stagger=True, key=1)
    assert len({tuple(np.asarray(column)) for column in staggered.truncated.T}) > 1


def test_action_repeat_adds_rewards_up_and_stops_at_an_end():
    env = envs.from_gymnasium(counters(), episode_length=100, action_repeat=2)
    assert (env.spec.episode_length, env.spec.n_substeps) == (50, 2)
    _, step = unrolled(env, steps=3)
    np.testing.assert_allclose(step.reward[:, 0], [2, 2, 1], rtol=1e-6)
    assert step.terminated[2].all()


def test_success_is_that_of_the_environment_s_info():
    env = envs.from_gymnasium(counters(), episode_length=100, success="success")
    _, step = unrolled(env, steps=3)
    np.testing.assert_array_equal(step.success[:, 0], [False, True, True])
    _, silent = unrolled(envs.from_gymnasium(counters(), episode_length=9), steps=3)
    assert silent.success is None  # where no key of the info is named, nobody says


@pytest.mark.parametrize("trouble", ["nan", "shape", "raises"])
def test_a_step_that_fails_is_on_record_and_not_valid_and_the_world_goes_on(trouble):
    env = envs.from_gymnasium(counters(**{trouble: 4}), episode_length=100)
    _, step = unrolled(env)
    np.testing.assert_array_equal(np.argwhere(~np.asarray(step.valid)), [[3, 1]])
    assert step.truncated[3, 1]
    assert step.reward[3, 1] == 0
    np.testing.assert_array_equal(step.next_obs[4:9, 1, 1], [1, 2, 3, 4, 5])
    (failure,) = env.failures()
    assert (failure.world, failure.step) == (1, 4)
    words = {"nan": "not finite", "shape": r"shape \(1,\)", "raises": "RuntimeError"}[trouble]
    assert words.replace("\\", "") in str(failure)
    assert env.failures() == []


def test_a_world_that_does_not_come_back_is_left_out():
    env = envs.from_gymnasium(counters(dead=4), episode_length=100)
    worlds, step = unrolled(env)
    np.testing.assert_array_equal(step.valid[:, 1], np.arange(12) < 3)
    assert step.valid[:, [0, 2]].all()
    assert np.isfinite(worlds.obs).all()
    found = [str(f) for f in env.failures()]
    assert any("left out" in text for text in found)


def test_a_vector_env_that_dies_is_on_record():
    source = SyncVectorEnv([counters(raises=2)] * B, autoreset_mode=AutoresetMode.SAME_STEP)
    source.envs[0].unwrapped.number = 1
    env = envs.from_gymnasium(source, episode_length=100)
    _, step = unrolled(env, steps=3)
    assert not step.valid[1].any()
    assert env.failures()[0].world is None


def test_worlds_of_a_checkpoint_that_are_gone_are_replaced_and_one_step_is_marked():
    env = envs.from_gymnasium(counters(), episode_length=100)
    first = env.batch(B)
    worlds = jax.jit(first.reset)(jax.random.key(0))
    worlds, _ = jax.jit(first.step)(worlds, jnp.zeros((B, 1)))
    later = env.batch(B)  # as in another process
    steps = []
    for _ in range(3):
        worlds, step = jax.jit(later.step)(worlds, jnp.zeros((B, 1)))
        steps.append(step)
    assert not steps[0].valid.any()
    assert steps[0].truncated.all()
    assert steps[1].valid.all()
    np.testing.assert_array_equal(steps[2].episode_length, 2)


def test_the_late_reset_of_a_vector_env_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"make it with autoreset_mode=.*SAME_STEP"):
        envs.from_gymnasium(vector(AutoresetMode.NEXT_STEP), episode_length=9)
    env = envs.from_gymnasium(vector(AutoresetMode.SAME_STEP), episode_length=9)
    with pytest.raises(ValueError, match="4 worlds of a VectorEnv that has 3"):
        env.batch(4)


def test_batches_of_one_vector_env_take_turns_and_the_other_one_s_step_is_cut():
    env = envs.from_gymnasium(vector(AutoresetMode.SAME_STEP), episode_length=9)
    training, evaluation = env.batch(B), env.batch(B)
    worlds = jax.jit(training.reset)(jax.random.key(0))
    step = jax.jit(training.step)
    worlds, _ = step(worlds, jnp.zeros((B, 1)))
    jax.block_until_ready(jax.jit(evaluation.reset)(jax.random.key(1)))
    worlds, cut = step(worlds, jnp.zeros((B, 1)))
    assert not cut.valid.any()
    assert cut.truncated.all()
    _, after = step(worlds, jnp.zeros((B, 1)))
    assert after.valid.all()
    np.testing.assert_array_equal(after.next_obs[:, 1], 1)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_success_at_the_last_step_of_an_episode_is_seen_through_a_vector_env(mode):
    env = envs.from_gymnasium(vector(mode), episode_length=100, success="success")
    _, step = unrolled(env, steps=5)
    np.testing.assert_array_equal(step.success[:, 0], [False, True, True, True, True])


def test_a_vector_env_that_does_not_reset_by_itself_keeps_to_our_time_limit():
    env = envs.from_gymnasium(vector(AutoresetMode.DISABLED), episode_length=3)
    _, step = unrolled(env, steps=7)
    np.testing.assert_array_equal(step.truncated[:, 0], np.arange(7) % 3 == 2)


def test_numbers_that_are_not_finite_do_not_leave_a_vector_env():
    source = SyncVectorEnv([counters(nan=2)] * B, autoreset_mode=AutoresetMode.SAME_STEP)
    source.envs[0].unwrapped.number = 1
    env = envs.from_gymnasium(source, episode_length=100)
    worlds, step = unrolled(env, steps=4)
    np.testing.assert_array_equal(step.valid[:, 0], [True, False, True, True])
    assert np.isfinite(np.asarray(step.next_obs)).all()
    assert np.isfinite(np.asarray(worlds.obs)).all()
    assert env.failures()[0].world is None


def test_one_environment_for_every_world_is_refused():
    one = Counter()
    with pytest.raises(ValueError, match="one and the same"):
        envs.from_gymnasium(lambda: one, episode_length=9).make(B)
    with pytest.raises(ValueError, match="neither a factory"):
        envs.from_gymnasium(one, episode_length=9)


def test_when_no_world_is_left_that_is_on_record():
    env = envs.from_gymnasium(counters(dead=2), episode_length=100)
    batch = env.batch(1)
    Counter.made = 1  # the world that dies is the only one
    worlds = jax.jit(batch.reset)(jax.random.key(0))
    for _ in range(3):
        worlds, step = jax.jit(batch.step)(worlds, jnp.zeros((1, 1)))
    assert not step.valid.any()
    assert not step.truncated.any()  # episodes that are none are not counted
    assert any(f.world is None and "no world is left" in str(f) for f in env.failures())


BOX = spaces.Box(-1, 1, (2,))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Discrete(3), "not continuous"),
        (spaces.Box(0, 9, (2,), np.int64), "whole numbers"),
        (spaces.Dict(a=BOX, b=spaces.Discrete(2)), "not continuous"),
    ],
)
def test_actions_that_are_not_continuous_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        forms.action_bounds(space)


@pytest.mark.parametrize(
    ("space", "message"),
    [(spaces.Box(0, 255, (8, 8, 3)), "pixels"), (spaces.Text(5), "no flat form")],
)
def test_observations_without_a_vector_form_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        forms.obs_size(spaces.Dict(a=BOX, b=space))


def test_dictionaries_are_flattened_both_ways():
    space = spaces.Dict(a=BOX, b=spaces.Tuple([BOX, spaces.Discrete(3)]))
    assert forms.obs_size(space) == 7
    sample = {"a": np.array([1.0, 2.0]), "b": (np.array([3.0, 4.0]), 1)}
    np.testing.assert_array_equal(forms.flat_obs(space, sample), [1, 2, 3, 4, 0, 1, 0])
    actions = spaces.Dict(a=spaces.Box(0, 10, (1,)), b=spaces.Box(-np.inf, np.inf, (1,)))
    taken = forms.to_action(actions, np.array([0.0, 5.0]))
    assert (taken["a"][0], taken["b"][0]) == (5, 1)  # clipped first, then mapped


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gymnasium/Nope-v3", "doesn't exist"),
        ("gymnasium/CartPole-v1", "not continuous"),
        ("gymnasiun/HalfCheetah-v5", "did you mean 'gymnasium'"),
        ("nowhere.to_be:Found", "No module named"),
        ("hoper", "did you mean 'hopper'"),
    ],
)
def test_what_there_is_not_is_said(name, message):
    with pytest.raises(ValueError, match=message):
        envs.make(name)


def test_a_name_with_a_colon_is_your_own(monkeypatch):
    env = envs.make("gym_worlds:Counter", episode_length=7)
    assert (env.spec.obs_size, env.spec.episode_length) == (2, 7)
    assert (
        envs.make("mjxwm_envs.tasks.locomotion.hopper:Hopper").name
        == "mjxwm_envs.tasks.locomotion.hopper:Hopper"
    )
    with pytest.raises(ValueError, match="is the class dict"):
        envs.make("builtins:dict")
    with pytest.raises(ValueError, match="without arguments"):
        envs.make("mjxwm_envs.task:Task")
    with pytest.raises(ValueError, match="episode_lenth"):
        envs.make("gymnasium/InvertedPendulum-v5", episode_lenth=7)
    with pytest.raises(ValueError, match="episode_length=-5 is out of range"):
        envs.make("gymnasium/InvertedPendulum-v5", episode_length=-5)
