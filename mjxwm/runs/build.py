"""A run before it starts: its configuration, what is compiled of it, and where it goes on."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import mjxwm_envs as envs
from mjxwm_envs import registry, seeds

from mjxwm import ConfigError
from mjxwm.algos import ALGORITHMS, Entry, pwm
from mjxwm.data import TaskInfo, Writer, recording
from mjxwm.maths import ranges
from mjxwm.runs import checkpoint, devices, folders, memory, presets, pretrained, record
from mjxwm.runs.evaluate import Evaluation, evaluate, evaluate_with_memory
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Algorithm


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
    Evaluations and checkpoints are spread over the budget all the same."""
    evaluations: int = 20
    """Evaluations, evenly over the run, the last of them at its end; also with 0 there is that."""
    episodes: int = 10
    """Episodes per evaluation: deterministic, closed loop, each from its own start."""
    checkpoints: int = 4
    """Checkpoints during the run, beside the one at its end; the last two are kept."""
    on_failure: Literal["stop", "go-on"] = "stop"
    """When a foreign world fails: save and stop, or reset it and go on (without it, where it cannot
    be reset) while any is left."""
    video: bool = True
    """Whether to render the policy at the end."""
    data: str | None = None
    """Folder of a data set to which everything that is collected is added, see `mjxwm collect`."""
    algorithm: str = "pwm"
    """What learns: pwm; shac, through the simulator; tdmpc2; the baselines ppo and sac; or extract,
    which takes a given model. A preset is of one algorithm."""
    algo: Any = pwm.Config()
    """The algorithm's settings, of the class that `algorithm` stands for."""

    @classmethod
    def chosen(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The type of `algo`, see `config.from_dict`."""
        return {"algo": entry(values.get("algorithm", cls.algorithm)).config}


class Trainer(NamedTuple):
    """The compiled functions of a run."""

    env: envs.Source
    eval_env: envs.Source
    algorithm: Algorithm
    programs: devices.Programs
    evaluate: Any


def entry(algorithm: str) -> Entry:
    """The algorithm of this name.

    Raises:
        ConfigError: there is none.
    """
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise ConfigError(
            f"algorithm {algorithm!r} is unknown{presets.nearest(str(algorithm), ALGORITHMS)}. "
            f"There are: {', '.join(ALGORITHMS)}"
        )
    return ALGORITHMS[algorithm]


def make_env(cfg: Config, engine: str | None = None) -> envs.Source:
    """The environment of a configuration; a wrong name or value is a ConfigError.

    Args:
        cfg: the configuration.
        engine: another engine than the configuration's.
    """
    # How much room engine warp makes for contacts; nothing where that is left to the engine.
    room = {name: getattr(cfg, name) for name in ("contacts_per_world", "rows_per_world")}
    room = {name: number for name, number in room.items() if number is not None}
    options = cfg.task_fields | (room if engine in (None, cfg.engine) else {})
    try:
        with registry.search_first(cfg.task_folder):
            return envs.make(
                cfg.task, engine or cfg.engine, cfg.action_repeat, cfg.randomise, **options
            )
    except ValueError as error:
        away = cfg.task_folder is not None and Path(cfg.task_folder) != Path.cwd()
        way = f" (the run's task was in {cfg.task_folder}: try it there)" if away else ""
        raise ConfigError(f"{error}{way}") from error


def build(cfg: Config, fits: bool = True) -> Trainer:
    """Makes environment and algorithm and wraps them for compilation on first use.

    Args:
        cfg: the configuration.
        fits: whether to refuse what the memory here cannot hold.

    Raises:
        ConfigError: a name is unknown or a value out of range.
    """
    _check(cfg)
    env = make_env(cfg)
    algorithm = _algorithm(cfg, env, fits)
    eval_env = make_env(cfg, cfg.eval_engine) if cfg.eval_engine else env
    if isinstance(eval_env, envs.Env) and (
        said := memory.too_many_episodes(cfg.episodes, eval_env.batch)
    ):
        raise ConfigError(said)

    def run_policy(state: Any, key: jax.Array) -> Evaluation:
        planner = algorithm.planner
        if planner is None:
            return evaluate(eval_env, lambda obs: algorithm.act(state, obs), key, cfg.episodes)
        act, none = functools.partial(planner.act, state), planner.init(cfg.episodes)
        return evaluate_with_memory(eval_env, act, none, key, cfg.episodes)

    compiled = jax.jit(run_policy)
    return Trainer(
        env,
        eval_env,
        algorithm,
        _programs(cfg, env, algorithm),
        lambda state, key: compiled(devices.local(state), key),
    )


def _check(cfg: Config) -> None:
    ranges.sound(cfg)
    for name in ("episodes", "evaluations", "checkpoints"):
        if getattr(cfg, name) < (1 if name == "episodes" else 0):
            raise ConfigError(f"{name}={getattr(cfg, name)} is out of range; it is a count")
    if cfg.data == "":
        raise ConfigError("data='' is no folder of a data set")
    if cfg.minutes is not None and not cfg.minutes > 0:
        raise ConfigError(f"minutes={cfg.minutes} is out of range; it must be above 0")
    if type(cfg.algo) is not entry(cfg.algorithm).config:
        named = [n for n in presets.preset_names() if n.startswith(f"{cfg.algorithm}-")]
        raise ConfigError(
            f"algorithm={cfg.algorithm!r} does not fit the preset's settings, which are another "
            f"algorithm's; choose a preset of {cfg.algorithm}, such as {', '.join(named)}"
        )


def _made(cfg: Config, algo: Any, env: Any) -> Algorithm:
    """The algorithm with these settings."""
    chosen = entry(cfg.algorithm)
    if not chosen.takes_model:
        return chosen.make(algo, env)
    if not algo.model:
        raise ConfigError("model='' is not given; `mjxwm extract TASK --model RUN` does")
    return chosen.make(algo, env, pretrained.load(Path(algo.model)))


def _recorded(cfg: Config, env: Any) -> Algorithm:
    """The algorithm with a replay that `mjxwm.runs.recorder` can read, its own or its worlds'."""
    writer(cfg, env)
    algorithm = _made(cfg, cfg.algo, env)
    if algorithm.replay is not None:
        return algorithm
    worlds = algorithm.worlds
    if worlds is None:
        raise ConfigError(f"data={cfg.data!r}: {cfg.algorithm} collects nothing")
    if len(devices.chosen(cfg.devices)) > 1:
        raise ConfigError(
            f"data={cfg.data!r}: {cfg.algorithm} is recorded on one device; pwm and tdmpc2, which "
            "keep a replay, on several. Take `--devices 1`"
        )
    keeping = recording.RecordingEnv(env, recording.rows_needed(algorithm, cfg.algo.worlds))
    return _made(cfg, cfg.algo, keeping)._replace(replay=lambda state: worlds(state).replay)


def _algorithm(cfg: Config, env: Any, fits: bool) -> Algorithm:
    try:
        algorithm = _recorded(cfg, env) if cfg.data else _made(cfg, cfg.algo, env)
        # A dry run without memory: what the sizes do not allow is said before anything starts.
        whole = memory.size(jax.eval_shape(algorithm.init, jax.random.key(0)))
    except ValueError as error:
        raise ConfigError(str(error)) from error

    def with_half() -> int:
        half = dataclasses.replace(cfg.algo, worlds=cfg.algo.worlds // 2)
        try:
            made = _made(cfg, half, env)
            return memory.size(jax.eval_shape(made.init, jax.random.key(0)))
        except ValueError:  # other settings do not go with it
            return whole // 2

    among = devices.chosen(cfg.devices)
    said = memory.too_many(cfg.algo.worlds, whole, with_half, among) if fits else ""
    devices.refuse(said)
    return algorithm


def _programs(cfg: Config, env: Any, algorithm: Algorithm) -> devices.Programs:
    among = devices.chosen(cfg.devices)
    if len(among) > 1 and not isinstance(env, envs.Env):
        raise ConfigError(
            f"devices={cfg.devices}: {cfg.task!r} is a foreign task, which one device collects from"
        )
    check_devices = getattr(getattr(env, "engine", None), "check_devices", None)
    if check_devices is not None:
        try:
            check_devices(len(among) // jax.process_count())
        except ValueError as error:
            raise ConfigError(f"devices={cfg.devices}: {error}") from error
    if cfg.data and jax.process_count() > 1:
        raise ConfigError(f"data={cfg.data!r}: one process records, not several")
    return devices.programs(algorithm, cfg.algorithm, among)


def writer(cfg: Config, env: envs.Source) -> Writer:
    """What adds to the data set of a run; it is checked here.

    Raises:
        ValueError: it is none, or knows the task with other sizes.
    """
    return Writer(Path(cfg.data or ""), TaskInfo.of(env.spec))


def start(trainer: Trainer, run: RunFolder, key: jax.Array, resume: bool) -> tuple[Any, int, float]:
    """State, iteration and seconds spent so far."""
    if not resume:
        return trainer.programs.init(key), 0, 0.0
    abstract = trainer.programs.place(jax.eval_shape(trainer.algorithm.init, key))
    try:
        state = checkpoint.restore(run.checkpoints, abstract)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{error}: run {run.path} ended before its first one; it cannot be resumed or "
            "evaluated, train anew"
        ) from error
    iteration = int(state.iteration)
    # The process that leads rewrites the record; nobody else looks at it meanwhile.
    return state, iteration, 60 * record.minutes(run.metrics, iteration) if devices.leads() else 0.0


def eval_key(cfg: Config) -> jax.Array:
    """Key of a run's evaluations: the same starts every time, and never those of the training."""
    return jax.random.fold_in(seeds.key(cfg.seed), 0x0E7A1)


def load(run: RunFolder, **changed: Any) -> tuple[Config, Trainer, Any, int]:
    """A run's configuration, with fields changed, and its newest checkpoint, on one device.

    Returns:
        The configuration, what was built of it, the training state, and its iteration.

    Raises:
        ConfigError: there is no checkpoint.
    """
    cfg = dataclasses.replace(presets.load_yaml(Config, run.config), **{"devices": 1} | changed)
    # It was trained somewhere, maybe on more memory than a look at it takes here.
    trainer = build(cfg, fits=False)
    state, iteration, _ = start(trainer, run, seeds.key(cfg.seed), resume=True)
    return cfg, trainer, state, iteration


def new_run(cfg: Config, preset: str, name: str | None, folder: Path) -> RunFolder:
    """Checks the configuration, then makes the run's folder with it."""
    build(cfg)
    if cfg.task_folder is None:
        cfg = dataclasses.replace(cfg, task_folder=registry.folder_of(cfg.task))
    if jax.process_count() > 1 and name is None:
        raise ConfigError("a run of several processes needs a name: --run NAME")
    said = ""
    if devices.leads():
        try:
            run = folders.create(folder, name, preset)
            presets.save_yaml(cfg, run.config)
        except ConfigError as error:
            said = str(error)
    devices.refuse(said)
    return folders.find(folder / name) if name else run
