"""Closed-loop evaluation in the simulator, apart from training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from mjxwm_envs.core import Source, Worlds
from mjxwm_envs.env import Env


class Evaluation(NamedTuple):
    """N episodes, each from its own start state."""

    episode_return: Float[Array, " N"]
    """Undiscounted return until the first end."""
    length: Int[Array, " N"]
    """Agent steps until the first end."""
    qpos: Float[Array, "T nq"]
    """Positions of the first episode, to look at; they repeat after its end."""
    success: Bool[Array, " N"] | None
    """Whether the task was solved at the episode's last step; None for a task without success."""
    fields: dict[str, Array] = {}  # noqa: RUF012  never written to
    """The first episode's own fields of the model, to look at it."""
    goal: Any = ()
    """The goal of the first episode (`Physics.goal`), to look at it."""
    diverged: Bool[Array, " N"] | bool = False
    """Whether the episode ended because physics diverged: its return is of a part."""
    ended: Bool[Array, " N"] | None = None
    """Whether the episode ended before its time limit with nothing to follow, as by a fall; None in
    worlds that never do."""
    measures: dict[str, Float[Array, " N"]] = {}  # noqa: RUF012  never written to
    """The task's own numbers (`Task.measure`) in the last state before the end."""

    @property
    def lost(self) -> int:
        """Episodes that were cut short: physics, action, observation or reward was not finite."""
        return int(np.sum(self.diverged))

    @property
    def steps(self) -> int:
        """Valid steps of all episodes. Without any there is no return, but zeros in its place."""
        return int(np.sum(self.length)) - self.lost

    @property
    def mean_return(self) -> float:
        """Mean of the episodes' returns; NaN if none of them had a valid step."""
        return float(np.mean(self.episode_return)) if self.steps else float("nan")


class _Carry(NamedTuple):
    memory: Any
    state: Worlds
    alive: Bool[Array, " N"]
    total: Float[Array, " N"]
    length: Int[Array, " N"]
    shown: Float[Array, " nq"]
    success: Bool[Array, " N"] | None
    diverged: Bool[Array, " N"]
    ended: Bool[Array, " N"] | None
    measures: dict[str, Float[Array, " N"]]


def evaluate(
    env: Source, act: Callable[[Array], Array], key: PRNGKeyArray, episodes: int
) -> Evaluation:
    """Runs a policy for one episode in each of N fresh worlds.

    The policy sees every observation (closed loop); what it does not sample is deterministic. The
    first end of a world counts, what follows is ignored.

    Args:
        env: the environment.
        act: obs [N, o] -> actions [N, a].
        key: of the start states.
        episodes: N.
    """
    return evaluate_with_memory(env, lambda memory, obs: (memory, act(obs)), (), key, episodes)


def evaluate_with_memory(
    env: Source,
    act: Callable[[Any, Array], tuple[Any, Array]],
    memory: Any,
    key: PRNGKeyArray,
    episodes: int,
) -> Evaluation:
    """`evaluate` of a policy that carries something from step to step, such as a planner's plan.

    Args:
        env: the environment.
        act: (memory, obs [N, o]) -> the next memory and the actions [N, a].
        memory: before the first step, a row for each world.
        key: of the start states.
        episodes: N.
    """
    worlds = env.batch(episodes)
    state = worlds.reset(key)
    measure = _measure(env)

    def step(carry: _Carry, _: None) -> tuple[_Carry, Array]:
        memory, state, alive, total, length, shown, success, diverged, ended, measures = carry
        memory, action = act(memory, state.obs)
        state, result = worlds.step(state, action)
        total = total + jnp.where(alive, result.reward, 0)
        if success is not None and result.success is not None:
            success = jnp.where(alive, result.success, success)
        if ended is not None:
            ended = ended | (alive & result.terminated)
        length = length + alive
        diverged = diverged | (alive & ~result.valid)
        alive = alive & ~result.terminated & ~result.truncated
        qpos = jnp.where(alive[0], state.state.sim.physics.qpos[0], shown)
        # Where an episode ended the state is of the next one.
        now = measure(state.state)
        measures = jax.tree.map(lambda new, old: jnp.where(alive, new, old), now, measures)
        carry = _Carry(
            memory, state, alive, total, length, qpos, success, diverged, ended, measures
        )
        return carry, qpos

    first = state.state.sim.physics.qpos[0]
    zero, false = jnp.zeros(episodes), jnp.zeros(episodes, bool)
    start = _Carry(
        memory=memory,
        state=state,
        alive=~false,
        total=zero,
        length=zero.astype(jnp.int32),
        shown=first,
        success=state.state.success,
        diverged=false,
        ended=None if env.spec.terminates is False else false,
        measures=measure(state.state),
    )
    end, qpos = jax.lax.scan(step, start, None, env.spec.episode_length)
    sim = state.state.sim
    fields, goal = jax.tree.map(lambda x: x[0], (sim.fields, sim.physics.goal))
    qpos = jnp.concatenate([first[None], qpos])
    return Evaluation(
        episode_return=end.total,
        length=end.length,
        qpos=qpos,
        success=end.success,
        fields=fields,
        goal=goal,
        diverged=end.diverged,
        ended=end.ended,
        measures=end.measures,
    )


def _measure(env: Source) -> Callable[[Any], dict[str, Array]]:
    """`Env.measure` of N worlds; foreign worlds have none."""
    return jax.vmap(env.measure) if isinstance(env, Env) else lambda state: {}
