"""Foreign worlds are filmed by their own render, in the episode that was evaluated."""

import types

import gymnasium
import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs import rendering

from mjxwm.reports import foreign_film, video
from mjxwm.runs.evaluate import evaluate
from mjxwm.runs.start import eval_key
from mjxwm.types import Agent


class Slide(gymnasium.Env):
    """A number that starts at random and is pushed; its picture is as bright as it is large."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.uniform(0, 100)
        return np.array([self.x]), {}

    def step(self, action):
        self.x += 10 * float(action[0])
        return np.array([self.x]), self.x, False, False, {}

    def render(self):
        return np.full((16, 24, 3), self.x, np.uint8) if self.render_mode else None


class Unseen(Slide):
    """The same, which renders nothing."""

    metadata = {}  # noqa: RUF012


AGENT = Agent(lambda key: (), lambda policy, obs, key=None: jnp.ones((len(obs), 1)))
POLICY = types.SimpleNamespace(agent=AGENT, arrays=())


def test_the_film_is_of_the_episode_that_was_evaluated(tmp_path, monkeypatch):
    films = []
    monkeypatch.setattr(video, "written", lambda frames, fps, path: films.append((frames, fps)))
    env = envs.from_gymnasium(Slide, "slide", episode_length=5)
    foreign_film.film(env, POLICY, 3, tmp_path / "film.mp4")
    ((frames, fps),) = films
    assert fps == 10
    brightness = np.array([frame.mean() for frame in frames])
    assert len(brightness) == 5
    np.testing.assert_allclose(np.diff(brightness), 10, atol=1)
    key = eval_key(3)
    seen = jax.device_get(evaluate(env, lambda obs: jnp.ones((len(obs), 1)), key, 2))
    total = (brightness[0] + 10 * np.arange(1, 6)).sum()
    assert seen.episode_return[0] == pytest.approx(total, abs=10), "the same start"


def test_what_does_not_render_says_what_it_takes(tmp_path):
    env = envs.from_gymnasium(Unseen, "unseen", episode_length=5)
    with pytest.raises(rendering.RenderingUnavailableError, match="takes `render_mode`, is filmed"):
        foreign_film.film(env, POLICY, 0, tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
