"""Where an iteration's time goes: physics, task, policy, replay, updates, host.

The parts are programs of their own, on the states that training passes through, in turns with the
whole iteration. What they do not account for is said, too: the task's functions, resets and copies
are what collection takes beyond physics, policy and insert; the host's part is what a run's loop
(metrics, record, console) takes after an iteration is done, while the device waits.
"""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
from jaxtyping import Array
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.algos.pwm import learner
from mjxwm.bench import bare, simulation
from mjxwm.bench.record import Report, Series
from mjxwm.data import replay
from mjxwm.maths import ranges
from mjxwm.runs import compilation, devices
from mjxwm.runs import presets as configuration
from mjxwm.runs.build import Trainer, make_env
from mjxwm.runs.config import Config as TrainConfig
from mjxwm.runs.console import ConsoleLine
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.log import Log
from mjxwm.types import Metrics, Transition

_PARTS = ("physics", "policy", "insert", "task, resets, copies", "updates", "host")


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    preset: str = "pwm-hopper-cpu"
    """A preset of pwm."""
    worlds: int | None = None
    """Number of worlds, by default the preset's."""
    iterations: int = 4
    """Iterations in a turn."""
    samples: int = 5
    """Turns."""
    seed: int = 0
    """Seed of networks, worlds and actions."""


class _Bench:
    """A run's programs and the state that they work on."""

    def __init__(self, config: Config, run_config: TrainConfig, env: envs.Env):
        self.config, self.algo, self.env = run_config, run_config.algo, env
        self.batch = envs.BatchEnv(env, self.algo.worlds)
        self.algorithm = pwm.make(self.algo, env)
        compilation.try_kernels(self.algorithm.trial)  # as a run does
        self.programs = devices.programs(self.algorithm, "pwm", run_config.algo, devices.chosen(1))
        self.iterate = self.programs.iterate
        self.state = self.programs.init(seeds.key(config.seed))
        tx = learner.optimizers(self.algo)

        def collect(state: pwm.TrainState) -> tuple[pwm.TrainState, Metrics]:
            key, key_act = jax.random.split(state.key)
            return pwm.collect(self.algo, self.batch, state._replace(key=key), key_act)

        def update(state: pwm.TrainState) -> tuple[pwm.TrainState, Metrics]:
            key, key_update = jax.random.split(state.key)
            new, metrics = pwm.run_updates(self.algo, tx, state.learner, state.replay, key_update)
            return state._replace(learner=new, key=key), metrics

        def act(state: pwm.TrainState, noise: Array) -> tuple[pwm.TrainState, Metrics]:
            acting = learner.acting(self.algo, state.learner)

            def step(carry: Array, noise: Array) -> tuple[Array, Array]:
                # Each step waits for the one before, as it does in collection.
                action = learner.act(acting, state.worlds.obs + carry, noise)
                return 1e-30 * action.sum(), action

            last, _ = jax.lax.scan(step, jnp.zeros(()), noise)
            return state, {"last": last}

        def insert(state: pwm.TrainState, data: Any) -> tuple[pwm.TrainState, Metrics]:
            return state._replace(replay=replay.insert(state.replay, data)), {}

        self.collect, self.update, self.act, self.insert = (
            jax.jit(part, donate_argnums=0) for part in (collect, update, act, insert)
        )
        self.bare = bare.bare_simulator(env, self.algo.worlds)
        shape = (self.algo.unroll, self.algo.worlds)
        self.noise = jnp.zeros((*shape, env.action_size))
        obs, off = jnp.ones((*shape, env.spec.obs_size)), jnp.zeros(shape, bool)
        self.data = Transition(obs, self.noise, off * 1.0, off, off, ~off, obs)

    def timed(self, part: Callable[..., Any], *data: Any) -> float:
        """Seconds of one call, which takes the state on."""
        start = time.perf_counter()
        self.state, _ = jax.block_until_ready(part(self.state, *data))
        return time.perf_counter() - start

    def parts(self) -> dict[str, float]:
        """Seconds of each part of one iteration."""
        sim = jax.block_until_ready(jax.tree.map(jnp.copy, self.state.worlds.state.sim))
        collection = self.timed(self.collect)
        controls = simulation.last_controls(self.algo, self.env, self.state)
        seconds_of = {
            "collection": collection,
            "physics": self.bare(sim, controls),
            "policy": self.timed(self.act, self.noise),
            "insert": self.timed(self.insert, self.data),
            "updates": self.timed(self.update),
        }
        inside = seconds_of["physics"] + seconds_of["policy"] + seconds_of["insert"]
        return {**seconds_of, "task, resets, copies": max(0.0, collection - inside)}

    def back_to_back(self, iterations: int) -> float:
        """Seconds per iteration when nothing is done between them."""
        start = time.perf_counter()
        for _ in range(iterations):
            self.state, _ = self.iterate(self.state)
        jax.block_until_ready(self.state)
        return (time.perf_counter() - start) / iterations

    def looped(self, log: Log, iterations: int) -> tuple[float, float]:
        """Seconds per iteration as a run has it: metrics are fetched, recorded and shown; and how
        many of them go by in that, with the device idle."""
        start, host = time.perf_counter(), 0.0
        for number in range(1, iterations + 1):
            self.state, metrics = jax.block_until_ready(self.iterate(self.state))
            done = time.perf_counter()
            log.add(metrics)
            log.row(number)
            log.write(None)
            host += time.perf_counter() - done
        seconds = time.perf_counter() - start
        return seconds / iterations, host / iterations


def run(config: Config) -> Report:
    """Measures all parts in turns.

    Raises:
        ConfigError: a preset that is not of pwm, a foreign task, or a number out of range.
    """
    ranges.at_least(config, 1, "samples", "iterations")
    run_config = configuration.load_preset(TrainConfig, config.preset)
    if run_config.algorithm != "pwm":
        raise ConfigError(
            f"preset {config.preset!r} is of {run_config.algorithm}; bench train takes one of pwm"
        )
    if config.worlds:
        algo = dataclasses.replace(run_config.algo, worlds=config.worlds)
        rows = max(algo.horizon + 1, 2 * algo.unroll)
        algo = dataclasses.replace(algo, capacity=max(algo.capacity, config.worlds * rows))
        run_config = dataclasses.replace(run_config, algo=algo)
    env = make_env(run_config)
    if not isinstance(env, envs.Env):
        raise ConfigError(
            f"task {run_config.task!r} is foreign: its physics cannot be measured alone"
        )
    env = env.for_worlds(run_config.algo.worlds)
    bench = _Bench(config, run_config, env)
    with tempfile.TemporaryDirectory() as folder:
        times = _measured(config, bench, Path(folder))
    # A difference near zero, of which no quotients can be taken.
    derived = "task, resets, copies"
    series = [Series(k, "s per iteration", s) for k, s in times.items() if k != derived]
    return Report(_table(config, run_config, times), series, {"updates": run_config.algo.updates})


def _measured(config: Config, bench: _Bench, folder: Path) -> dict[str, list[float]]:
    run = RunFolder(folder)
    total = bench.algorithm.iterations
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        ConsoleLine(total, file=nowhere) as console,
    ):
        # A row in every iteration is the most that a run does; nothing is evaluated or saved.
        trainer = Trainer(bench.config, bench.env, bench.env, bench.algorithm, bench.programs, None)
        log = Log(trainer, [run], time.monotonic(), 0, False, console)
        bench.parts()
        bench.looped(log, 1)
        times: dict[str, list[float]] = {}
        for _ in range(config.samples):
            seconds_of = bench.parts()
            seconds_of["iteration"] = bench.back_to_back(config.iterations)
            seconds_of["iteration of a run"], seconds_of["host"] = bench.looped(
                log, config.iterations
            )
            for name, seconds in seconds_of.items():
                times.setdefault(name, []).append(seconds)
    return times


def _table(config: Config, run_config: TrainConfig, times: dict[str, list[float]]) -> str:
    whole = statistics.median(times["iteration of a run"])
    lines = [f"{'':24}{'ms':>10}{'share':>9}"]
    for name in (*_PARTS, "iteration of a run"):
        seconds = statistics.median(times[name])
        lines.append(f"{name:24}{1e3 * seconds:10.2f}{seconds / whole:9.1%}")
    steps = run_config.algo.steps_per_iteration
    lines.append(
        f"{config.preset}: {run_config.algo.worlds} worlds, {steps:,} env steps and "
        f"{run_config.algo.updates} updates an iteration, {steps / whole:,.0f} env steps/s; the "
        "parts are programs of their own and add up only roughly"
    )
    return "\n".join(lines)
