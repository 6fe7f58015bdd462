"""What an extracted policy's model gets wrong where the policy goes, beside the data it learned.

The same errors of the frozen model are measured twice: along deterministic episodes of the policy
in its worlds, and along windows of the data. Beside them how far the policy's states and actions
are from the data's, and what parts the return that the policy was made for consists of: imagined
rewards, imagined states, and the critics' values of states.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from mjxwm import ConfigError, data
from mjxwm.algos import pwm
from mjxwm.algos.multitask import extract
from mjxwm.data import replay
from mjxwm.models import actor_critic, world_model
from mjxwm.reports.one_run import foresight
from mjxwm.reports.one_run.foresight import Episodes
from mjxwm.runs import build, policies
from mjxwm.runs.policies import Policy

_WINDOWS, _NEIGHBOURS, _ROWS = 512, 400, 8192
HORIZON = 16
"""Steps over which the model is followed."""


class Windows(NamedTuple):
    """Consecutive steps of one episode each; the last observation has no action."""

    obs: NDArray
    """[H + 1, N, o]"""
    action: NDArray
    """[H, N, a]"""
    reward: NDArray
    """[H, N]"""


def measure(run: Path, episodes: int = 8) -> dict[str, Any]:
    """All figures of one extracted policy.

    Args:
        run: the folder of its run.
        episodes: episodes of the policy that are stepped.

    Raises:
        ConfigError: the policy cannot be read, its worlds cannot be made, or its episodes end
            before their time limit.
        ValueError: its data set cannot be read.
    """
    policy = policies.of_run(run)
    env = build.make_env(build.on_engine(policy.config, None))
    lived = foresight.run_episodes(policy, env, episodes)
    if lived.done[:-1].any():
        raise ConfigError(
            f"{run}: episodes of {policy.config.task} end before their time limit, and returns "
            "here are of whole ones"
        )
    along, taught = _of_episodes(lived), _of_data(policy, HORIZON)
    rows = _of_data(policy, 1, _ROWS)
    return {
        "task": policy.config.task,
        "return": float(lived.reward.sum(axis=0).mean()),
        "policy": _errors(policy, along),
        "data": _errors(policy, taught),
        "distance": _distances(policy, lived, rows),
        "expected": _expected(policy, lived),
    }


def _of_episodes(lived: Episodes) -> Windows:
    t, world = foresight.starts(lived, HORIZON)
    ahead = t + np.arange(HORIZON + 1)[:, None]
    action, reward = lived.action[ahead[:-1], world], lived.reward[ahead[:-1], world]
    return Windows(lived.obs[ahead, world], action, reward)


def _of_data(policy: Policy, steps: int, count: int = _WINDOWS) -> Windows:
    """Windows of the policy's data set that run past no end of an episode."""
    config, card = policy.config.algo, policy.agent.card
    tasks = tuple(task for task in card.tasks if task.name == policy.config.task)
    dataset = data.open_data(Path(config.data or card.source)).matching(tasks)
    with data.Stream(dataset, 1, 2 * count, steps + 1, seed=0, total=1) as stream:
        rows = jax.device_get(next(stream))
    drawn = replay.from_flags(rows.obs[0], rows.action[0], rows.reward[0], rows.flags[0])
    whole = np.asarray(drawn.next_mask[:-1] & drawn.mask[:-1]).all(axis=0)
    keep = np.flatnonzero(whole)[:count]
    obs, action, reward = rows.obs[0], rows.action[0], rows.reward[0]
    return Windows(obs[:, keep], action[:-1, keep], reward[:-1, keep])


def _errors(policy: Policy, windows: Windows) -> dict[str, list[float]]:
    """Errors of the model that follows the actions taken, by steps from the start."""
    outlook = policy.agent.outlook
    assert outlook is not None
    assert outlook.follow is not None
    followed = jax.jit(outlook.follow)(
        policy.arrays, jnp.asarray(windows.obs), jnp.asarray(windows.action)
    )
    apart = np.linalg.norm(followed.z - followed.encoded, axis=-1)[1:]
    moved = np.linalg.norm(followed.encoded[0] - followed.encoded, axis=-1)[1:]
    wrong = np.asarray(followed.reward) - windows.reward
    return {
        "latent": _listed(apart.mean(axis=1)),
        "latent_unchanged": _listed(moved.mean(axis=1)),
        "reward": _listed(np.abs(wrong).mean(axis=1)),
        "reward_too_high": _listed(wrong.mean(axis=1)),
    }


def _distances(policy: Policy, lived: Episodes, rows: Windows) -> dict[str, float]:
    """Median distances to the nearest of some thousand states, and steps, of the data.

    States are latents, steps are latents and actions side by side. The data's are those between
    one half of the rows and the other.
    """
    rng = np.random.default_rng(0)
    encode = jax.jit(lambda obs: pwm.encode(policy.arrays, obs))
    half = rows.obs.shape[1] // 2
    z, action = np.asarray(encode(rows.obs[0])), rows.action[0]
    t = rng.integers(0, len(lived.obs), _NEIGHBOURS)
    world = rng.integers(0, lived.obs.shape[1], _NEIGHBOURS)
    visited, taken = np.asarray(encode(lived.obs[t, world])), lived.action[t, world]
    states, steps = z[:half], np.concatenate([z, action], axis=1)[:half]
    other = slice(half, half + _NEIGHBOURS)
    return {
        "state": _nearest(visited, states),
        "state_of_data": _nearest(z[other], states),
        "step": _nearest(np.concatenate([visited, taken], axis=1), steps),
        "step_of_data": _nearest(np.concatenate([z, action], axis=1)[other], steps),
    }


def _nearest(points: NDArray, among: NDArray) -> float:
    squares = (points**2).sum(axis=1)[:, None] + (among**2).sum(axis=1) - 2 * points @ among.T
    return float(np.median(np.sqrt(np.maximum(squares.min(axis=1), 0))))


def _expected(policy: Policy, lived: Episodes) -> dict[str, Any]:
    """The return that the actor ascends beside the one that followed, at states of episodes and at
    their starts, and the parts of the difference.

    With H imagined steps it is sum_t gamma^t r_t + gamma^H V(z_H). Its parts: rewards that are
    imagined otherwise than they were; the value of the imagined last state beside that of the real
    one; the value of the real one beside the return that followed.
    """
    extraction, nets = policy.config.algo.settings, policy.arrays
    config = extract.as_pwm(extraction, policy.agent.card, policy.sizes.episode_length)
    horizon, gamma = extraction.horizon, config.gamma
    real = _returns(lived, gamma)
    # What is left out of a return that was cut off is less than 10 % of a value.
    last = max(len(lived.reward) - int(np.log(0.1) / np.log(gamma)), horizon + 1) - horizon
    t = np.linspace(0, last - 1, 40).astype(int)

    @jax.jit
    def imagined(obs: Array, after: Array) -> tuple[Array, Array, Array]:
        acting = actor_critic.Sampling(actor=nets.actor, detach=False)
        noise = jnp.zeros((horizon, len(obs), policy.sizes.action_size))
        rollout = world_model.imagine(nets.model, acting, pwm.encode(nets, obs), noise)

        def value(z: Array) -> Array:
            return actor_critic.value(nets.target, z) * config.value_unit

        return rollout.reward, value(rollout.z[-1]), value(pwm.encode(nets, after))

    size = lived.obs.shape[1]
    flat = [lived.obs[i].reshape(len(t) * size, -1) for i in (t, t + horizon)]
    rewards, at_imagined, at_real = (np.asarray(x) for x in imagined(*flat))
    ahead = t + np.arange(horizon)[:, None]
    taken = lived.reward[ahead].reshape(horizon, -1)
    weight, end = gamma ** np.arange(horizon)[:, None], gamma**horizon
    parts = {
        "rewards": (weight * (rewards - taken)).sum(axis=0),
        "imagined_states": end * (at_imagined - at_real),
        "values_of_states": end * (at_real - real[t + horizon].ravel()),
        "imagined": (weight * rewards).sum(axis=0) + end * at_imagined,
        "real": real[t].ravel(),
    }
    at_start = np.arange(len(parts["real"])) < size
    everywhere = {name: float(f"{x.mean():.4g}") for name, x in parts.items()}
    starts = {name: float(f"{x[at_start].mean():.4g}") for name, x in parts.items()}
    return {"everywhere": everywhere, "at_start": starts, "most": 1 / (1 - gamma)}


def _returns(lived: Episodes, gamma: float) -> NDArray:
    """Discounted returns [T, N] up to the episode's end."""
    total, returns = np.zeros(lived.reward.shape[1]), np.zeros_like(lived.reward)
    for i in range(len(lived.reward) - 1, -1, -1):
        total = lived.reward[i] + gamma * np.where(lived.done[i], 0, total)
        returns[i] = total
    return returns


def _listed(values: NDArray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
