"""The suite's tasks are dm_control's: transitions, trajectories, start states.

By default on a few of them, with `-m slow` on all.
"""

import functools

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs.tasks.dm_control import EXACT
from scipy import stats
from suite_peer import NO_PEER, OWN, Peer

QUICK = ("cup-spin", "hopper-hop", "reacher-easy")
PEERS = [name for name in EXACT if name not in NO_PEER]
STATES, STEPS, RESETS = 50, 20, 10_000
TOLERANCE = 1e-5


def mostly_slow(names):
    return [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in names]


@functools.cache
def compiled(name: str):
    """(environment, place a world, step it)."""
    env = envs.make(name, engine="native")
    return env, jax.jit(env.place), jax.jit(env.step)


def close(ours, theirs) -> bool:
    """Equal to 1e-5, of its own size where that is above 1 (forces are of hundreds of newtons)."""
    return bool((np.abs(ours - theirs) <= TOLERANCE * np.maximum(1, np.abs(theirs))).all())


def wander(peer: Peer, rng: np.random.Generator) -> None:
    """Somewhere in an episode: up to forty random actions after a start."""
    peer.reset()
    for _ in range(rng.integers(40)):
        peer.step(peer.act(rng))


@pytest.mark.parametrize("name", mostly_slow(PEERS))
def test_fifty_transitions_have_dm_control_s_observations_and_rewards(name):
    env, place, step = compiled(name)
    rng, peer, rewards = np.random.default_rng(0), Peer(name), []
    for _ in range(STATES):
        wander(peer, rng)
        start = peer.state()
        before, state = peer.put(start), place(start)
        assert close(state.obs, before.obs)
        state = step(state, jnp.asarray(rng.uniform(-1, 1, env.action_size), jnp.float32))
        after = peer.step(np.asarray(state.sim.physics.ctrl))
        assert close(state.obs, after.obs)
        assert close(state.reward, after.reward)
        assert not state.terminated
        rewards.append(after.reward)
    assert 0 <= min(rewards) <= max(rewards) <= 1


@pytest.mark.parametrize("name", mostly_slow(PEERS))
def test_a_trajectory_of_twenty_steps_is_dm_control_s(name):
    env, place, step = compiled(name)
    rng, peer = np.random.default_rng(1), Peer(name, seed=1)
    peer.reset()
    start = peer.state()
    peer.put(start)
    state = place(start)
    for _ in range(STEPS):
        state = step(state, jnp.asarray(rng.uniform(-1, 1, env.action_size), jnp.float32))
        theirs = peer.step(np.asarray(state.sim.physics.ctrl))
        assert close(state.obs, theirs.obs)
        assert close(state.reward, theirs.reward)


BODIES = (
    *("acrobot-swingup", "cheetah-run", "cup-catch", "dog-run", "finger-spin", "finger-turn-easy"),
    *("fish-swim", "hopper-hop", "humanoid-run", "pendulum-swingup", "quadruped-run"),
    *("reacher-easy", "walker-run"),
)
"""One task for each way to start."""


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_start_states_have_dm_control_s_distribution(name):
    env, peer = envs.make(name, engine="native"), Peer(name)
    keys = jax.random.split(jax.random.key(0), RESETS)
    ours = flat(jax.vmap(env.task.initial)(keys), RESETS)
    theirs = []
    for _ in range(RESETS):
        peer.reset()
        theirs.append(flat(jax.tree.map(lambda x: np.asarray(x)[None], peer.state()), 1)[0])
    theirs = np.array(theirs)
    # Kolmogorov and Smirnov: the whole distribution of each coordinate, support and moments. Ours
    # are drawn from a store in some tasks; 2.5 leaves 7e-6 to chance.
    allowed = 2.5 * np.sqrt(1 / 4096 + 1 / RESETS)
    for a, b in zip(ours.T, theirs.T, strict=True):
        assert stats.ks_2samp(a, b).statistic < allowed
    # Which coordinates move together.
    correlations = [np.corrcoef(x[:, ours.std(axis=0) > 1e-4].T) for x in (ours, theirs)]
    assert np.abs(correlations[0] - correlations[1]).max() < 5 * allowed / 2.5


def flat(initial, n):
    leaves = [np.reshape(x, (n, -1)) for x in jax.tree.leaves(initial)]
    return np.concatenate(leaves, axis=1).astype(np.float32).round(4)  # heights are on a grid


def test_whirling_starts_in_the_cup_nine_times_out_of_ten():
    task = envs.make("cup-spin", engine="native").task
    _, place, _ = compiled("cup-spin")
    keys = jax.random.split(jax.random.key(0), 2000)
    starts = jax.vmap(task.initial)(keys)
    physics = jax.vmap(place)(starts).sim.physics
    outside = jax.vmap(task.reward, (0, None, 0))(physics, jnp.zeros(2), physics)[1]["outside"]
    share = 1 - float(outside.mean())
    # The few that start anywhere seldom do so in the cup.
    assert share == pytest.approx(0.9, abs=5 * np.sqrt(0.09 / 2000) + 0.01)


@pytest.mark.parametrize("name", ["cartpole-swingup", *EXACT])
def test_sizes_are_the_suite_s(name):
    sizes = {
        "acrobot": (6, 1),
        "cartpole": (5, 1),
        "cheetah": (17, 6),
        "cup": (8, 2),
        "dog": (223, 38),
        "finger-spin": (9, 2),
        "finger-turn": (12, 2),
        "fish-swim": (24, 5),
        "fish-upright": (21, 5),
        "hopper": (15, 4),
        "humanoid": (67, 21),
        "pendulum": (3, 1),
        "quadruped": (78, 12),
        "reacher-three": (8, 3),
        "reacher": (6, 2),
        "walker": (24, 6),
    }
    known = next(v for k, v in sizes.items() if name.startswith(k))
    spec = envs.make(name, engine="native").spec
    assert (spec.obs_size, spec.action_size, spec.episode_length) == (*known, 1000)


def test_action_repeat_two_is_tdmpc2_s_five_hundred_steps():
    spec = envs.make("walker-run", engine="native", action_repeat=2).spec
    assert (spec.episode_length, spec.ctrl_dt) == (500, 0.05)


def test_tdmpc2_s_thirty_nine_tasks_are_all_there():
    assert len(OWN) + len(NO_PEER) == 11
    own = {*OWN, *NO_PEER}
    extra = {"acrobot-swingup-sparse", "fish-upright"}
    assert len(set(EXACT) - own - extra) + len(own) + 4 == 39  # and the four cartpoles


def test_without_dm_control_the_remedy_is_named(monkeypatch):
    import importlib.util

    from mjxwm_envs.tasks.dm_control import suite

    suite._compiled.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"dm_control; run: pip install 'mjxwm\[suites\]'"):
        envs.make("pendulum-swingup", engine="native")
    suite._compiled.cache_clear()
