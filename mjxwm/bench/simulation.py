"""Collection as in training against the bare simulator: what do policy, task and replay cost?

A sample is a pair, measured in turns of one unroll each: the compiled program that training runs
(policy, engine, rewards, resets, replay insert) and the simulator alone, which starts from the very
states that the program started from and is given the very controls that the policy chose. So both
sides see the same contacts, but for worlds that end: the program resets them, while the bare
simulator steps on to the end of the unroll. Other load on the machine hits both sides of a pair.
"""

import contextlib
import dataclasses
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco.batch
import numpy as np
from jaxtyping import Array
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.bench.bare import bare_simulator
from mjxwm.bench.record import Series
from mjxwm.maths import ranges
from mjxwm.types import Metrics


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    engine: tuple[str, ...] = ("auto",)
    """Engines: native, mjx, warp, or auto for the fastest here."""
    task: str = "hopper"
    """Name of the task."""
    worlds: tuple[int, ...] = (1024,)
    """Numbers of worlds."""
    preset: str = "pwm-hopper-cpu"
    """The preset whose networks act and whose replay is filled."""
    act_in: Literal["float32", "bfloat16"] | None = None
    """Type of the policy's matrix products; by default the preset's."""
    steps: int = 32
    """Control steps per world in a sample, rounded up to whole unrolls of the preset."""
    samples: int = 7
    """Samples, each a pair of collection and bare simulator."""
    warmup: int = 64
    """Control steps per world before the first sample, so that episodes are of all ages."""
    seed: int = 0
    """Seed of networks, worlds and actions."""


class Row(NamedTuple):
    """One measurement; rates are medians over the samples."""

    engine: str
    task: str
    worlds: int
    physics_steps_per_s: float
    """Rate of collection, all worlds together."""
    bare_physics_steps_per_s: float
    """Rate of the simulator alone."""
    ratio: float
    """Median of the samples' quotients, collection to bare."""
    control_steps_per_s: float
    """Rate at which transitions reach the replay."""
    samples: list[list[float]]
    """Seconds of each sample: [collection, bare]."""
    threads: int
    """CPU threads of the native engine, 0 for the others."""
    device: str
    """Where the policy is computed."""
    compile_s: float = 0.0
    """Seconds to compile the program of collection; less where it was cached."""
    memory: int = 0
    """Bytes on the device: state, networks, replay and the program's temporaries, as XLA counts
    them. What an engine keeps itself (MuJoCo, Warp) is not among them."""
    captures: int = 0
    """CUDA graphs that Warp captured while the samples were taken: none if buffers stay."""


def run(config: Config, algo: pwm.Config) -> list[Row]:
    """Measures every engine with every number of worlds.

    Args:
        config: what to measure.
        algo: networks, unroll and replay; its number of worlds is replaced.

    Raises:
        ConfigError: a task or engine is unknown or a number out of range.
    """
    ranges.some(config, "engine", "worlds")
    numbers = {"steps": config.steps, "samples": config.samples, "worlds": min(config.worlds)}
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{name}={value} is out of range; it must be at least 1")
    try:
        return [
            measure(config, algo, envs.make_task(config.task, engine), worlds)
            for engine in config.engine
            for worlds in config.worlds
        ]
    except ValueError as error:
        raise ConfigError(str(error)) from error


def measure(config: Config, algo: pwm.Config, env: envs.Env, worlds: int) -> Row:
    """One row: collection in `worlds` worlds of `env` against its engine alone."""
    algo = _sized(algo, worlds)
    env = env.for_worlds(worlds)
    init = jax.jit(pwm.make(algo, env).init)
    state = init(seeds.key(config.seed))
    start = time.perf_counter()
    program = _collection(algo, env).lower(state).compile()
    compile_s = time.perf_counter() - start
    bare = bare_simulator(env, worlds)

    def pair() -> tuple[float, float]:
        nonlocal state
        # The program consumes its state: keep what the bare simulator starts from.
        sim = jax.block_until_ready(jax.tree.map(jnp.copy, state.worlds.state.sim))
        start = time.perf_counter()
        state, _ = jax.block_until_ready(program(state))
        seconds = time.perf_counter() - start
        return seconds, bare(sim, last_controls(algo, env, state))

    for _ in range(max(1, -(-config.warmup // algo.unroll))):
        pair()
    turns, samples = -(-config.steps // algo.unroll), []
    with _captures() as captured:
        for _ in range(config.samples):
            total = np.zeros(2)
            for _ in range(turns):
                total += pair()
            samples.append(total.tolist())
    return _row(config, env, worlds, samples, turns * algo.unroll)._replace(
        compile_s=compile_s, memory=held(program.memory_analysis()), captures=len(captured)
    )


def held(analysis: Any) -> int:
    """Bytes that a compiled program's arguments, results and temporaries take together."""
    sizes = (analysis.argument_size_in_bytes, analysis.output_size_in_bytes)
    return sum(sizes) + analysis.temp_size_in_bytes - analysis.alias_size_in_bytes


@contextlib.contextmanager
def _captures() -> Iterator[list[Any]]:
    """Collects the CUDA graphs that Warp captures meanwhile, if it is in use."""
    captures: list[Any] = []
    warp: Any = sys.modules.get("warp")
    if warp is None:
        yield captures
        return
    original = warp.ScopedCapture

    def counted(*args: Any, **kwargs: Any) -> Any:
        captures.append(original(*args, **kwargs))
        return captures[-1]

    warp.ScopedCapture = counted
    try:
        yield captures
    finally:
        warp.ScopedCapture = original


def series(rows: list[Row]) -> list[Series]:
    """What later measurements are compared with."""
    all_series = []
    for row in rows:
        name = f"{row.engine} {row.task} {row.worlds} worlds"
        quotients = [bare / collection for collection, bare in row.samples]
        steps = row.control_steps_per_s * statistics.median(c for c, _ in row.samples)
        rates = [steps / collection for collection, _ in row.samples]
        all_series.append(Series(f"{name}, collection : bare", "", quotients, True))
        all_series.append(Series(f"{name}, collection", "env steps/s", rates, True))
    return all_series


def table(rows: list[Row]) -> str:
    """The rows as text."""
    head = f"{'engine':8}{'task':18}{'worlds':>7}{'collection':>12}{'bare':>12}{'ratio':>7}"
    lines = [f"{head}  {'least..most':13}{'env steps/s':>12}{'compile':>9}{'memory':>10}"]
    for row in rows:
        ratios = [bare / collection for collection, bare in row.samples]
        lines.append(
            f"{row.engine:8}{row.task:18}{row.worlds:7}{row.physics_steps_per_s:12,.0f}"
            f"{row.bare_physics_steps_per_s:12,.0f}{row.ratio:7.2f}  "
            f"{f'{min(ratios):.2f}..{max(ratios):.2f}':13}{row.control_steps_per_s:12,.0f}"
            f"{row.compile_s:7.1f} s{row.memory / 1e6:7.0f} MB"
        )
    where = ", ".join(sorted({row.device for row in rows}))
    captures = {row.worlds: row.captures for row in rows if row.captures}
    if captures:
        lines.append(f"CUDA graphs captured again, by worlds: {captures}")
    lines.append(
        f"collection and bare in physics steps/s; policy on {where}; native engine on "
        f"{max((row.threads for row in rows), default=0)} threads"
    )
    return "\n".join(lines)


def _sized(algo: pwm.Config, worlds: int) -> pwm.Config:
    rows = max(algo.horizon + 1, 2 * algo.unroll)
    return dataclasses.replace(algo, worlds=worlds, capacity=max(algo.capacity, worlds * rows))


def _collection(algo: pwm.Config, env: envs.Env) -> Any:
    batch_env = envs.BatchEnv(env, algo.worlds)

    def collect(state: pwm.TrainState) -> tuple[pwm.TrainState, Metrics]:
        key, key_act = jax.random.split(state.key)
        return pwm.collect(algo, batch_env, state._replace(key=key), key_act)

    return jax.jit(collect, donate_argnums=0)


def last_controls(algo: pwm.Config, env: envs.Env, state: pwm.TrainState) -> Array:
    """The controls [T, B, nu] of the unroll that was inserted last."""
    kept = state.replay
    steps = (kept.head - algo.unroll + jnp.arange(algo.unroll)) % kept.capacity
    actions = jnp.clip(kept.at(steps)[0].action, -1, 1)
    return jax.block_until_ready(env.to_ctrl(actions))


def _threads(engine: Any, worlds: int) -> int:
    return mujoco.batch.Batch(engine.model, worlds, engine.threads).nthread


def _row(
    config: Config,
    env: envs.Env,
    worlds: int,
    samples: list[list[float]],
    steps: int,
) -> Row:
    rates = [[worlds * steps / seconds for seconds in sample] for sample in samples]
    collection, bare = (statistics.median(column) for column in zip(*rates, strict=True))
    return Row(
        engine=env.engine.name,
        task=config.task,
        worlds=worlds,
        physics_steps_per_s=collection * env.spec.n_substeps,
        bare_physics_steps_per_s=bare * env.spec.n_substeps,
        ratio=statistics.median(bare / collection for collection, bare in samples),
        control_steps_per_s=collection,
        samples=samples,
        threads=_threads(env.engine, worlds) if env.engine.name == "native" else 0,
        device=jax.devices()[0].device_kind,
    )
