"""Our worlds as gymnasium's, and as Stable-Baselines3's."""

import warnings

import gymnasium
import mjxwm_envs as envs
import numpy as np
import pytest
from gym_worlds import Counter
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

B = 3


def test_one_world_passes_gymnasium_s_checker():
    env = envs.to_gymnasium("hopper", engine="native", episode_length=20)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*infinity.*")
        check_env(env, skip_render_check=True)


def test_our_vector_env_is_what_gymnasium_asks_for():
    env = envs.to_gymnasium("hopper", B, engine="native", episode_length=4)
    assert isinstance(env, gymnasium.vector.VectorEnv)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    first, _ = env.reset(seed=3)
    assert first in env.observation_space
    for t in range(1, 6):
        obs, reward, terminated, truncated, infos = env.step(np.zeros((B, 3), np.float32))
        assert obs in env.observation_space
        assert reward.shape == terminated.shape == truncated.shape == (B,)
        assert truncated.all() == (t == 4)
        assert ("final_obs" in infos) == (t == 4)
        if t == 4:
            last = np.stack(infos["final_obs"])
            assert (np.abs(last - obs) > 1e-4).any()  # obs is already the next episode's
            np.testing.assert_array_equal(infos["final_info"]["episode"]["l"], 4)
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(again, first)
    assert (env.reset()[0] != first).any()


def test_gymnasium_s_own_wrapper_counts_our_episodes():
    env = envs.to_gymnasium("hopper", B, engine="native", episode_length=4)
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    env.reset(seed=0)
    for _ in range(8):
        env.step(env.action_space.sample())
    assert env.episode_count == 2 * B


def test_foreign_environments_do_not_go_out_again():
    with pytest.raises(ValueError, match="foreign"):
        envs.to_gymnasium(envs.from_gymnasium(Counter, episode_length=5), 2)


@pytest.mark.slow
def test_stable_baselines3_s_ppo_learns_on_our_worlds():
    baselines = pytest.importorskip("stable_baselines3")
    worlds = envs.to_stable_baselines3("cartpole-balance", 16, engine="native", action_repeat=4)
    model = baselines.PPO("MlpPolicy", worlds, n_steps=250, batch_size=500, seed=0, gamma=0.98)
    before = np.mean([_episode(worlds, model) for _ in range(1)])
    model.learn(400_000)
    assert _episode(worlds, model) > before + 100


def _episode(worlds, model):
    obs, total = worlds.reset(), 0.0
    for _ in range(250):
        obs, reward, _, _ = worlds.step(model.predict(obs, deterministic=True)[0])
        total += reward.mean()
    return total
