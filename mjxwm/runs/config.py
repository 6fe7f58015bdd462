"""The configuration of a run: what `config.yaml` in its folder says."""

import dataclasses
from typing import Any, Literal

import mjxwm_envs as envs
from mjxwm_envs import registry
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.algos import ALGORITHMS, Entry, pwm, user_algorithms
from mjxwm.maths import ranges
from mjxwm.runs import presets, trackers


@dataclasses.dataclass(frozen=True)
class Config:
    """A training run: what to train on, with what, and what to keep."""

    task: str = "cartpole-swingup"
    """Name of the task; `mjxwm envs` lists them."""
    engine: str = "auto"
    """native (C MuJoCo), mjx (JAX), warp (NVIDIA), or auto for the fastest here."""
    eval_engine: str | None = None
    """Engine of the evaluations; by default that of the training."""
    action_repeat: int | None = None
    """Control steps per action of the policy; by default 1, or what a foreign suite's protocol
    has."""
    task_fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Values for the task's own fields, such as {"episode_length": 500}; on the command line
    --task.episode_length 500."""
    task_folder: str | None = None
    """Folder that the module of a task of your own is in, where it is not installed; a run keeps
    it, so that it is evaluated from anywhere."""
    randomise: envs.Randomisation = envs.Randomisation()
    """How bodies differ from world to world and from episode to episode, evaluations included."""
    contacts_per_world: int | None = None
    """Room for contacts in a world of engine warp, where the exact bound takes too much memory; a
    world with more is reset and counted as not valid. `mjxwm envs check` says how many it has."""
    rows_per_world: int | None = None
    """Room for rows of constraints in a world of engine warp, likewise."""
    seed: int = 0
    """Seed of everything that is random."""
    devices: int | Literal["all"] = 1
    """Devices that worlds, replay and batches are spread over."""
    minutes: float | None = None
    """Wall-clock time after which the run ends, whatever is left of its budget; by default never.
    Evaluations, checkpoints and falling learning rates are spread over the budget of env steps all
    the same: choose that to fit."""
    evaluations: int = 20
    """Evaluations, evenly over the run, the last of them at its end; also with 0 there is that."""
    episodes: int = 10
    """Episodes per evaluation: deterministic, closed loop, each from its own start."""
    checkpoints: int = 4
    """Checkpoints during the run, evenly, beside those at its first evaluation and at its end; the
    last two are kept."""
    stages: tuple[float, ...] = ()
    """Shares of the run's iterations after which its policy is kept by itself, as `policy/at-10`
    after a tenth: with the first evaluation from there on."""
    on_failure: Literal["stop", "go-on"] = "stop"
    """When a foreign world fails: save and stop, or reset it and go on (without it, where it cannot
    be reset) while any is left."""
    stop_after_skips: int = 10
    """Iterations in a row in which updates were skipped because they were not finite (NaN or
    infinite), or more than half of the steps were not valid for that reason: after so many, or
    after half of a shorter run, the run stops with status 3."""
    video: bool = True
    """Whether to render the policy at the end."""
    data: str | None = None
    """Folder of a data set to which everything that is collected is added, see `mjxwm collect`."""
    track: tuple[trackers.Name, ...] = ()
    """Other tools that are handed the rows of the record: tensorboard, wandb, trackio."""
    algorithm: str = "pwm"
    """What learns: pwm; shac, through the simulator; tdmpc2; the baselines ppo, sac and reppo;
    pretrain, a model of many tasks from data; extract, a policy through such a model; or one of
    your own as my_module:ENTRY. A preset is of one algorithm."""
    algorithm_folder: str | None = None
    """Folder that the module of an algorithm of your own is in, likewise."""
    algo: Any = pwm.Config()
    """The algorithm's configuration, of the class that `algorithm` stands for."""

    @classmethod
    def chosen(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The type of `algo`, see `presets.from_dict`."""
        folder = values.get("algorithm_folder")
        with registry.search_first(folder if isinstance(folder, str) else None):
            return {"algo": entry(values.get("algorithm", cls.algorithm)).config}


def entry(algorithm: str) -> Entry:
    """The algorithm of this name, or that which `module:attribute` stands for.

    Raises:
        ConfigError: there is none.
    """
    if isinstance(algorithm, str) and ":" in algorithm:
        return user_algorithms.entry(algorithm)
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise ConfigError(
            f"algorithm {algorithm!r} is unknown{nearest(str(algorithm), ALGORITHMS)}. "
            f"There are: {', '.join(ALGORITHMS)}; and your own, as my_module:ENTRY"
        )
    return ALGORITHMS[algorithm]


def check(config: Config) -> None:
    """Raises ConfigError on the first field that is out of its range, but for the algorithm's."""
    ranges.sound(config)
    for name in ("episodes", "evaluations", "checkpoints"):
        if getattr(config, name) < (1 if name == "episodes" else 0):
            raise ConfigError(f"{name}={getattr(config, name)} is out of range; it is a count")
    if wrong := [share for share in config.stages if not 0 < share <= 1]:
        raise ConfigError(f"stages={wrong[0]} is out of range; it must be above 0 and up to 1")
    if config.stop_after_skips < 1:
        raise ConfigError(
            f"stop_after_skips={config.stop_after_skips} is out of range; it must be at least 1"
        )
    if config.data == "":
        raise ConfigError("data='' is no folder of a data set")
    if config.minutes is not None and not config.minutes > 0:
        raise ConfigError(f"minutes={config.minutes} is out of range; it must be above 0")
    if type(config.algo) is not entry(config.algorithm).config:
        fitting = [n for n in presets.preset_names() if n.startswith(f"{config.algorithm}-")]
        way = f"choose a preset of {config.algorithm}, such as {', '.join(fitting)}"
        if not fitting:
            way = f"write a preset of its own: a YAML file with `algorithm: {config.algorithm}`"
        raise ConfigError(
            f"algorithm={config.algorithm!r} does not fit the preset's settings, which are another "
            f"algorithm's; {way}"
        )
