"""What a gradient through the simulator costs: implicit, against the forward rollout and a peer.

The functional is the sum of rewards of H control steps, its gradient that with respect to the
actions. Three compiled programs take turns in one process on the same worlds in contact: the
rollout alone, the gradient of this project's engine, and the gradient through a fixed number of
solver iterations unrolled by a scan (`mjxwm.bench.unrolled`).
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
from jaxtyping import Array, Float
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.bench.meter import compiling
from mjxwm.maths import ranges


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    task: str = "hopper"
    """Name of the task."""
    worlds: int = 64
    """Worlds that are differentiated at once."""
    steps: int = 32
    """Control steps H of the rollout."""
    iterations: int = 50
    """Solver iterations that the peer unrolls; 0 leaves the peer out."""
    warmup: int = 32
    """Control steps before, under random actions, so that worlds are in contact."""
    samples: int = 7
    """Turns of each program."""
    double: bool = False
    """float64 instead of float32."""
    seed: int = 0
    """Seed of worlds and actions."""


class Program(NamedTuple):
    """One of the programs."""

    name: str
    """rollout, implicit or unrolled."""
    seconds: list[float]
    """Seconds [s] of each turn."""
    compile_s: float
    """Seconds from tracing to machine code, no cache."""
    memory_mb: float | None
    """Temporary memory [MB] that the compiler reserves, where it says."""


class Row(NamedTuple):
    """One measurement."""

    task: str
    worlds: int
    steps: int
    physics_steps: int
    """Per control step."""
    iterations: int
    precision: str
    programs: list[Program]
    to_rollout: float
    """Median of the turns' quotients: gradient to rollout alone."""
    to_unrolled: float | None
    """Median of the turns' quotients: unrolled to implicit, how many times faster this is."""
    cosine: float | None
    """Least cosine over the worlds between the two gradients, of those that have two."""
    nonfinite: dict[str, int]
    """Worlds whose gradient is not finite."""


def run(config: Config) -> Row:
    """Compiles the programs and lets them take turns.

    Raises:
        ConfigError: the task is unknown, has no gradient, or a number is out of range.
    """
    ranges.at_least(config, 1, "worlds", "steps", "samples")
    ranges.at_least(config, 0, "iterations", "warmup")
    with jax.enable_x64(config.double):
        try:
            return measure(config, envs.make_task(config.task, "mjx"))
        except ValueError as error:
            raise ConfigError(str(error)) from error


def measure(config: Config, env: envs.Env) -> Row:
    """Compiles and measures in `env`, in the precision that JAX is set to.

    Raises:
        ValueError: the engine has no gradient, or the peer lacks something.
    """
    functions = _functions(config, env)
    state, actions = _start(config, env)
    programs, compile_s = {}, {}
    for name, function in functions.items():
        programs[name], compile_s[name] = _compile(function, state, actions)
    outputs = {name: jax.block_until_ready(p(state, actions)) for name, p in programs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(config.samples):
        for name, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(state, actions))
            seconds[name].append(time.perf_counter() - start)
    return _row(config, env, programs, seconds, compile_s, outputs)


def table(row: Row) -> str:
    """The row as text."""
    lines = [
        f"{row.task}: {row.worlds} worlds, {row.steps} control steps of {row.physics_steps} "
        f"physics steps, {row.precision}",
        f"{'program':12}{'seconds':>10}{'least..most':>18}{'compile':>11}{'memory':>12}",
    ]
    for p in row.programs:
        spread = f"{min(p.seconds):.3f}..{max(p.seconds):.3f}"
        memory = "unknown" if p.memory_mb is None else f"{p.memory_mb:,.1f} MB"
        lines.append(
            f"{p.name:12}{statistics.median(p.seconds):10.3f}{spread:>18}"
            f"{p.compile_s:9.1f} s{memory:>12}"
        )
    lines.append(f"gradient to rollout alone: {row.to_rollout:.2f}")
    if row.to_unrolled is not None:
        lines.append(
            f"{row.iterations} iterations unrolled to implicit: {row.to_unrolled:.1f} "
            f"({_cosine(row.cosine)})"
        )
    lost = {name: n for name, n in row.nonfinite.items() if n}
    return "\n".join(lines + ([f"worlds without a finite gradient: {lost}"] if lost else []))


Function = Callable[[envs.State, Float[Array, "B T a"]], Any]


def _functions(config: Config, env: envs.Env) -> dict[str, Function]:
    engine = env.engine
    from mjxwm_envs.engines.mjx import Mjx  # seconds to load

    assert isinstance(engine, Mjx)
    if not engine.differentiable:
        raise ValueError(f"task={env.name!r}: {engine.obstacle}")

    def total(env: envs.Env) -> Function:
        def one(state: envs.State, actions: Array) -> Array:
            def step(state: envs.State, action: Array) -> tuple[envs.State, Array]:
                state = env.step(state, action)
                return state, state.reward

            return jax.lax.scan(step, state, actions)[1].sum()

        return one

    def batched(function: Function) -> Function:
        return jax.jit(jax.vmap(function))

    functions = {
        "rollout": batched(total(env)),
        "implicit": batched(jax.grad(total(env), argnums=1)),
    }
    if config.iterations:
        from mjxwm.bench.unrolled import Unrolled

        peer = Unrolled(engine.model, engine.n_substeps, engine.derived, config.iterations)
        peer_env = dataclasses.replace(env, engine=peer)
        functions["unrolled"] = batched(jax.grad(total(peer_env), argnums=1))
    return functions


def _compile(function: Function, *arguments: Any) -> tuple[Any, float]:
    with compiling.no_cache():
        start = time.perf_counter()
        program = function.lower(*arguments).compile()  # type: ignore[attr-defined]
        return program, time.perf_counter() - start


def _row(
    config: Config,
    env: envs.Env,
    programs: dict[str, Any],
    seconds: dict[str, list[float]],
    compile_s: dict[str, float],
    outputs: dict[str, Array],
) -> Row:
    flat = {name: g.reshape(config.worlds, -1) for name, g in outputs.items() if g.ndim > 1}
    peer = "unrolled" in programs
    return Row(
        task=env.name,
        worlds=config.worlds,
        steps=config.steps,
        physics_steps=env.spec.n_substeps,
        iterations=config.iterations,
        precision="float64" if jax.config.read("jax_enable_x64") else "float32",
        programs=[Program(n, seconds[n], compile_s[n], _memory(p)) for n, p in programs.items()],
        to_rollout=_quotient(seconds["implicit"], seconds["rollout"]),
        to_unrolled=_quotient(seconds["unrolled"], seconds["implicit"]) if peer else None,
        cosine=_least_cosine(flat["implicit"], flat["unrolled"]) if peer else None,
        nonfinite={n: int((~jnp.isfinite(g)).any(1).sum()) for n, g in flat.items()},
    )


def _start(config: Config, env: envs.Env) -> tuple[envs.State, Array]:
    """Worlds after `warmup` random control steps, and actions [B, T, a] for those that follow."""
    key_reset, key_warm, key = jax.random.split(seeds.key(config.seed), 3)
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(key_reset, config.worlds))

    def actions(key: Array, steps: int) -> Array:
        return jax.random.uniform(key, (config.worlds, steps, env.action_size)) - 0.5

    def warm(state: envs.State, actions: Array) -> envs.State:
        return jax.lax.scan(lambda s, a: (env.step(s, a), None), state, actions)[0]

    if config.warmup:
        state = jax.jit(jax.vmap(warm))(state, actions(key_warm, config.warmup))
    return jax.block_until_ready((state, actions(key, config.steps)))


def _quotient(one: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _least_cosine(one: Float[Array, "B n"], other: Float[Array, "B n"]) -> float | None:
    """Smallest cosine over the worlds; None if none has two finite gradients other than zero."""
    norms = jnp.linalg.norm(one, axis=1) * jnp.linalg.norm(other, axis=1)
    defined = jnp.isfinite(norms) & (norms > 0)
    cosines = ((one * other).sum(1) / norms)[defined]
    return float(cosines.min()) if defined.any() else None


def _cosine(least: float | None) -> str:
    if least is None:
        return "no world has two finite gradients that are not zero"
    return f"least cosine of the two gradients {least:.6f}"


def _memory(program: Any) -> float | None:
    analysis = program.memory_analysis()
    return None if analysis is None else analysis.temp_size_in_bytes / 1e6
