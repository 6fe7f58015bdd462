"""The training loop: the only place where time, disk and console meet."""

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

import envs
from mjxwm import checkpoint, config, nets, plot, runs, track, view
from mjxwm.algos import ALGORITHMS, Entry, pwm
from mjxwm.evaluate import Evaluation, evaluate
from mjxwm.loop import Cadence, Loop, interruptible, summarize
from mjxwm.runs import RunFolder
from mjxwm.track import ConsoleLine, JsonLines
from mjxwm.types import Algorithm

__all__ = [
    "Config",
    "Result",
    "Trainer",
    "artifacts",
    "build",
    "evaluate_run",
    "load",
    "make_env",
    "new_run",
    "summarize",
    "train",
]


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
    """Values for the task's own fields, such as {"episode_length": 500}."""
    randomise: envs.Randomisation = envs.Randomisation()
    """How bodies differ from world to world and from episode to episode, evaluations included."""
    seed: int = 0
    """Seed of everything that is random."""
    minutes: float | None = None
    """Wall-clock time after which the run ends, whatever is left of its budget; by default never.
    Evaluations and checkpoints are spread over the budget all the same."""
    evaluations: int = 20
    """Evaluations during the run, beside the one at its end."""
    episodes: int = 10
    """Episodes per evaluation: deterministic, closed loop, each from its own start."""
    checkpoints: int = 4
    """Checkpoints during the run, beside the one at its end; the last two are kept."""
    on_failure: Literal["stop", "go-on"] = "stop"
    """When a foreign world fails: save and stop, or reset it and go on (without it, where it cannot
    be reset) while any is left."""
    video: bool = True
    """Whether to render the policy at the end."""
    algorithm: str = "pwm"
    """What learns: pwm; shac, through the simulator; or the baselines ppo and sac. A preset is of
    one algorithm."""
    algo: Any = pwm.Config()
    """The algorithm's settings, of the class that `algorithm` stands for."""

    @classmethod
    def chosen(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The type of `algo`, see `config.from_dict`."""
        return {"algo": entry(values.get("algorithm", cls.algorithm)).config}


class Result(NamedTuple):
    """What a run came to."""

    run: RunFolder
    evaluation: Evaluation | None
    """The last evaluation; None if the run was interrupted before its end."""
    iteration: int
    env_steps: int
    seconds: float
    """Wall-clock time of this process's part of the run, compilation included."""


class Trainer(NamedTuple):
    """The compiled functions of a run."""

    env: envs.Env
    eval_env: envs.Env
    algorithm: Algorithm
    init: Any
    iterate: Any
    evaluate: Any


def entry(algorithm: str) -> Entry:
    """The algorithm of this name.

    Raises:
        ConfigError: there is none.
    """
    if algorithm not in ALGORITHMS:
        raise config.ConfigError(
            f"algorithm {algorithm!r} is unknown{config.nearest(str(algorithm), ALGORITHMS)}. "
            f"There are: {', '.join(ALGORITHMS)}"
        )
    return ALGORITHMS[algorithm]


def make_env(cfg: Config, engine: str | None = None) -> envs.Env:
    """The environment of a configuration; a wrong name or value is a ConfigError.

    Args:
        cfg: the configuration.
        engine: another engine than the configuration's.
    """
    try:
        return envs.make(
            cfg.task, engine or cfg.engine, cfg.action_repeat, cfg.randomise, **cfg.task_fields
        )
    except ValueError as error:
        raise config.ConfigError(str(error)) from error


def build(cfg: Config) -> Trainer:
    """Makes environment and algorithm and wraps them for compilation on first use.

    Raises:
        ConfigError: a name is unknown or a value out of range.
    """
    for name in ("episodes", "evaluations", "checkpoints"):
        if getattr(cfg, name) < (1 if name == "episodes" else 0):
            raise config.ConfigError(f"{name}={getattr(cfg, name)} is out of range; it is a count")
    if cfg.minutes is not None and not cfg.minutes > 0:
        raise config.ConfigError(f"minutes={cfg.minutes} is out of range; it must be above 0")
    chosen = entry(cfg.algorithm)
    if type(cfg.algo) is not chosen.config:
        named = [n for n in config.preset_names() if n.startswith(f"{cfg.algorithm}-")]
        raise config.ConfigError(
            f"algorithm={cfg.algorithm!r} does not fit the preset's settings, which are another "
            f"algorithm's; choose a preset of {cfg.algorithm}, such as {', '.join(named)}"
        )
    env = make_env(cfg)
    try:
        algorithm = chosen.make(cfg.algo, env)
        # A dry run without memory: what the sizes do not allow is said before anything starts.
        jax.eval_shape(algorithm.init, jax.random.key(0))
    except ValueError as error:
        raise config.ConfigError(str(error)) from error

    eval_env = make_env(cfg, cfg.eval_engine) if cfg.eval_engine else env

    def run_policy(state: Any, key: jax.Array) -> Evaluation:
        return evaluate(eval_env, lambda obs: algorithm.act(state, obs), key, cfg.episodes)

    return Trainer(
        env,
        eval_env,
        algorithm,
        jax.jit(algorithm.init),
        jax.jit(algorithm.iterate, donate_argnums=0),
        jax.jit(run_policy),
    )


def train(cfg: Config, run: RunFolder, resume: bool = False, stop_at: int | None = None) -> Result:
    """Trains until the budget of env steps is spent, or Ctrl-C.

    Args:
        cfg: the configuration.
        run: the run's folder.
        resume: go on from the newest checkpoint, bitwise as if it had never stopped.
        stop_at: an iteration to stop at before the end.

    Raises:
        ConfigError: a name is unknown, a value out of range, or there is nothing to resume.
    """
    start = time.monotonic()
    trainer = build(cfg)
    key = jax.random.key(cfg.seed)
    state, iteration, seconds = _start(trainer, run, key, resume)
    _announce(cfg, trainer, run, state)
    total = trainer.algorithm.iterations
    last = min(total, stop_at or total)
    with ConsoleLine(total) as console, interruptible() as interrupted:
        loop = Loop(
            trainer.algorithm,
            lambda state: trainer.evaluate(state, _eval_key(cfg)),
            Cadence.spread(total, cfg.evaluations, cfg.checkpoints),
            run,
            (JsonLines(run.metrics, iteration if resume else None), console),
            start - seconds,
            iteration,
        )
        late = False
        while iteration < last and not interrupted and not late:
            state, metrics = trainer.iterate(state)
            iteration += 1
            late = cfg.minutes is not None and time.monotonic() - start + seconds > 60 * cfg.minutes
            failed = _failed(cfg, trainer, iteration == last, metrics)
            stopping = iteration == last or bool(interrupted) or late or bool(failed)
            loop.after(iteration, state, metrics, stopping, evaluate=late)
            if failed:
                raise config.ConfigError(
                    f"{failed} The run is saved: `mjxwm train --resume {run.path}` goes on; with "
                    "`on_failure: go-on` in its config.yaml, past what fails."
                )
        if interrupted:  # also when it came after the last look at it; a second save does nothing
            checkpoint.save(run.checkpoints, iteration, state)
    finished = iteration == total or late
    final = jax.device_get(trainer.evaluate(state, _eval_key(cfg))) if finished else None
    _say_failures(trainer)
    return Result(
        run, final, iteration, trainer.algorithm.env_steps(iteration), time.monotonic() - start
    )


def _failed(cfg: Config, trainer: Trainer, last: bool, metrics: Any) -> str:
    """What failed in foreign worlds, if that is to end the run; else it is only said."""
    if last:
        jax.block_until_ready(metrics)
    failures = trainer.env.failures() + trainer.eval_env.failures()
    if not failures:
        return ""
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    said = f"{trainer.env.name}: {failures[0]}{more}."
    if cfg.on_failure == "stop" or any(failure.world is None for failure in failures):
        return said
    print(said, flush=True)
    return ""


def _say_failures(trainer: Trainer) -> None:
    for failure in trainer.eval_env.failures():
        print(f"{trainer.eval_env.name}: in this evaluation {failure}", flush=True)


def _start(
    trainer: Trainer, run: RunFolder, key: jax.Array, resume: bool
) -> tuple[Any, int, float]:
    """State, iteration and seconds spent so far."""
    if not resume:
        return trainer.init(key), 0, 0.0
    abstract = jax.eval_shape(trainer.algorithm.init, key)
    try:
        state = checkpoint.restore(run.checkpoints, abstract)
    except FileNotFoundError as error:
        raise config.ConfigError(f"{error}: run {run.path} cannot be resumed") from error
    iteration = int(state.iteration)
    rows = track.read(run.metrics) if run.metrics.is_file() else []
    minutes = [row["minutes"] for row in rows if row["iteration"] <= iteration]
    return state, iteration, 60 * minutes[-1] if minutes else 0.0


def _eval_key(cfg: Config) -> jax.Array:
    # The same start states every time, and never those of the training.
    return jax.random.fold_in(jax.random.key(cfg.seed), 0x0E7A1)


def _announce(cfg: Config, trainer: Trainer, run: RunFolder, state: Any) -> None:
    spec, algo = trainer.env.spec, cfg.algo
    networks = trainer.algorithm.networks(state).items()
    sizes = [f"{name} {nets.num_parameters(tree):,} parameters" for name, tree in networks]
    print(f"run      {run.path}")
    print(
        f"task     {spec.name}: {spec.obs_size} observations, {spec.action_size} actions, "
        f"{spec.episode_length} steps of {spec.ctrl_dt * 1e3:.3g} ms"
    )
    device = jax.devices()[0].device_kind
    print(f"engine   {spec.engine}, {algo.worlds} worlds; learner on {device}")
    print(f"learner  {', '.join([cfg.algorithm, *sizes])}")
    print(
        f"budget   {algo.env_steps:,} env steps = {trainer.algorithm.iterations} iterations of "
        f"{algo.steps_per_iteration:,} steps and {algo.updates} updates",
        flush=True,
    )


def artifacts(cfg: Config, run: RunFolder, evaluation: Evaluation) -> dict[str, str]:
    """Draws the learning curve and renders the policy; says so and goes on where it cannot."""
    made = {}
    name = run.path.name
    if run.metrics.is_file():
        made["curve"] = str(plot.learning_curve({name: run.metrics}, run.curve, cfg.task))
    if cfg.video:
        env = make_env(cfg)
        model = body(env)
        if model is None:
            print(f"no video: {env.name} is simulated elsewhere")
            return made
        length = int(evaluation.length[0]) + 1
        try:
            qpos = np.asarray(evaluation.qpos[:length])
            made["video"] = str(view.video(model, qpos, env.spec.ctrl_dt, run.video))
        except view.RenderingUnavailableError as error:
            print(f"no video: {error}")
    return made


def body(env: Any) -> Any:
    """The MuJoCo model of an environment; None for worlds on the host."""
    return env.engine.model if isinstance(env, envs.Env) else getattr(env, "mj_model", None)


def evaluate_run(
    run: RunFolder, episodes: int | None = None, seed: int | None = None
) -> tuple[Config, Evaluation, int]:
    """Evaluates the newest checkpoint of a run: its configuration, the episodes, the iteration."""
    changed = {} if episodes is None else {"episodes": episodes}
    cfg, trainer, state, iteration = load(run, **changed)
    key = _eval_key(cfg if seed is None else dataclasses.replace(cfg, seed=seed))
    evaluation = jax.device_get(trainer.evaluate(state, key))
    _say_failures(trainer)
    return cfg, evaluation, iteration


def load(run: RunFolder, **changed: Any) -> tuple[Config, Trainer, Any, int]:
    """A run's configuration, with fields changed, and its newest checkpoint.

    Returns:
        The configuration, what was built of it, the training state, and its iteration.

    Raises:
        ConfigError: there is no checkpoint.
    """
    cfg = dataclasses.replace(config.load_yaml(Config, run.config), **changed)
    trainer = build(cfg)
    state, iteration, _ = _start(trainer, run, jax.random.key(cfg.seed), resume=True)
    return cfg, trainer, state, iteration


def new_run(cfg: Config, preset: str, name: str | None, folder: Path) -> RunFolder:
    """Checks the configuration, then makes the run's folder with it."""
    build(cfg)
    run = runs.create(folder, name, preset)
    config.save_yaml(cfg, run.config)
    return run
