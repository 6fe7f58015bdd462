"""How far a run's world model and critics see: what they predicted beside what then happened.

It is measured on episodes of the run's policy, deterministic, in the worlds of its evaluations, and
kept as `foresight.json` in the run's folder: a report that is written anew does not measure again.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mjxwm.maths import bootstrap
from mjxwm.reports.one_run import times
from mjxwm.runs import build, checksums, policies, record, start
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.policies import Policy

FILE = "foresight.json"
_EPISODES, _STARTS, _HORIZON = 4, 96, 16
_LEAST = 1.0
"""Minutes of learning from which on a run measures this at its end by itself."""
_LEFT = 0.5
"""Largest discount between a state and its episode's time limit: beyond that the critics' own value
stands for what followed. States are chosen by their time alone, never by how their episodes end:
else those before a fall would be all that is compared."""
_POINTS = 200
"""Points of a figure of single states, at most."""


class Episodes(NamedTuple):
    """Episodes of the policy, [T, N]."""

    obs: NDArray
    next_obs: NDArray
    """After the step and before a reset."""
    action: NDArray
    reward: NDArray
    terminated: NDArray
    done: NDArray


def path(run: RunFolder) -> Path:
    """The file that keeps it."""
    return run.path / FILE


def worthwhile(run: RunFolder) -> bool:
    """Whether a run took long enough for this to be measured at its end."""
    rows = record.read(run.metrics) if run.metrics.is_file() else []
    return times.minutes(rows).get("collection and updates", 0.0) >= _LEAST


def read(run: RunFolder) -> dict[str, Any]:
    """What was measured, or why there is nothing to measure (`reason`); empty if it was not yet."""
    try:
        values = json.loads(path(run).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def measure(run: RunFolder) -> None:
    """Measures it for the run's last policy and keeps it; or keeps why that cannot be.

    Raises:
        ConfigError: the policy cannot be read, or its worlds cannot be made.
    """
    policy = policies.of_run(run.path)
    values = {"iteration": policy.iteration, **_measured(policy)}
    checksums.replace(path(run), json.dumps(values) + "\n")


def _measured(policy: Policy) -> dict[str, Any]:
    if policy.agent.outlook is None:
        words = f"{policy.config.algorithm} keeps neither a model nor critics with its policy."
        return {"reason": words}
    env = build.make_env(build.on_engine(policy.config, None))
    if env.spec.on_host:
        return {"reason": "foreign worlds are not run once more for it."}
    policies.check_sizes(policy, env.spec)
    episodes = run_episodes(policy, env, _EPISODES)
    return {**_model(policy, episodes), **_value(policy, episodes)}


def run_episodes(policy: Policy, env: Any, count: int) -> Episodes:
    """So many episodes of the policy, deterministic, from the start states of its evaluations."""
    worlds = env.batch(count)

    def step(state: Any, _: None) -> tuple[Any, tuple[Any, ...]]:
        obs = state.obs
        action = policy.agent.act(policy.arrays, obs, None)
        state, result = worlds.step(state, action)
        done = result.terminated | result.truncated | ~result.valid
        terminated = result.terminated & result.valid
        return state, (obs, result.next_obs, action, result.reward, terminated, done)

    def run(key: jax.Array) -> Any:
        return jax.lax.scan(step, worlds.reset(key), None, env.spec.episode_length)[1]

    key = start.eval_key(policy.config.seed)
    return Episodes(*(np.asarray(x) for x in jax.device_get(jax.jit(run)(key))))


def starts(episodes: Episodes, horizon: int) -> tuple[NDArray, NDArray]:
    """Times and worlds, evenly over those states that are followed by so many steps."""
    steps = len(episodes.done) - horizon
    if steps < 1:
        return np.zeros(0, int), np.zeros(0, int)
    ahead = np.stack([episodes.done[k : k + steps] for k in range(horizon)]).any(axis=0)
    places = np.argwhere(~ahead)
    chosen = places[np.linspace(0, len(places) - 1, min(_STARTS, len(places))).astype(int)]
    return chosen[:, 0], chosen[:, 1]


def _model(policy: Policy, episodes: Episodes) -> dict[str, Any]:
    """Errors of the model against the horizon, and imagined sums of rewards beside real ones."""
    outlook = policy.agent.outlook
    assert outlook is not None
    horizon = min(_HORIZON, len(episodes.done) - 1)
    t, world = starts(episodes, horizon)
    if outlook.follow is None or outlook.imagine is None or not len(t):
        return {}
    ahead = t + np.arange(horizon + 1)[:, None]
    obs, action = episodes.obs[ahead, world], episodes.action[ahead[:-1], world]
    reward = episodes.reward[ahead[:-1], world]
    followed = jax.device_get(jax.jit(outlook.follow)(policy.arrays, obs, action))
    apart = np.linalg.norm(followed.z - followed.encoded, axis=-1)[1:]
    still = np.linalg.norm(followed.encoded[:1] - followed.encoded, axis=-1)[1:]
    imagined = np.asarray(jax.jit(outlook.imagine)(policy.arrays, jnp.asarray(obs[0])))
    count = min(len(imagined), horizon)
    return {
        "latent": _means(apart),
        "latent_unchanged": _means(still),
        "reward": _means(np.abs(followed.reward - reward)),
        "reward_mean": _means(np.abs(episodes.reward.mean() - reward)),
        "sums": {
            "steps": count,
            "imagined": _listed(imagined[:count].sum(axis=0)),
            "real": _listed(reward[:count].sum(axis=0)),
        },
        "imagined": _means(np.cumsum(imagined[:count], axis=0)),
        "real": _means(np.cumsum(reward[:count], axis=0)),
    }


def _value(policy: Policy, episodes: Episodes) -> dict[str, Any]:
    """Values of the critics beside the discounted returns that followed.

    A return that was cut off by the time limit ends in the critics' value of the last state.
    """
    outlook = policy.agent.outlook
    assert outlook is not None
    values = jax.jit(outlook.value)
    shape = episodes.reward.shape
    flat = jnp.asarray(episodes.next_obs.reshape(-1, episodes.next_obs.shape[-1]))
    cut = np.asarray(values(policy.arrays, flat)).reshape(shape)
    returns, total, age = np.zeros(shape), cut[-1], np.zeros(shape, int)
    for i in reversed(range(len(returns))):
        after = np.where(episodes.done[i], cut[i], total)
        total = episodes.reward[i] + outlook.gamma * np.where(episodes.terminated[i], 0, after)
        returns[i] = total
    for i in range(1, len(age)):
        age[i] = np.where(episodes.done[i - 1], 0, age[i - 1] + 1)
    left = outlook.gamma ** (len(age) - age)
    t, world = np.nonzero(left <= max(_LEFT, left.min()))
    chosen = np.linspace(0, len(t) - 1, min(_POINTS, len(t))).astype(int)
    t, world = t[chosen], world[chosen]
    value = np.asarray(values(policy.arrays, jnp.asarray(episodes.obs[t, world])))
    return {"values": {"value": _listed(value), "real": _listed(returns[t, world])}}


def _means(values: NDArray) -> dict[str, list[float]]:
    """Means over start states of each row [H, K], with their 95 % intervals."""
    low, high = bootstrap.interval(lambda drawn: drawn.mean(axis=1), [values.T], resamples=500)
    return {"mean": _listed(values.mean(axis=1)), "low": _listed(low), "high": _listed(high)}


def _listed(values: NDArray) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
