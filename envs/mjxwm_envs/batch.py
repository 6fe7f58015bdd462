"""B worlds: vmap, time limit, automatic reset to *fresh* start states, the last observation kept.

`terminated` and `truncated` stay apart: nothing follows a termination, while the return after a
truncation is still to be estimated, from `Step.next_obs`, the observation before the reset. A world
whose physics diverged (NaN, infinity, or beyond what MuJoCo itself calls unstable) is reset too;
its step is marked not `valid`.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from mjxwm_envs import shards
from mjxwm_envs.core import Initial, State
from mjxwm_envs.env import Env

_RESET_SHARE = 8
"""Up to one world in so many is reset by itself; where more end at once, all are computed."""


class Worlds(NamedTuple):
    """B worlds and their running episodes."""

    state: State
    """Every leaf with a leading axis B."""
    clock: Int[Array, " B"]
    """Agent steps on the episode's clock, which truncates it; a staggered one starts ahead."""
    steps: Int[Array, " B"]
    """Agent steps since the episode began."""
    episode_return: Float[Array, " B"]
    """Undiscounted return since the episode began."""
    key: PRNGKeyArray

    @property
    def obs(self) -> Float[Array, "B o"]:
        """What the policies see now."""
        return self.state.obs


def layout(worlds: Worlds) -> Worlds:
    """Which axis of each leaf is spread over devices (`mjxwm_envs.shards`): that of the worlds."""
    spread = jax.tree.map(lambda x: shards.spread(), worlds)
    return spread._replace(key=PartitionSpec())


class Step(NamedTuple):
    """What one action did in each of B worlds."""

    reward: Float[Array, " B"]
    terminated: Bool[Array, " B"]
    """The episode ended and nothing follows."""
    truncated: Bool[Array, " B"]
    """The episode was cut: by the time limit, or because the physics diverged (not `valid`)."""
    valid: Bool[Array, " B"]
    """False where the physics diverged: reward and next_obs are placeholders there."""
    next_obs: Float[Array, "B o"]
    """The observation after the step and before any reset."""
    episode_return: Float[Array, " B"]
    """Return of the episode up to and including this step."""
    episode_length: Int[Array, " B"]
    """Length of the episode up to and including this step [agent steps]."""
    terms: dict[str, Float[Array, " B"]]
    """Reward terms by name."""
    success: Bool[Array, " B"] | None
    """Whether the task was solved after the step; None where the task does not say."""


@dataclasses.dataclass(frozen=True)
class BatchEnv:
    """`num_worlds` copies of an Env, stepped together.

    Inside a program for one of several devices (`mjxwm_envs.shards`) it is that device's part of
    them: sizes below are then of those worlds, while starts are what they would be on one device.
    """

    env: Env
    num_worlds: int
    """On all devices."""

    def __post_init__(self):
        """Sizes the engine's buffers."""
        # A frozen dataclass can set its own fields in no other way.
        object.__setattr__(self, "_sized", {})

    @property
    def here(self) -> Env:
        """The environment with the engine's buffers sized for this device's worlds."""
        sized: dict[int, Env] = getattr(self, "_sized")  # noqa: B009  # no field, for it changes
        number = shards.share(self.num_worlds)
        if number not in sized:
            sized[number] = self.env.for_worlds(number)
        return sized[number]

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> Worlds:
        """Fresh worlds.

        Args:
            key: random key.
            stagger: start the episode clocks at random, so that time limits do not fall together
                in all worlds and the data never come from one phase of an episode alone.
        """
        key, key_reset, key_clock = jax.random.split(key, 3)
        worlds = self.reset_each(jax.random.split(key_reset, self.num_worlds), key)
        limit = self.env.episode_length if stagger else 1
        clock = shards.own(jax.random.randint(key_clock, (self.num_worlds,), 0, limit))
        return worlds._replace(clock=clock, steps=jnp.zeros_like(clock))

    def reset_each(self, keys: PRNGKeyArray, key: PRNGKeyArray) -> Worlds:
        """Fresh worlds, each from a key of its own.

        Args:
            keys: a random key for each of the `num_worlds` worlds.
            key: random key of what follows.
        """
        state = jax.vmap(self.here.reset)(shards.own(keys))
        none = jnp.zeros(state.reward.shape, jnp.int32)
        return Worlds(state, none, none, jnp.zeros_like(state.reward), key)

    def reset_some(self, worlds: Worlds, mask: Bool[Array, " B"], keys: PRNGKeyArray) -> Worlds:
        """The worlds of the mask at fresh starts, each from its key; the others go on."""
        initial = jax.vmap(self.here.initial)(keys)
        return Worlds(
            self._restart(mask, initial, worlds.state),
            jnp.where(mask, 0, worlds.clock),
            jnp.where(mask, 0, worlds.steps),
            jnp.where(mask, 0, worlds.episode_return),
            worlds.key,
        )

    def step(self, worlds: Worlds, action: Float[Array, "B a"]) -> tuple[Worlds, Step]:
        """One action in each world; worlds whose episode ended come back at a fresh start."""
        before = worlds.state
        state = jax.vmap(self.here.step)(before, action)
        valid = _sound(state)
        reward = jnp.where(valid, state.reward, 0)
        clock, steps = worlds.clock + 1, worlds.steps + 1
        terminated = state.terminated & valid
        truncated = (~valid | (clock >= self.env.episode_length)) & ~terminated
        episode_return = worlds.episode_return + reward
        result = Step(
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            valid=valid,
            next_obs=jnp.where(valid[:, None], state.obs, before.obs),
            episode_return=episode_return,
            episode_length=steps,
            terms=jax.tree.map(lambda t: jnp.where(valid, t, 0), state.terms),
            success=None if state.success is None else state.success & valid,
        )
        done = terminated | truncated
        key, key_reset = jax.random.split(worlds.key)
        state = self._reset_where(done, key_reset, state)
        return Worlds(
            state,
            jnp.where(done, 0, clock),
            jnp.where(done, 0, steps),
            jnp.where(done, 0, episode_return),
            key,
        ), result

    def _reset_where(self, done: Bool[Array, " B"], key: PRNGKeyArray, state: State) -> State:
        # What ends is reset and what goes on costs next to nothing: start states, and physics where
        # derived fields need it, are computed for a few gathered rows and put back in their places.
        here = shards.share(self.num_worlds)
        slots = max(1, here // _RESET_SHARE)
        heavy = self.env.reset_computes
        count = done.sum()

        def none(key: PRNGKeyArray, state: State) -> State:
            return state

        def few(key: PRNGKeyArray, state: State) -> State:
            # Gathers both ways: on a CPU, XLA scatters (and jnp.nonzero) element by element.
            nth = jnp.cumsum(done)
            ids = jnp.searchsorted(nth, jnp.arange(1, slots + 1), method="compare_all")
            initial = self._initial(key, ids)
            if not heavy:
                return self._restart(done, _rows(initial, nth - 1, slots), state)
            fresh = self._restart(ids < here, initial, _rows(state, ids, here))
            back = _rows(fresh, nth - 1, slots)
            return jax.tree.map(lambda f, x: jax.vmap(jnp.where)(done, f, x), back, state)

        def many(key: PRNGKeyArray, state: State) -> State:
            return self._restart(done, self._initial(key, jnp.arange(here)), state)

        case = (count > 0).astype(jnp.int32) + (count > slots)
        return jax.lax.switch(case, (none, few, many), key, state)

    def _initial(self, key: PRNGKeyArray, ids: Int[Array, " n"]) -> Initial:
        # A world's start depends on the key and on its number, not on which others end with it.
        ids = ids + shards.index() * shards.share(self.num_worlds)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
        return jax.lax.stop_gradient(jax.vmap(self.here.initial)(keys))

    def _restart(self, done: Bool[Array, " n"], initial: Initial, state: State) -> State:
        return jax.vmap(self.here.reset_where)(done, initial, state)


def _rows(tree: Any, ids: Int[Array, " n"], size: int) -> Any:
    # Foreign worlds may share buffers, which have no axis of `size` worlds and stay as they are.
    return jax.tree.map(lambda x: x.at[ids].get(mode="clip") if len(x) == size else x, tree)


def _sound(state: State) -> Bool[Array, " B"]:
    physics, outputs = state.sim.physics, (state.obs, state.reward[:, None])
    # The bound at which mj_checkPos and mj_checkVel reset a world; false for NaN, too.
    sound = [jnp.abs(x) < mujoco.mjMAXVAL for x in (physics.qpos, physics.qvel, physics.act)]
    return jnp.concatenate([*sound, *map(jnp.isfinite, outputs)], axis=1).all(axis=1)
