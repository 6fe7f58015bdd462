"""Small gymnasium environments to be foreign worlds."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Counter(gymnasium.Env):
    """Counts its steps in an episode of `length`; the reward is the action, which is in [0, 10]."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(0, 10, (1,), np.float32)
    made = 0
    length = 5

    def __init__(self, **trouble):
        """`trouble`: at which step of its life what goes wrong, in the world of number 1."""
        self.number, self.trouble, self.age = type(self).made, trouble, 0
        type(self).made += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        if self.number == 1 and self.age >= self.trouble.get("dead", np.inf):
            raise RuntimeError("it does not come back")
        return self._obs(), {}

    def step(self, action):
        self.steps, self.age = self.steps + 1, self.age + 1
        obs, reward = self._obs(), float(action[0])
        if self.number == 1:
            if self.age == self.trouble.get("raises") or self.age == self.trouble.get("dead"):
                raise RuntimeError("the simulator is gone")
            if self.age == self.trouble.get("nan"):
                obs = obs * np.nan
            if self.age == self.trouble.get("shape"):
                obs = obs[:1]
        return obs, reward, self.steps == self.length, False, {"success": self.steps >= 2}

    def _obs(self):
        return np.array([self.number, self.steps], float)
