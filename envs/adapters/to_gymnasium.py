"""Our worlds as gymnasium's: a `VectorEnv` of B worlds, or an `Env` of one.

Worlds that end are reset in the same step (autoreset SAME_STEP): what the last observation was is
in `infos["final_obs"]`. Actions are in [-1, 1].
"""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.batch import BatchEnv
from envs.env import Env


def _spaces(env: Env) -> tuple[spaces.Box, spaces.Box]:
    spec = env.spec
    seen = spaces.Box(-np.inf, np.inf, (spec.obs_size,), np.float32)
    return seen, spaces.Box(-1.0, 1.0, (spec.action_size,), np.float32)


class GymnasiumWorlds(VectorEnv):
    """B worlds of `env`. One compiled call per step; `close` has nothing to do."""

    def __init__(self, env: Env, num_envs: int) -> None:
        """See `envs.to_gymnasium`."""
        self.env, self.num_envs = env, num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.single_observation_space, self.single_action_space = _spaces(env)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.spec = None
        self._batch = BatchEnv(env, num_envs)
        self._reset = jax.jit(self._batch.reset)
        self._step = jax.jit(self._batch.step)
        self._worlds: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Fresh worlds; a seed makes them, and all that follows, the same ones again."""
        if seed is not None or self._worlds is None:
            super().reset(seed=seed)
        key = jax.random.key(int(self.np_random.integers(2**31)))
        self._worlds = self._reset(key)
        return np.asarray(self._worlds.obs, np.float32), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One action in each world.

        Raises:
            gymnasium.error.ResetNeeded: `reset` has not been called.
        """
        if self._worlds is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        self._worlds, step = self._step(self._worlds, jnp.asarray(actions, jnp.float32))
        done = np.asarray(step.terminated | step.truncated)
        infos: dict[str, Any] = {}
        if step.success is not None:
            infos |= {"success": np.asarray(step.success), "_success": np.ones_like(done)}
        if done.any():
            infos |= self._final(step, done)
        return (
            np.asarray(self._worlds.obs, np.float32),
            np.asarray(step.reward, np.float64),
            np.asarray(step.terminated),
            np.asarray(step.truncated),
            infos,
        )

    def _final(self, step: Any, done: np.ndarray) -> dict[str, Any]:
        final, last = np.full(self.num_envs, None, object), np.asarray(step.next_obs, np.float32)
        for world in np.flatnonzero(done):
            final[world] = last[world]
        lengths, returns = np.asarray(step.episode_length), np.asarray(step.episode_return)
        episode = {"r": np.where(done, returns, 0), "l": np.where(done, lengths, 0)}
        info = {"episode": episode, "_episode": done, "valid": np.asarray(step.valid)}
        return {"final_obs": final, "_final_obs": done, "final_info": info, "_final_info": done}


class GymnasiumWorld(gymnasium.Env):
    """One world of `env`, to be reset by the caller."""

    def __init__(self, env: Env, render_mode: str | None = None) -> None:
        """See `envs.to_gymnasium`."""
        self.env, self.render_mode = env, render_mode
        fps = round(1 / env.spec.ctrl_dt)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}
        self.observation_space, self.action_space = _spaces(env)
        one = env.for_worlds(1)
        self._reset = jax.jit(lambda key: jax.vmap(one.reset)(key[None]))
        self._step = jax.jit(lambda state, action: jax.vmap(one.step)(state, action[None]))
        self._state: Any = None
        self._steps, self._renderer = 0, None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A fresh start; a seed makes it, and all that follows, the same again."""
        super().reset(seed=seed)
        self._state = self._reset(jax.random.key(int(self.np_random.integers(2**31))))
        self._steps = 0
        return np.asarray(self._state.obs[0], np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One action.

        Raises:
            gymnasium.error.ResetNeeded: `reset` has not been called.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        self._state = self._step(self._state, jnp.asarray(action, jnp.float32))
        state, self._steps = self._state, self._steps + 1
        info = {f"reward_{name}": float(term[0]) for name, term in state.terms.items()}
        if state.success is not None:
            info["success"] = bool(state.success[0])
        obs, reward = np.asarray(state.obs[0], np.float32), float(state.reward[0])
        info["valid"] = bool(np.isfinite(obs).all() and np.isfinite(reward))
        if not info["valid"]:  # diverged: as in B worlds, cut, and nothing to learn from
            return np.zeros_like(obs), 0.0, False, True, info
        terminated = bool(state.terminated[0])
        truncated = self._steps >= self.env.episode_length and not terminated
        return obs, reward, terminated, truncated, info

    def render(self) -> Any:
        """A picture [height, width, 3] in render mode "rgb_array", else None."""
        if self.render_mode != "rgb_array" or self._state is None:
            return None
        import mujoco

        model = self.env.engine.model
        if self._renderer is None:
            self._renderer = mujoco.Renderer(model, 240, 320), mujoco.MjData(model)
        renderer, data = self._renderer
        data.qpos[:] = np.asarray(self._state.sim.physics.qpos[0])
        mujoco.mj_forward(model, data)
        renderer.update_scene(data)
        return renderer.render()

    def close(self) -> None:
        """Frees the renderer."""
        if self._renderer is not None:
            self._renderer[0].close()
            self._renderer = None
