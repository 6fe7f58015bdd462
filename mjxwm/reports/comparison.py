"""Several algorithms on one task, several seeds each, under equal conditions.

Equal are the task, the seeds, the hidden layers of actor and critics, the policy's noise at the
start and its floor (PPO's, SAC's, REPPO's and TD-MPC2's noise is their own), and the wall-clock
time, if a limit is given; SHAC, SAPO and APG differ in nothing but what defines them. Rewards are
the task's own. All data count: random ones, the replay's warm-up, everything.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.algos import shac
from mjxwm.models import actor_critic
from mjxwm.reports import means, several_runs
from mjxwm.runs import exits, folders, loop, presets, record, stops
from mjxwm.runs.build import build
from mjxwm.runs.config import Config as TrainConfig
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.result import Result

_SHAC = {"bootstrap": True, "entropy": 0.0, "tune_entropy": False, "actor_value": "min"}
_SAPO = {"bootstrap": True, "entropy": 1e-2, "tune_entropy": True, "actor_value": "mean"}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "pwm": ("pwm", {}),
    "shac": ("shac", _SHAC),
    "sapo": ("shac", {**_SAPO, "target_tau": 1.0}),
    "apg": ("shac", {**_SHAC, "bootstrap": False}),
    "ppo": ("ppo", {}),
    "sac": ("sac", {}),
    "reppo": ("reppo", {}),
    "tdmpc2": ("tdmpc2", {}),
}
"""By name: the algorithm, and the fields of its configuration that make it this variant."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What is compared."""

    task: str = "cartpole-swingup"
    """Name of the task."""
    algorithms: tuple[str, ...] = ("pwm", "shac", "sapo", "apg")
    """Names of the algorithms: pwm, shac, sapo, apg, ppo, sac, reppo or tdmpc2."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; every algorithm runs with each."""
    minutes: float | None = None
    """Wall-clock time of each run; by default each preset's budget of env steps is spent."""
    actor: tuple[int, ...] = (64, 64)
    """Hidden layers of every actor."""
    critic: tuple[int, ...] = (64, 64)
    """Hidden layers of every critic."""
    init_std: float = 0.6
    """The policy's noise at the start, before tanh; of PWM, SHAC, SAPO and APG."""
    min_std: float = 0.2
    """Least standard deviation of the policy's noise."""
    evaluations: int = 20
    """Evaluations of each run over its budget."""
    episodes: int = 10
    """Episodes of each evaluation."""


class Row(NamedTuple):
    """An algorithm's runs."""

    algorithm: str
    runs: list[str]
    end_returns: list[float]
    """Mean return of each run's last evaluation."""
    mean: float
    low: float | None
    high: float | None
    """95% interval of the mean over seeds, by bootstrap; None for one seed."""
    env_steps: list[int]
    minutes: list[float]


class Trained(NamedTuple):
    """A run of a comparison."""

    run: RunFolder
    config: TrainConfig
    status: int = exits.DONE
    """The exit status of its training, of `exits`."""


def preset(name: str, task: str) -> TrainConfig:
    """The preset of an algorithm for a task: a CPU's where there is no GPU, where it has both.

    SAPO and APG start from SHAC's, so that nothing else differs.

    Raises:
        ConfigError: there is no such preset.
    """
    algorithm, _ = VARIANTS[name]
    candidates = [(n, presets.load_preset(TrainConfig, n)) for n in presets.preset_names()]
    fitting = [(n, c) for n, c in candidates if (c.algorithm, c.task) == (algorithm, task)]
    if not fitting:
        raise ConfigError(
            f"there is no preset of {algorithm} for task {task!r}; copy one of "
            f"{', '.join(n for n, c in candidates if c.algorithm == algorithm)} and run it by "
            "itself"
        )

    on_cpu = jax.default_backend() == "cpu"

    def rank(item: tuple[str, TrainConfig]) -> tuple[bool, bool]:
        return item[0].startswith(f"{algorithm}-"), item[0].endswith("-cpu") == on_cpu

    return max(fitting, key=rank)[1]


def run_config(config: Config, name: str, seed: int) -> TrainConfig:
    """The configuration of one run.

    Raises:
        ConfigError: the algorithm is unknown or has no preset for the task.
    """
    if name not in VARIANTS:
        raise ConfigError(
            f"algorithm {name!r} is unknown{nearest(name, VARIANTS)}. "
            f"There are: {', '.join(VARIANTS)}"
        )
    base = preset(name, config.task)
    algo = dataclasses.replace(base.algo, **VARIANTS[name][1])
    return dataclasses.replace(
        base,
        algo=_equalised(config, name, algo),
        seed=seed,
        minutes=config.minutes,
        evaluations=config.evaluations,
        episodes=config.episodes,
        video=False,
        checkpoints=0,
    )


def _equalised(config: Config, name: str, algo: Any) -> Any:
    """The algorithm's configuration with the networks and the noise that all have."""
    if name == "ppo":
        return dataclasses.replace(algo, policy_layers=config.actor, value_layers=config.critic)
    if name == "sac":
        return dataclasses.replace(algo, layers=config.actor)
    if name in ("reppo", "tdmpc2"):
        return dataclasses.replace(algo, networks=_networks(config, name, algo.networks))
    critics = {"sapo": 2, "pwm": algo.policy.critics}.get(name, 1)
    policy = actor_critic.Config(
        config.actor, config.critic, critics, config.init_std, config.min_std
    )
    return dataclasses.replace(algo, policy=policy)


def _networks(config: Config, name: str, networks: Any) -> Any:
    """The networks of an algorithm whose actor and critics have them in a configuration together.

    TD-MPC2's policy and Qs are of one size. REPPO's critic has its features as its last hidden
    layer.
    """
    if name == "tdmpc2":
        return dataclasses.replace(networks, q_hidden=config.actor)
    if not config.critic:
        raise ConfigError("critic is empty; reppo's critic has at least one hidden layer")
    *encoder, features = config.critic
    return dataclasses.replace(
        networks, actor=config.actor, encoder=tuple(encoder), features=features, head=()
    )


def run(
    config: Config, folder: Path, say: Callable[[str], None] = print
) -> dict[str, list[Trained]]:
    """Trains everything, one run after another, each in its own run folder.

    A finished run that is there already is kept, however it is configured; one that was interrupted
    goes on where it stopped.

    Raises:
        ConfigError: a name is unknown or a value out of range; before anything is trained.
        stops.Stopped: a signal has stopped a run.
    """
    planned = {
        (name, seed): run_config(config, name, seed)
        for name in config.algorithms
        for seed in config.seeds
    }
    if not planned:
        raise ConfigError("compare needs at least one algorithm and one seed")
    for one in planned.values():
        build(one)
    done: dict[str, list[Trained]] = {name: [] for name in config.algorithms}
    for (name, seed), one in planned.items():
        done[name].append(_trained(one, f"{name}-{seed}", folder, say))
    return done


def _trained(config: TrainConfig, label: str, folder: Path, say: Callable[[str], None]) -> Trained:
    if not folders.learned(folder / label):
        result = loop.run(config, label, label, folder)
        return Trained(result.run, config, _status(result))
    run_folder = folders.find(folder / label)
    kept_config = presets.load_yaml(TrainConfig, run_folder.config)
    if not finished(run_folder, kept_config):
        return Trained(run_folder, kept_config, _status(loop.resume(run_folder)))
    say(f"{label}: kept, it was there already")
    return Trained(run_folder, kept_config)


def _status(result: Result) -> int:
    """The exit status of a run after which the next one follows."""
    stops.refuse_more(result.signal, f"stopped in {result.run.path}; the same command goes on")
    return result.status


def status(done: dict[str, list[Trained]]) -> int:
    """The exit status of a comparison: the first of its runs' that says that something lacks."""
    return next((one.status for runs in done.values() for one in runs if one.status), exits.DONE)


def finished(run_folder: RunFolder, config: TrainConfig) -> bool:
    """Whether a run has come to the end of its budget or of its time."""
    rows = record.evaluations(run_folder.metrics, "minutes")
    if not rows or record.read(run_folder.metrics)[-1] != rows[-1]:  # more was learned since
        return False
    late = config.minutes is not None and rows[-1]["minutes"] >= config.minutes
    return late or rows[-1]["env_steps"] >= config.algo.env_steps


def updates(algo: Any) -> int:
    """Updates of the actor per iteration."""
    return 1 if isinstance(algo, shac.Config) else getattr(algo, "policy_updates", algo.updates)


def curves(
    done: dict[str, list[Trained]],
) -> dict[str, list[dict[str, np.ndarray]]]:
    """Env steps, minutes, actor updates and returns of every run's evaluations, each [n]."""
    return {name: [_curve(one) for one in runs] for name, runs in done.items()}


def _curve(trained: Trained) -> dict[str, np.ndarray]:
    rows = record.evaluations(trained.run.metrics, "minutes")
    each = updates(trained.config.algo)
    return {
        "env steps, all worlds": np.array([r["env_steps"] for r in rows], float),
        "minutes, compilation included": np.array([r["minutes"] for r in rows], float),
        "updates of the actor": np.array([each * r["iteration"] for r in rows], float),
        "return": np.array([r["eval/return"] for r in rows], float),
    }


def page(done: dict[str, list[Trained]], target: Path, title: str) -> Path:
    """Writes the page that compares all runs, with a group for each algorithm."""
    groups = {name: [one.run for one in runs] for name, runs in done.items()}
    return several_runs.write(several_runs.named(groups), target, title)


def summarize(done: dict[str, list[Trained]]) -> list[Row]:
    """The result of each algorithm, the best first."""
    rows = []
    for name, run_curves in curves(done).items():
        ends = np.array([curve["return"][-1] for curve in run_curves])
        low, high = means.interval(ends[:, None])
        rows.append(
            Row(
                name,
                [str(one.run.path) for one in done[name]],
                ends.tolist(),
                float(ends.mean()),
                *((float(low[0]), float(high[0])) if len(ends) > 1 else (None, None)),
                [int(curve["env steps, all worlds"][-1]) for curve in run_curves],
                [float(curve["minutes, compilation included"][-1]) for curve in run_curves],
            )
        )
    return sorted(rows, key=lambda row: -row.mean)


def table(rows: Sequence[Row]) -> str:
    """The rows as text for people."""
    lines = [f"{'algorithm':10}{'return at the end, mean [95%]':36}{'env steps':>14}{'minutes':>9}"]
    for row in rows:
        sure = "" if row.low is None else f" [{row.low:.1f}, {row.high:.1f}]"
        count = f"{len(row.runs)} seeds" if len(row.runs) > 1 else "1 seed: no interval"
        summary = f"{row.mean:.1f}{sure} of {count}"
        steps, minutes = np.mean(row.env_steps), np.mean(row.minutes)
        lines.append(f"{row.algorithm:10}{summary:36}{steps:14,.0f}{minutes:9.1f}")
    return "\n".join(lines)
