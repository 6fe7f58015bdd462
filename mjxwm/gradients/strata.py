"""Start states from the policy's own episodes, sorted by what is about to happen to them.

- flight: nothing touches, and nothing will within the horizon.
- impact: nothing touches, but something will within the horizon.
- stance: something touches.
- ending: the episode terminates within twice the horizon, whatever touches.

A task without contacts has one stratum, `free`, beside `ending`.
"""

from typing import NamedTuple

import jax
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.core import Initial, Step, Worlds
from mjxwm_envs.env import Env
from numpy.typing import NDArray

from mjxwm.gradients.subject import Subject

NAMES = ("flight", "impact", "stance", "free", "ending")


class Starts(NamedTuple):
    """S start states and what each is an example of."""

    initial: Initial
    """Leading axis S."""
    stratum: tuple[str, ...]


class Episode(NamedTuple):
    """T steps of B worlds: states before each step, and whether the episode ended with it."""

    initial: Initial
    terminated: Bool[Array, "T B"]
    cut: Bool[Array, "T B"]


def play(env: Env, subject: Subject, key: PRNGKeyArray, worlds: int, steps: int) -> Episode:
    """Lets the policy act, with its noise, in `worlds` worlds; on any engine."""
    batch = BatchEnv(env, worlds)
    key_reset, key_noise = jax.random.split(key)
    noise = jax.random.normal(key_noise, (steps, worlds, env.action_size))

    def step(state: Worlds, noise: Array) -> tuple[Worlds, tuple[Initial, Step]]:
        action = subject.actor.sample(subject.encode(state.obs), noise)
        sim = state.state.sim
        view = sim.physics
        initial = Initial(view.qpos, view.qvel, view.act, view.goal, sim.fields)
        state, result = batch.step(state, action)
        return state, (initial, result)

    run = jax.jit(lambda state, noise: jax.lax.scan(step, state, noise)[1])
    initial, result = jax.device_get(run(batch.reset(key_reset, stagger=True), noise))
    return Episode(initial, result.terminated, result.truncated)


def choose(
    model: mujoco.MjModel, episode: Episode, horizon: int, number: int, seed: int = 0
) -> Starts:
    """Up to `number` start states per stratum that occurs, each of another world.

    States of one world are near one another in time; as start states they would not be independent,
    which is what intervals over them take for granted.

    Args:
        model: for its contacts.
        episode: where to draw from.
        horizon: steps that a gradient looks ahead.
        number: per stratum.
        seed: of the draw.

    Raises:
        ValueError: no state is followed by `horizon` steps.
    """
    names = label(touching(model, episode.initial), episode, horizon)
    rng = np.random.default_rng(seed)
    chosen: list[tuple[int, int]] = []
    stratum: list[str] = []
    for name in NAMES:
        places = rng.permutation(np.argwhere(names == name))
        _, first = np.unique(places[:, 1], return_index=True)  # the first of each world
        for t, b in places[np.sort(first)[:number]]:
            chosen.append((int(t), int(b)))
            stratum.append(name)
    if not chosen:
        raise ValueError(
            f"no state of {names.shape[0]} steps is followed by horizon={horizon} steps of its "
            "episode; lower the horizon"
        )
    t, b = np.array(chosen).T
    return Starts(jax.tree.map(lambda x: x[t, b], episode.initial), tuple(stratum))


def touching(model: mujoco.MjModel, initial: Initial) -> Bool[NDArray, "T B"]:
    """Whether anything touches anything, by C MuJoCo's collision stage."""
    data = mujoco.MjData(model)
    qpos = np.asarray(initial.qpos, float)

    def one(q: Float[NDArray, " nq"]) -> bool:
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        return bool((data.contact.dist[: data.ncon] < 0).any())

    return np.array([[one(q) for q in row] for row in qpos])


def label(touches: Bool[NDArray, "T B"], episode: Episode, horizon: int) -> NDArray:
    """The stratum of every state [T, B]; empty where the record does not reach far enough."""
    steps, worlds = touches.shape
    names = np.full((steps, worlds), "", dtype=object)
    ended = np.asarray(episode.terminated)
    broken = ended | np.asarray(episode.cut)
    contacts = bool(touches.any())
    for t in range(steps - horizon):
        ahead = slice(t + 1, t + horizon + 1)
        # Of this episode: what follows a cut is another one.
        cuts = np.asarray(episode.cut)[t : t + 2 * horizon]
        same_episode = np.cumsum(cuts, axis=0) - cuts == 0
        near = (ended[t : t + 2 * horizon] & same_episode).any(axis=0)
        whole = ~broken[t : t + horizon].any(axis=0)
        lands = touches[ahead].any(axis=0)
        kind = np.where(touches[t], "stance", np.where(lands, "impact", "flight"))
        kind = kind if contacts else np.full(worlds, "free")
        names[t] = np.where(near, "ending", np.where(whole, kind, ""))
    return names
