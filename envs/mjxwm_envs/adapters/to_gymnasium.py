"""Our environments as gymnasium's: a `VectorEnv` of B worlds, or an `Env` of one.

Worlds that end are reset in the same step (autoreset SAME_STEP): the last observation is in
`infos["final_obs"]`. Actions are clipped to [-1, 1]. Returned arrays are copies.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool

from mjxwm_envs.adapters import arguments
from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.env import Env


def _spaces(env: Env) -> tuple[spaces.Box, spaces.Box]:
    spec = env.spec
    observations = spaces.Box(-np.inf, np.inf, (spec.obs_size,), np.float32)
    return observations, spaces.Box(-1.0, 1.0, (spec.action_size,), np.float32)


class GymnasiumVectorEnv(VectorEnv):
    """B worlds of `env`, one compiled call per step. `close` does nothing."""

    def __init__(self, env: Env, num_envs: int) -> None:
        """See `envs.to_gymnasium`."""
        self.env, self.num_envs = env, num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.single_observation_space, self.single_action_space = _spaces(env)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.spec = None
        self._batch = BatchEnv(env, num_envs)
        each = jax.vmap(jax.random.key)
        batch = self._batch
        self._reset = jax.jit(lambda n, key: batch.reset_each(each(n), jax.random.key(key)))
        self._reset_some = jax.jit(lambda worlds, mask, n: batch.reset_some(worlds, mask, each(n)))
        self._step = jax.jit(batch.step)
        self._worlds: Any = None

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes; with seeds, they and all later ones are reproducible.

        Args:
            seed: world i starts as a `gymnasium.Env` does from `seed` + i, or from the i-th seed of
                a list; None draws another start.
            options: {"reset_mask": bool array [B]} resets those worlds only; the others go on, and
                later resets are not seeded.

        Raises:
            ValueError: another option, or a mask or a list of seeds of another shape.
            gymnasium.error.ResetNeeded: a mask, and some of the worlds have not been reset yet.
        """
        mask, seeds = (
            arguments.mask_of(options, self.num_envs),
            arguments.seeds_of(seed, self.num_envs),
        )
        if mask is not None and self._worlds is None and not mask.all():
            raise gymnasium.error.ResetNeeded("reset all worlds before some of them")
        if mask is not None and self._worlds is not None:
            key_seeds = arguments.key_seeds(seeds, self.np_random)
            self._worlds = self._reset_some(self._worlds, mask, key_seeds)
            return np.array(self._worlds.obs, np.float32), {}
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
        elif seed is not None:  # seeds that are None are drawn by the current generator
            seeds = [int(self.np_random.integers(2**31)) if s is None else s for s in seeds]
            self.np_random = np.random.default_rng(seeds)
        key_seeds = arguments.key_seeds(seeds, self.np_random)
        self._worlds = self._reset(key_seeds, np.uint32(self.np_random.integers(2**31)))
        return np.array(self._worlds.obs, np.float32), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One action in each world.

        Raises:
            gymnasium.error.ResetNeeded: `reset` has not been called.
        """
        if self._worlds is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        shape = (self.num_envs, self.env.action_size)
        self._worlds, step = self._step(self._worlds, arguments.action_of(actions, shape))
        done = np.array(step.terminated | step.truncated)
        infos: dict[str, Any] = {}
        if step.success is not None:
            infos |= {"success": np.array(step.success), "_success": np.ones_like(done)}
        if done.any():
            infos |= self._final(step, done)
        return (
            np.array(self._worlds.obs, np.float32),
            np.array(step.reward, np.float64),
            np.array(step.terminated),
            np.array(step.truncated),
            infos,
        )

    def _final(self, step: Any, done: np.ndarray) -> dict[str, Any]:
        final, last = np.full(self.num_envs, None, object), np.array(step.next_obs, np.float32)
        for world in np.flatnonzero(done):
            final[world] = last[world].copy()
        ended = {"valid": np.array(step.valid) & done}
        if step.success is not None:
            ended["success"] = np.array(step.success) & done
        episode = {
            "r": np.where(done, np.asarray(step.episode_return), 0),
            "l": np.where(done, np.asarray(step.episode_length), 0),
        }
        info = _masked(done, {"episode": _masked(done, episode), **ended})
        return _masked(done, {"final_obs": final, "final_info": info})


def _masked(mask: Bool[np.ndarray, " B"], values: dict[str, Any]) -> dict[str, Any]:
    """Gymnasium's infos: each value, and under `_name` the mask of the worlds that it is for."""
    masks = {f"_{name}": mask.copy() for name in values}
    return {**values, **masks}


class GymnasiumEnv(gymnasium.Env):
    """One world of `env`, which the caller resets."""

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
        self._steps, self._camera, self._shown = 0, None, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new episode; with a seed, it and all later ones are reproducible.

        Raises:
            ValueError: `options` is not empty.
        """
        arguments.no_options(options)
        super().reset(seed=seed)
        self._state = self._reset(jax.random.key(int(self.np_random.integers(2**31))))
        self._steps, self._shown = 0, False
        return np.array(self._state.obs[0], np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One action.

        Raises:
            gymnasium.error.ResetNeeded: `reset` has not been called.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        action = arguments.action_of(action, (self.env.action_size,))
        self._state = self._step(self._state, action)
        state, self._steps = self._state, self._steps + 1
        info = {f"reward_{name}": float(term[0]) for name, term in state.terms.items()}
        if state.success is not None:
            info["success"] = bool(state.success[0])
        obs, reward = np.array(state.obs[0], np.float32), float(state.reward[0])
        info["valid"] = bool(np.isfinite(obs).all() and np.isfinite(reward))
        if not info["valid"]:  # diverged: truncated, as in `BatchEnv`, with placeholders
            return np.zeros_like(obs), 0.0, False, True, info
        terminated = bool(state.terminated[0])
        truncated = self._steps >= self.env.episode_length and not terminated
        return obs, reward, terminated, truncated, info

    def render(self) -> Any:
        """A picture [height, width, 3] in render mode "rgb_array", else None."""
        if self.render_mode != "rgb_array" or self._state is None:
            return None
        from mjxwm_envs import rendering

        sim = jax.tree.map(lambda x: np.asarray(x[0]), self._state.sim)
        if self._camera is None or not self._shown:
            scene = self.env.scene(sim.fields, sim.physics.goal)
            if self._camera is None:
                self._camera = rendering.Camera(scene)
            self._camera.show(scene)
            self._shown = True
        return self._camera.picture(sim.physics.qpos, sim.physics.act)

    def close(self) -> None:
        """Frees the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
