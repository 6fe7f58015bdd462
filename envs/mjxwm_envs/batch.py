"""B worlds: vmap, time limits, automatic resets to *new* start states.

`terminated` and `truncated` stay apart: the return after a termination is zero, after a truncation
it is estimated from `Step.next_obs`, the observation before the reset. A world whose physics
diverged (NaN, infinite, or beyond MuJoCo's own bound) is reset too, and its step is not `valid`; so
is one whose action, observation or reward is not finite.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from mjxwm_envs import shards, vmapped
from mjxwm_envs.core import Initial, State, Step, World, Worlds
from mjxwm_envs.platform import compiled_for

_RESET_SHARE = 8
"""While at most B / 8 worlds end in a step, only B / 8 start states are computed, else all B."""


FAULTS = ("reward", "obs", "physics", "action")
"""What makes a step not `valid` where it is NaN or infinite; physics also beyond MuJoCo's bound.
Of several in one step the last counts: the others follow from it."""


@dataclasses.dataclass(frozen=True)
class BatchEnv:
    """`num_worlds` copies of a world, stepped together.

    In a program that is split over devices (`mjxwm_envs.shards`), B below is the number of worlds
    on one device. Start states do not depend on the number of devices.
    """

    env: World
    num_worlds: int
    """Worlds on all devices together."""

    def __post_init__(self):
        """Prepares a cache of environments by number of worlds."""
        # A frozen dataclass can set its own fields in no other way.
        object.__setattr__(self, "_sized", {})

    @property
    def world(self) -> World:
        """The environment with the engine's buffers sized for the worlds of one device."""
        sized: dict[int, World] = getattr(self, "_sized")  # noqa: B009  # no field, for it changes
        number = shards.share(self.num_worlds)
        if number not in sized:
            sized[number] = self.env.for_worlds(number)
        return sized[number]

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> Worlds:
        """New episodes in all worlds.

        Args:
            key: random key.
            stagger: start the episode clocks at random times, so that the time limits of the
                worlds do not coincide and a batch of data has steps of all phases of an episode.
        """
        key, key_reset, key_clock = jax.random.split(key, 3)
        worlds = self.reset_each(jax.random.split(key_reset, self.num_worlds), key)
        limit = self.env.episode_length if stagger else 1
        clock = shards.local(jax.random.randint(key_clock, (self.num_worlds,), 0, limit))
        return worlds._replace(clock=clock, steps=jnp.zeros_like(clock))

    def reset_each(self, keys: PRNGKeyArray, key: PRNGKeyArray) -> Worlds:
        """New episodes in all worlds, with a random key for each.

        Args:
            keys: random keys [num_worlds] of the start states.
            key: random key of all later resets.
        """
        state = jax.vmap(self.world.reset)(shards.local(keys))
        zero = jnp.zeros(state.reward.shape, jnp.int32)
        return Worlds(state, zero, zero, jnp.zeros_like(state.reward), key)

    def reset_some(self, worlds: Worlds, mask: Bool[Array, " B"], keys: PRNGKeyArray) -> Worlds:
        """New episodes, from random keys [B], in the worlds of `mask`; the others go on."""
        initial = jax.vmap(self.world.initial)(keys)
        return Worlds(
            self._restart(mask, initial, worlds.state),
            jnp.where(mask, 0, worlds.clock),
            jnp.where(mask, 0, worlds.steps),
            jnp.where(mask, 0, worlds.episode_return),
            worlds.key,
        )

    def step(self, worlds: Worlds, action: Float[Array, "B a"]) -> tuple[Worlds, Step]:
        """One action in [-1, 1] in each world; worlds whose episode ended are reset."""
        before = worlds.state
        # An engine is not handed what is not finite: MuJoCo would warn of each, and go on with 0.
        state = jax.vmap(self.world.step)(before, _finite(action))
        fault = _fault(before, action, state)
        valid = fault == 0
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
            next_obs=jnp.where(valid[:, None], state.obs, _finite(before.obs)),
            episode_return=episode_return,
            episode_length=steps,
            terms=jax.tree.map(lambda t: jnp.where(valid, t, 0), state.terms),
            success=None if state.success is None else state.success & valid,
            fault=fault,
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
        size = shards.share(self.num_worlds)
        if compiled_for() == "gpu" and self.env.reset_is_cheap:
            # A GPU waits for the host at a branch, which takes longer than start states of all.
            return self._restart(done, self._initial(key, jnp.arange(size)), state)
        # Start states, and the physics of their derived fields, are computed for a few rows alone:
        # those of the worlds that ended are gathered, reset, and put back in their places.
        slots = max(1, size // _RESET_SHARE)
        count = done.sum()

        def reset_none(key: PRNGKeyArray, state: State) -> State:
            return state

        def reset_few(key: PRNGKeyArray, state: State) -> State:
            # Gathers both ways: on a CPU, XLA scatters (and jnp.nonzero) element by element.
            nth = jnp.cumsum(done)
            ids = jnp.searchsorted(nth, jnp.arange(1, slots + 1), method="compare_all")
            initial = self._initial(key, ids)
            if not self.env.reset_computes:
                return self._restart(done, _rows(initial, nth - 1, slots), state)
            started = self._restart(ids < size, initial, _rows(state, ids, size))
            scattered = _rows(started, nth - 1, slots)
            return jax.tree.map(lambda n, o: jax.vmap(jnp.where)(done, n, o), scattered, state)

        def reset_all(key: PRNGKeyArray, state: State) -> State:
            return self._restart(done, self._initial(key, jnp.arange(size)), state)

        # What resets a few, or all, leaves alone those that did not end: so the worlds of several
        # seeds, of which some have more ends than others, take one of the branches together.
        case = vmapped.largest((count > 0).astype(jnp.int32) + (count > slots))
        return jax.lax.switch(case, (reset_none, reset_few, reset_all), key, state)

    def _initial(self, key: PRNGKeyArray, ids: Int[Array, " n"]) -> Initial:
        # A world's start depends on the key and on its number, not on the other worlds that end.
        ids = ids + shards.index() * shards.share(self.num_worlds)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
        return jax.lax.stop_gradient(jax.vmap(self.world.initial)(keys))

    def _restart(self, done: Bool[Array, " n"], initial: Initial, state: State) -> State:
        return jax.vmap(self.world.reset_where)(done, initial, state)


def _rows(tree: Any, ids: Int[Array, " n"], size: int) -> Any:
    # Playground's worlds share buffers: leaves without an axis of `size` worlds stay unchanged.
    return jax.tree.map(lambda x: x.at[ids].get(mode="clip") if len(x) == size else x, tree)


def _fault(before: State, action: Float[Array, "B a"], after: State) -> UInt8[Array, " B"]:
    """`Step.fault` of a step in each of B worlds."""
    physics = after.sim.physics
    # The bound at which mj_checkPos and mj_checkVel reset a world; false for NaN, too.
    bounded = [jnp.abs(x) < mujoco.mjMAXVAL for x in (physics.qpos, physics.qvel, physics.act)]
    obs, reward = after.obs, after.reward[:, None]
    others = [jnp.isfinite(x) for x in (obs, reward, before.obs, action)]
    names = (*["physics"] * len(bounded), "obs", "reward", "obs", "action")
    parts = (*bounded, *others)
    codes = [
        np.full(part.shape[1], 1 + FAULTS.index(name), np.uint8)
        for name, part in zip(names, parts, strict=True)
    ]
    sound = jnp.concatenate(parts, axis=1)
    return jnp.where(sound, 0, np.concatenate(codes)).max(axis=1)


def _finite(x: Float[Array, "B n"]) -> Float[Array, "B n"]:
    """The numbers, and 0 in the place of those that are not finite."""
    return jnp.where(jnp.isfinite(x), x, 0)
