"""How far our MyoSuite tasks are from MyoSuite's own, measured; run as a program it prints a table.

python tests/envs/myosuite_parity.py [task ...]
"""

import sys
import time
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import myosuite_peer as mp
import numpy as np
from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.env import Env
from scipy.stats import ks_2samp


class Agreement(NamedTuple):
    """Of a number of states or steps."""

    obs: float
    """The largest |ours - theirs| / (1 + |theirs| / 10)."""
    reward: float
    """The same of rewards and each of their terms."""
    flags: int
    """How often success or end differ."""
    solved: int
    """How many of the states are solved."""
    ended: int
    """How many end the episode."""


def of_states(name: str, number: int) -> Agreement:
    """Random states, set on both sides."""
    env = envs.make(name, engine="native")
    physics, fields = states(env, number)
    ours = jax.device_get(jax.jit(jax.vmap(lambda p: _say(env, p)))(physics))
    physics, worst = jax.device_get(physics), Agreement(0, 0, 0, 0, 0)
    with mp.peer(name) as there:
        for i in range(number):
            mp.put(there, env, _at(physics, i), _at(fields, i))
            worst = _worse(worst, _at(ours, i), mp.outcome(there))
    return worst


def of_steps(name: str, number: int) -> Agreement:
    """One episode under the same random actions."""
    env = envs.make(name, engine="native")
    state, step = jax.jit(env.reset)(jax.random.key(3)), jax.jit(env.step)
    actions = np.random.default_rng(0).uniform(-1, 1, (number, env.action_size)).astype(np.float32)
    worst = Agreement(0, 0, 0, 0, 0)
    with mp.peer(name) as there:
        mp.put(there, env, *jax.device_get((state.sim.physics, state.sim.fields)))
        for action in actions:
            state = step(state, jnp.asarray(action))
            # MyoLegs takes excitations from 0 to 1.
            there.step((action + 1) / 2 if "leg" in name else action)
            ours = (state.obs, state.reward, state.terms, state.success, state.terminated)
            worst = _worse(worst, jax.device_get(ours), mp.outcome(there))
    return worst


def of_starts(name: str, number: int) -> tuple[float, float, int]:
    """Start distributions, coordinate by coordinate.

    Returns:
        The largest difference of coordinates that never vary; the least probability, times their
        number, that one that does is from the same distribution (Kolmogorov-Smirnov); their number.
    """
    env = envs.make(name, engine="native")
    state = jax.vmap(env.reset)(jax.random.split(jax.random.key(5), 4 * number))
    ours = [state.obs, state.sim.physics.qpos]
    if "hold" in name:
        size = state.sim.fields.get("geom_size")
        constant = np.tile(env.engine.model.geom_size[-1], (4 * number, 1))
        ours.append(constant if size is None else size[:, -1])
    mine = np.concatenate(ours, axis=1)
    with mp.peer(name) as there:
        theirs = np.stack([mp.start(there, seed) for seed in range(number)])
    varies = (np.ptp(theirs, axis=0) > 1e-5) | (np.ptp(mine, axis=0) > 1e-5)
    still = np.abs(mine - theirs[0])[:, ~varies].max()
    p = [ks_2samp(a, b).pvalue for a, b in zip(mine.T[varies], theirs.T[varies], strict=True)]
    return float(still), min([1.0, *(x * len(p) for x in p)]), len(p)


def _say(env: Env, physics: Physics) -> tuple:
    task = env.task
    reward, terms = task.reward(physics, jnp.zeros(env.action_size), physics)
    solved, ended = task.success(physics), task.terminated(physics)
    return task.observe(physics), reward, terms, solved, ended


def _at(tree: object, i: int) -> tuple:
    return jax.tree.map(lambda x: x[i], tree)


def _worse(worst: Agreement, ours: tuple, theirs: mp.Outcome) -> Agreement:
    obs, reward, terms, solved, ended = ours
    assert set(terms) == set(theirs.terms), (set(terms), set(theirs.terms))
    rewards = [(reward, theirs.reward), *((terms[k], x) for k, x in theirs.terms.items())]
    differ = (bool(solved) != theirs.success) + (bool(ended) != theirs.terminated)
    return Agreement(
        max(worst.obs, _off(obs, theirs.obs)),
        max(worst.reward, *(_off(a, b) for a, b in rewards)),
        worst.flags + differ,
        worst.solved + theirs.success,
        worst.ended + theirs.terminated,
    )


def _off(ours: np.ndarray, theirs: np.ndarray) -> float:
    # float32 has seven digits: muscle forces and rewards of a hundred cannot agree to 1e-5.
    return float((np.abs(ours - theirs) / (1 + np.abs(theirs) / 10)).max())


def states(env: Env, number: int) -> tuple[Physics, dict[str, np.ndarray]]:
    """Random states of `number` worlds: some near the start and the goal, some far.

    Returns:
        The worlds as `env.engine` resets them, at random times, and the fields of their models.
    """
    key = jax.random.split(jax.random.key(7), 6)
    model, task = env.engine.model, env.task
    start = jax.vmap(task.initial)(jax.random.split(key[0], number))
    spread = jnp.geomspace(1e-3, 1, number)[:, None]
    dtype = start.qpos.dtype
    qvel = start.qvel + jax.random.normal(key[1], (number, model.nv), dtype)
    act = jax.random.uniform(key[2], (number, model.na), dtype)
    step = spread * jax.random.uniform(key[3], (number, model.nv), dtype, -1, 1) * _reach_of(env)
    odd = np.arange(number) % 2 == 1
    qpos = np.array(start.qpos, dtype=np.float64)
    for row, delta in zip(qpos, np.asarray(step, np.float64), strict=True):
        mujoco.mj_integratePos(model, row, delta, 1.0)
    if "pen" in env.name:  # turned upright, which is the fixed goal
        qpos[odd, -2] -= 1.27
    start = Initial(jnp.asarray(qpos, dtype), qvel, act, start.goal, start.fields)
    physics = jax.vmap(env.engine.reset)(start).physics
    fields = {k: np.array(x) for k, x in start.fields.items()}
    if not isinstance(start.goal, tuple) and "pen" not in env.name:
        reached = _reached(env, physics)
        near = reached + 0.3 * spread * jax.random.normal(key[4], reached.shape, dtype)
        physics = physics._replace(goal=jnp.where(odd[:, None], near, start.goal))
    steps = jax.random.randint(key[5], (number,), 0, 130)
    time = jnp.where(jnp.arange(number) % 3 == 0, jnp.arange(number) // 3 % 4, steps)
    return physics._replace(time=time * task.ctrl_dt), fields


def _reach_of(env: Env) -> np.ndarray:
    """How far a coordinate is moved at most, so that some states are solved and some failed."""
    reach = np.ones(env.engine.model.nv)
    if "hold" in env.name or "pen" in env.name:
        reach[-6:-3] = 0.5  # [m]
    elif "key" in env.name:
        reach[-1] = 20
    elif "leg" in env.name:
        reach[3:6] = 3
    return reach


def _reached(env: Env, physics: Physics) -> jax.Array:
    if "pose" in env.name:
        return physics.qpos
    return physics.derived["sensordata"]


def speed(name: str, worlds: int = 64, steps: int = 50) -> tuple[float, float]:
    """Control steps of `worlds` worlds on C MuJoCo, random actions, resets included.

    Returns:
        Per second, and per second of one core: the latter hardly depends on what else runs.
    """
    batch = envs.BatchEnv(envs.make(name, engine="native"), worlds)
    size = (steps, worlds, batch.env.action_size)

    @jax.jit
    def run(state: envs.Worlds, key: jax.Array) -> envs.Worlds:
        actions = jax.random.uniform(key, size, minval=-1, maxval=1)
        return jax.lax.scan(lambda w, a: (batch.step(w, a)[0], None), state, actions)[0]

    state, times = run(batch.reset(jax.random.key(0)), jax.random.key(1)), []
    for i in range(3):
        jax.block_until_ready(state.obs)
        wall, cores = time.perf_counter(), time.process_time()
        state = run(state, jax.random.key(2 + i))
        jax.block_until_ready(state.obs)
        times.append((time.perf_counter() - wall, time.process_time() - cores))
    wall, cores = np.median(times, axis=0)
    return steps * worlds / wall, steps * worlds / cores


def main() -> None:
    """Prints the tables of docs/results/myosuite-parity.md."""
    warnings.simplefilter("ignore")
    names = [a for a in sys.argv[1:] if a != "--speed"] or list(mp.PEERS)
    if "--speed" in sys.argv:
        print("| task | control steps/s | per core |\n|---|---|---|")
        for name in names:
            wall, cores = speed(name)
            print(f"| {name} | {wall:.0f} | {cores:.0f} |", flush=True)
        return
    print("| task | states: obs | reward | solved, ended | 15 steps: obs | reward ", end="")
    print("| start: constants | p |\n|---|---|---|---|---|---|---|---|")
    for name in names:
        a, b, (still, p, varying) = of_states(name, 50), of_steps(name, 15), of_starts(name, 200)
        assert a.flags == b.flags == 0, name
        print(f"| {name} | {a.obs:.0e} | {a.reward:.0e} | {a.solved}, {a.ended} ", end="")
        start = f"{p:.2f} ({varying})" if varying else "none vary"
        print(f"| {b.obs:.0e} | {b.reward:.0e} | {still:.0e} | {start} |", flush=True)


if __name__ == "__main__":
    main()
