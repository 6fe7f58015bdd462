"""A preset's programs compiled for a GPU: their kernels, estimated time, memory, time to compile.

No GPU is needed (`compiling`). Where one is, the same programs are measured beside the estimate.
"""

import collections
import dataclasses
import time
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import mjxwm_envs as envs
from mjxwm_envs import engines, seeds

from mjxwm import ConfigError
from mjxwm.bench import simulation
from mjxwm.bench.meter import compiling, kernels, pallas, pricing, programs, warp_kernels
from mjxwm.bench.meter.gpus import GPUS, Gpu
from mjxwm.bench.meter.report import SHARE, Fits, Row, line, series, summary
from mjxwm.bench.record import Report
from mjxwm.maths import platform, ranges
from mjxwm.runs import memory, together
from mjxwm.runs import presets as configuration
from mjxwm.runs.build import make_algorithm, make_env
from mjxwm.runs.config import Config as TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """What is compiled, and for what."""

    preset: str = "pwm-hopper-paper"
    """A preset of pwm, tdmpc2 or shac."""
    programs: tuple[str, ...] = ()
    """Which of its programs, such as "model update"; by default all. The iteration takes longest
    to compile, minutes."""
    gpu: Literal["h100", "a100", "rtx4090"] = "h100"
    """The GPU."""
    task: str | None = None
    """Another task than the preset's."""
    engine: str | None = None
    """The engine; by default the preset's, and warp where that is auto."""
    worlds: int | None = None
    """Number of worlds, by default the preset's."""
    batch: int | None = None
    """Windows of a batch and rollouts imagined at once, by default the preset's."""
    seeds: int = 1
    """Seeds in one program, each with so many worlds, as `mjxwm train --seeds` trains them."""
    rows: int = 0
    """Kernels to list for each program, those that take most time first."""
    samples: int = 5
    """Turns that are measured, where a GPU is here."""
    seed: int = 0
    """Seed of what is measured."""


class _Subject(NamedTuple):
    """What is compiled."""

    config: TrainConfig
    env: Any
    algorithm: Any
    programs: dict[str, programs.Program]
    state: Any
    """The shapes of the algorithm's state, or of that of several seeds."""
    seeds: int


def run(config: Config, say: Callable[[str], None]) -> Report:
    """Compiles the programs one after the other, and measures them where a GPU is here.

    Raises:
        ConfigError: the extra is missing, a program is unknown, a number is out of range.
    """
    ranges.at_least(config, 1, "samples", "seeds")
    compiling.check_installed()
    compiling.leave_out_gpus_that_are_not_here()
    gpu = GPUS[config.gpu]
    with platform.compiling_for_gpu(gpu.capability):
        subject = _subject(config)
        chosen = _chosen(config.programs, subject.programs)
        say(f"{config.preset} for an {gpu.name}, {_sizes(subject)}")
        state = _state_here(config, subject)
        rows = []
        for name in chosen:
            rows.append(_row(config, gpu, subject, name, state))
            say(line(rows[-1], config.rows))
    room = fits(gpu, subject, rows)
    return Report(summary(rows, room, gpu), series(rows), _details(gpu, subject, rows, room))


def _subject(config: Config) -> _Subject:
    preset = configuration.load_preset(TrainConfig, config.preset)
    engine = config.engine or ("warp" if preset.engine == "auto" else preset.engine)
    subject = dataclasses.replace(
        preset, engine=engine, task=config.task or preset.task, algo=_sized(preset.algo, config)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an engine that is not meant to run here
        env = make_env(subject)
    if isinstance(env, envs.Env):
        env = env.for_worlds(subject.algo.worlds * config.seeds)
    algorithm = make_algorithm(subject, env)
    parts = programs.of(subject, algorithm, env)
    if config.seeds > 1:
        algorithm = together.of_seeds(algorithm)
        parts = {name: programs.of_seeds(part) for name, part in parts.items()}
    state = jax.eval_shape(algorithm.init, _keys(0, config.seeds))
    return _Subject(subject, env, algorithm, parts, state, config.seeds)


def _keys(seed: int, number: int) -> jax.Array:
    return seeds.key(seed) if number == 1 else jax.random.split(seeds.key(seed), number)


def _sized(algo: Any, config: Config) -> Any:
    changes: dict[str, Any] = {}
    if config.worlds:
        changes["worlds"] = config.worlds
        if hasattr(algo, "capacity"):  # a replay holds what is collected before the first update
            least = config.worlds * max(algo.horizon + 1, (algo.warmup + 1) * algo.unroll)
            changes["capacity"] = max(algo.capacity, least)
    if config.batch:
        names = [name for name in ("batch", "imagine_batch") if hasattr(algo, name)]
        if not names:
            raise ConfigError(f"batch={config.batch}: this algorithm has no batch of windows")
        changes |= dict.fromkeys(names, config.batch)
    return dataclasses.replace(algo, **changes)


def _chosen(names: tuple[str, ...], available: dict[str, programs.Program]) -> list[str]:
    for name in names:
        if name not in available:
            raise ConfigError(f"program {name!r} is unknown; there are: {', '.join(available)}")
    return list(names or available)


def _sizes(subject: _Subject) -> str:
    config = subject.config
    batch = getattr(config.algo, "batch", None)
    windows = f", batches of {batch}" if batch else ""
    each = f", each of {subject.seeds} seeds" if subject.seeds > 1 else ""
    return f"{config.task} on {config.engine}, {config.algo.worlds} worlds{windows}{each}"


def _row(config: Config, gpu: Gpu, subject: _Subject, name: str, state: Any) -> Row:
    program = subject.programs[name]
    shapes = jax.eval_shape(program.args, subject.state)
    done = compiling.compile_for(gpu, program.function, *shapes)
    counted = kernels.of(done.text)
    counted = _with_warp(counted, program, subject)
    counted = kernels.with_pallas(counted, _in_pallas(counted, program.function, shapes))
    held = simulation.held(done.memory)
    return Row(
        name=name,
        runs=program.runs,
        kernels=counted.count,
        kinds=counted.by_kind(),
        open_loops=counted.open_loops,
        moved=counted.moved,
        flops=counted.flops,
        seconds=pricing.seconds(gpu, counted),
        state=held - done.memory.temp_size_in_bytes,
        temporary=done.memory.temp_size_in_bytes,
        compile_s=done.seconds,
        measured=[] if state is None else measure(program, state, config.samples),
        slowest=_slowest(gpu, counted, config.rows),
    )


def _with_warp(
    counted: kernels.Kernels, program: programs.Program, subject: _Subject
) -> kernels.Kernels:
    if not any(kernel.kind == kernels.CALL for kernel in counted.runs):
        return counted
    started = program.control_steps * warp_kernels.in_control_step(subject.env)
    held = subject.config.algo.worlds * _in_warp(subject)
    return kernels.with_warp(counted, started, held)


def _in_pallas(counted: kernels.Kernels, function: Callable, shapes: Any) -> dict[Any, Any]:
    """Work within Pallas' kernels, which the program's text does not show."""
    if not any(kernel.kind == kernels.PALLAS for kernel in counted.runs):
        return {}
    return pallas.works(function, *shapes)


def _slowest(gpu: Gpu, counted: kernels.Kernels, rows: int) -> list[tuple[str, str, int, float]]:
    times: dict[tuple[str, str], float] = collections.defaultdict(float)
    runs: collections.Counter[tuple[str, str]] = collections.Counter()
    for kernel, n in counted.runs.items():
        runs[kernel.name, kernel.kind] += n
        times[kernel.name, kernel.kind] += n * pricing.of_kernel(gpu, kernel)
    longest = sorted(times, key=lambda key: -times[key])[:rows]
    return [(*key, runs[key], times[key]) for key in longest]


def _state_here(config: Config, subject: _Subject) -> Any:
    """A first state, to run the programs on; None without a GPU."""
    if not engines.has_nvidia():
        return None
    return jax.block_until_ready(subject.algorithm.init(_keys(config.seed, config.seeds)))


def measure(program: programs.Program, state: Any, samples: int) -> list[float]:
    """Seconds of a run, by turn, each of as many runs as make up a tenth of a second."""
    function = jax.jit(program.function, donate_argnums=0)
    # The program consumes its first argument, and the state is needed by the next one, too.
    first, *others = jax.tree.map(jax.numpy.copy, program.args(state))
    first, _ = jax.block_until_ready(function(first, *others))
    times: list[float] = []
    number = 1
    for turn in range(samples + 1):
        start = time.perf_counter()
        for _ in range(number):
            first, _ = function(first, *others)
        jax.block_until_ready(first)
        seconds = (time.perf_counter() - start) / number
        if turn:
            times.append(seconds)
        number = max(1, round(0.1 / seconds))
    return times


def fits(gpu: Gpu, subject: _Subject, rows: list[Row]) -> Fits:
    """How many worlds, and how large a batch, the GPU's memory has room for.

    The state's size follows from its shapes, for any number of worlds; temporary memory is taken
    to grow in proportion.
    """
    room, algo = SHARE * gpu.memory, subject.config.algo
    whole = memory.size(subject.state)
    temporary = dict.fromkeys(("worlds", "batch"), 0)
    for row in rows:
        kind = subject.programs[row.name].grows_with
        if kind in temporary:
            temporary[kind] = max(temporary[kind], row.temporary)
    worlds = batch = None
    if temporary["worlds"]:
        worlds = _most_worlds(subject, room, temporary["worlds"] / algo.worlds, temporary["batch"])
    if temporary["batch"]:
        batch = max(0, int((room - whole) / temporary["batch"] * algo.batch))
    of_world = _in_warp(subject)
    if worlds is not None and of_world:
        worlds = min(worlds, int((1 - SHARE) * gpu.memory / of_world))
    return Fits(worlds, batch, of_world * algo.worlds)


def _in_warp(subject: _Subject) -> int:
    """Bytes of a world in the buffers of MuJoCo Warp, which are not JAX's."""
    if subject.config.engine != "warp" or not isinstance(subject.env, envs.Env):
        return 0
    return warp_kernels.bytes_of_world(subject.env.engine)


def _most_worlds(subject: _Subject, room: float, each: float, updating: float) -> int:
    """Worlds whose state fills the room together with temporaries, `each` or those of an update."""
    first, number = subject.config.algo.worlds, 2 * subject.config.algo.worlds
    start = memory.size(subject.state)
    for _ in range(4):  # the state grows faster once the replay's capacity has to
        slope = max(1.0, (_state_size(subject, number) - start) / (number - first))
        collecting = (room - start - each * first) / (slope + each)
        number = first + min(collecting, (room - start - updating) / slope)
        if number <= first:
            break
        number = int(number)
    return max(0, int(number))


def _state_size(subject: _Subject, worlds: int) -> int:
    config = dataclasses.replace(
        subject.config, algo=_sized(subject.config.algo, Config(worlds=worlds))
    )
    algorithm = make_algorithm(config, subject.env)
    return subject.seeds * memory.size(jax.eval_shape(algorithm.init, jax.random.key(0)))


def _details(gpu: Gpu, subject: _Subject, rows: list[Row], room: Fits) -> dict[str, Any]:
    return {
        "gpu": gpu.name,
        "jax": jax.__version__,
        "sizes": _sizes(subject),
        "programs": [row._asdict() for row in rows],
        "fits": room._asdict(),
    }
