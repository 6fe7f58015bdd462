"""Our worlds for Stable-Baselines3, which has an interface of its own (`VecEnv`)."""

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv  # pyright: ignore[reportMissingImports]

from mjxwm_envs.adapters import asked
from mjxwm_envs.adapters.to_gymnasium import GymnasiumVectorEnv
from mjxwm_envs.env import Env


class StableBaselinesVecEnv(VecEnv):
    """B worlds of `env`. Monitoring is built in: `info["episode"]` at every end."""

    def __init__(self, env: Env, num_envs: int) -> None:
        """See `envs.to_stable_baselines3`."""
        self._worlds = GymnasiumVectorEnv(env, num_envs)
        self._actions = np.zeros((num_envs, env.action_size))
        super().__init__(
            num_envs, self._worlds.single_observation_space, self._worlds.single_action_space
        )

    def reset(self) -> np.ndarray:
        """Fresh worlds, from the seeds that `seed` set.

        Raises:
            ValueError: `set_options` set some.
        """
        asked.no_options({name: True for options in self._options for name in options})
        seeds = list(self._seeds)
        self._reset_seeds()
        return self._worlds.reset(seed=None if None in seeds else seeds)[0]

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """One action in each world."""
        obs, reward, terminated, truncated, more = self._worlds.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for world in np.flatnonzero(done):
            episode = more["final_info"]["episode"]
            infos[world] = {
                "terminal_observation": more["final_obs"][world],
                "TimeLimit.truncated": bool(truncated[world]),
                "episode": {"r": float(episode["r"][world]), "l": int(episode["l"][world])},
            }
        return obs, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to do."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for all worlds."""
        return [getattr(self._worlds, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Worlds are values of a compiled program: they have no attributes to set."""
        raise NotImplementedError("these worlds have no attributes to set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        """Worlds are values of a compiled program: they have no methods."""
        raise NotImplementedError("these worlds have no methods to call")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """They are not, but episodes are monitored."""
        return [False] * len(list(self._get_indices(indices)))
