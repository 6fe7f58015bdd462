"""Our environments behind `VecEnv`, the interface of Stable-Baselines3."""

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv  # pyright: ignore[reportMissingImports]

from mjxwm_envs.adapters import arguments
from mjxwm_envs.adapters.to_gymnasium import GymnasiumVectorEnv
from mjxwm_envs.env import Env


class StableBaselinesVecEnv(VecEnv):
    """B worlds of `env`, with `info["episode"]` at every end, as SB3's `Monitor` adds it."""

    def __init__(self, env: Env, num_envs: int) -> None:
        """See `envs.to_stable_baselines3`."""
        self._worlds = GymnasiumVectorEnv(env, num_envs)
        self._actions = np.zeros((num_envs, env.action_size))
        super().__init__(
            num_envs, self._worlds.single_observation_space, self._worlds.single_action_space
        )

    def reset(self) -> np.ndarray:
        """New episodes in all worlds, from the seeds that `seed` set.

        Raises:
            ValueError: options were set with `set_options`.
        """
        arguments.no_options({name: True for options in self._options for name in options})
        seeds = list(self._seeds)
        self._reset_seeds()
        return self._worlds.reset(seed=None if None in seeds else seeds)[0]

    def step_async(self, actions: np.ndarray) -> None:
        """Stores the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """One action in each world."""
        obs, reward, terminated, truncated, final = self._worlds.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for world in np.flatnonzero(done):
            episode = final["final_info"]["episode"]
            infos[world] = {
                "terminal_observation": final["final_obs"][world],
                "TimeLimit.truncated": bool(truncated[world]),
                "episode": {"r": float(episode["r"][world]), "l": int(episode["l"][world])},
            }
        return obs, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Does nothing: there is nothing to free."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the batch, the same for all worlds."""
        return [getattr(self._worlds, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: worlds are arrays in a compiled program, without attributes."""
        raise NotImplementedError("these worlds have no attributes to set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kw: Any) -> list[Any]:
        """Refused: worlds are arrays in a compiled program, without methods."""
        raise NotImplementedError("these worlds have no methods to call")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """False for every wrapper; episodes are monitored nevertheless."""
        return [False] * len(list(self._get_indices(indices)))
