"""Throughput against the number of worlds, and of a whole iteration against that of devices.

Worlds: collection as `mjxwm.bench.simulation` measures it, from few worlds to many. Devices: one
iteration with equally many worlds and windows on each (weak scaling), in turns, for every number
of devices that is requested and available; the collectives of an iteration are counted in the
compiled program.
"""

import dataclasses
import re
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import mjxwm_envs as envs

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.bench import simulation, timing
from mjxwm.bench.record import Report, Series
from mjxwm.maths import ranges
from mjxwm.runs import devices
from mjxwm.runs import presets as configuration
from mjxwm.runs.build import make_env
from mjxwm.runs.config import Config as TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    preset: str = "pwm-hopper-cpu"
    """A preset of pwm."""
    engine: str = "auto"
    """native, mjx, warp, or auto for the fastest here."""
    worlds: tuple[int, ...] = (32, 128, 512, 2048, 8192)
    """Numbers of worlds."""
    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of devices; those that are not here are left out."""
    worlds_per_device: int = 64
    """Worlds on each device, in that part."""
    samples: int = 5
    """Turns."""


class Spread(NamedTuple):
    """An iteration on several devices."""

    devices: int
    seconds: list[float]
    steps: int
    """Env steps of an iteration."""
    collectives: int
    """Operations between devices in its program; those in a loop count once."""


def run(config: Config, say: Callable[[str], None]) -> Report:
    """Measures both.

    Raises:
        ConfigError: a preset that is not of pwm, or a number out of range.
    """
    ranges.some(config, "worlds", "devices")
    if min(*config.worlds, *config.devices, config.samples, config.worlds_per_device) < 1:
        raise ConfigError("worlds, devices and samples must be at least 1")
    run_config = configuration.load_preset(TrainConfig, config.preset)
    if run_config.algorithm != "pwm":
        raise ConfigError(
            f"preset {config.preset!r} is of {run_config.algorithm}; bench scaling takes one of pwm"
        )
    run_config = dataclasses.replace(run_config, engine=config.engine)
    worlds = _worlds(config, run_config, say)
    spread = _devices(config, run_config)
    tables = [simulation.table(worlds)] if worlds else []
    text = "\n".join([*tables, _table(config, spread)])
    return Report(text, _series(worlds, spread), [row._asdict() for row in (*worlds, *spread)])


def _worlds(
    config: Config, run_config: TrainConfig, say: Callable[[str], None]
) -> list[simulation.Row]:
    rows = []
    for number in config.worlds:
        sim_config = simulation.Config(
            task=run_config.task, preset=config.preset, samples=config.samples, worlds=(number,)
        )
        env = envs.as_env(make_env(run_config))
        rows.append(simulation.measure(sim_config, run_config.algo, env, number))
        say(f"{number} worlds: {rows[-1].control_steps_per_s:,.0f} env steps/s")
    return rows


def _devices(config: Config, run_config: TrainConfig) -> list[Spread]:
    available = len(jax.devices())
    states: dict[int, Any] = {}
    calls: dict[str, Callable[[], Any]] = {}
    counted: dict[int, tuple[int, int]] = {}
    for number in sorted({n for n in config.devices if n <= available}):
        algo = _sized(run_config.algo, config.worlds_per_device, number)
        algorithm = pwm.make(algo, make_env(run_config))
        programs = devices.programs(algorithm, "pwm", algo, devices.chosen(number))
        states[number] = programs.init(jax.random.key(0))
        program = programs.iterate.lower(states[number]).compile()
        counted[number] = (algo.steps_per_iteration, collectives(program.as_text()))

        def call(number: int = number, program: Any = program) -> None:
            states[number], _ = jax.block_until_ready(program(states[number]))

        calls[str(number)] = call
    times = timing.in_turns(calls, config.samples, 0.5)
    return [Spread(n, times[str(n)], *counted[n]) for n in states]


def _sized(algo: pwm.Config, worlds: int, number: int) -> pwm.Config:
    rows = max(algo.horizon + 1, 2 * algo.unroll)
    total = worlds * number
    return dataclasses.replace(
        algo,
        worlds=total,
        batch=algo.batch * number,
        imagine_batch=algo.imagine_batch * number,
        capacity=max(algo.capacity, total * rows),
    )


def collectives(program: str) -> int:
    """Operations between devices in the text of a compiled program."""
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    return len(re.findall(rf"= .*? (?:{kinds})(?:-start)?\(", program))


def _series(worlds: list[simulation.Row], spread: list[Spread]) -> list[Series]:
    series = simulation.series(worlds)
    for row in spread:
        rates = [row.steps / seconds for seconds in row.seconds]
        series.append(Series(f"{row.devices} devices, training", "env steps/s", rates, True))
    return series


def _table(config: Config, spread: list[Spread]) -> str:
    if not spread:
        requested = ", ".join(map(str, config.devices)) or "none"
        return f"devices: {requested} asked for, {len(jax.devices())} here: none measured"
    lines = [
        f"{'devices':>7}{'iteration':>14}{'env steps/s':>14}{'efficiency':>12}{'collectives':>13}"
    ]
    for row in spread:
        seconds = statistics.median(row.seconds)
        efficiency = timing.ratio(spread[0].seconds, row.seconds)
        lines.append(
            f"{row.devices:7}{1e3 * seconds:11.1f} ms{row.steps / seconds:14,.0f}"
            f"{efficiency:12.0%}{row.collectives:13}"
        )
    lines.append(
        f"{config.worlds_per_device} worlds and a batch of {config.preset}'s size on each device; "
        f"{len(jax.devices())} of {jax.devices()[0].device_kind} here"
    )
    return "\n".join(lines)
