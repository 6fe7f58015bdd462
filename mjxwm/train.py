"""The training loop: the only place where time, disk and console meet."""

import dataclasses
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
import numpy as np

import envs
from mjxwm import checkpoint, config, nets, plot, runs, track, view
from mjxwm.algos import pwm
from mjxwm.evaluate import Evaluation, evaluate
from mjxwm.runs import RunFolder
from mjxwm.track import ConsoleLine, JsonLines, Tracker
from mjxwm.types import Algorithm


@dataclasses.dataclass(frozen=True)
class Config:
    """A training run: what to train on, with what, and what to keep."""

    task: str = "cartpole-swingup"
    """Name of the task; `mjxwm doctor` lists them."""
    engine: str = "auto"
    """native (C MuJoCo), mjx (JAX), warp (NVIDIA), or auto for the fastest here."""
    action_repeat: int = 1
    """Control steps per action of the policy."""
    task_fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Values for the task's own fields, such as {"episode_length": 500}."""
    seed: int = 0
    """Seed of everything that is random."""
    evaluations: int = 20
    """Evaluations during the run, beside the one at its end."""
    episodes: int = 10
    """Episodes per evaluation: deterministic, closed loop, each from its own start."""
    checkpoints: int = 4
    """Checkpoints during the run, beside the one at its end; the last two are kept."""
    video: bool = True
    """Whether to render the policy at the end."""
    algo: pwm.Config = pwm.Config()
    """The algorithm's settings."""


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
    algorithm: Algorithm
    init: Any
    iterate: Any
    evaluate: Any


def make_env(cfg: Config) -> envs.Env:
    """The environment of a configuration; a wrong name or value is a ConfigError."""
    try:
        return envs.make(cfg.task, cfg.engine, cfg.action_repeat, **cfg.task_fields)
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
    env = make_env(cfg)
    try:
        algorithm = pwm.make(cfg.algo, env)
        # A dry run without memory: what the sizes do not allow is said before anything starts.
        jax.eval_shape(algorithm.init, jax.random.key(0))
    except ValueError as error:
        raise config.ConfigError(str(error)) from error

    def run_policy(state: Any, key: jax.Array) -> Evaluation:
        return evaluate(env, lambda obs: algorithm.act(state, obs), key, cfg.episodes)

    return Trainer(
        env,
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
    last = min(trainer.algorithm.iterations, stop_at or trainer.algorithm.iterations)
    clock = _Clock(start - seconds)
    with ConsoleLine(trainer.algorithm.iterations) as console, _interruptible() as interrupted:
        trackers = (JsonLines(run.metrics, iteration if resume else None), console)
        loop = _Loop(cfg, trainer, run, trackers, clock)
        while iteration < last and not interrupted:
            state, metrics = trainer.iterate(state)
            iteration += 1
            loop.after(iteration, state, metrics, stopping=iteration == last or bool(interrupted))
        if interrupted:  # also when it came after the last look at it; a second save does nothing
            checkpoint.save(run.checkpoints, iteration, state)
    finished = iteration == trainer.algorithm.iterations
    final = jax.device_get(trainer.evaluate(state, _eval_key(cfg))) if finished else None
    return Result(
        run, final, iteration, trainer.algorithm.env_steps(iteration), time.monotonic() - start
    )


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


@dataclasses.dataclass
class _Clock:
    start: float

    def minutes(self) -> float:
        return (time.monotonic() - self.start) / 60


class _Loop:
    """What happens between iterations: metrics, evaluations, checkpoints."""

    def __init__(
        self,
        cfg: Config,
        trainer: Trainer,
        run: RunFolder,
        trackers: tuple[Tracker, ...],
        clock: _Clock,
    ):
        self.cfg, self.trainer, self.run, self.trackers, self.clock = (
            cfg,
            trainer,
            run,
            trackers,
            clock,
        )
        total = trainer.algorithm.iterations
        self.log_every = max(1, total // 500)
        self.eval_every = max(1, total // (cfg.evaluations + 1)) if cfg.evaluations else total
        self.save_every = max(1, total // (cfg.checkpoints + 1)) if cfg.checkpoints else total
        self.total = total
        self.pending: list[Any] = []
        self.last = (time.monotonic(), 0)

    def after(self, iteration: int, state: Any, metrics: Any, stopping: bool) -> None:
        """Metrics stay on the device until they are logged: fetching them waits for it."""
        self.pending.append(metrics)
        evaluating = iteration % self.eval_every == 0 or iteration == self.total
        if iteration % self.log_every == 0 or evaluating or stopping:
            self._log(iteration, state, evaluating)
        if iteration % self.save_every == 0 or stopping:
            checkpoint.save(self.run.checkpoints, iteration, state)

    def _log(self, iteration: int, state: Any, evaluating: bool) -> None:
        algorithm = self.trainer.algorithm
        row: dict[str, Any] = {"iteration": iteration, "env_steps": algorithm.env_steps(iteration)}
        row |= summarize(jax.device_get(self.pending))
        before, then = self.last
        steps = algorithm.env_steps(iteration) - algorithm.env_steps(then)
        now = time.monotonic()
        row["perf/env_steps_per_s"] = steps / (now - before)
        self.pending, self.last = [], (now, iteration)
        if evaluating:
            result = jax.device_get(self.trainer.evaluate(state, _eval_key(self.cfg)))
            row["eval/return"] = float(result.episode_return.mean())
            row["eval/return_std"] = float(result.episode_return.std())
            row["eval/length"] = float(result.length.mean())
            if result.success is not None:
                row["eval/success"] = float(result.success.mean())
            self.last = (time.monotonic(), iteration)
        row["minutes"] = self.clock.minutes()
        for tracker in self.trackers:
            tracker.log(row)


def _eval_key(cfg: Config) -> jax.Array:
    # The same start states every time, and never those of the training.
    return jax.random.fold_in(jax.random.key(cfg.seed), 0x0E7A1)


def summarize(pending: list[dict[str, np.ndarray]]) -> dict[str, float | None]:
    """One row from the metrics of several iterations: means, and for episodes sums over sums."""
    stacked = {k: np.array([m[k] for m in pending], float) for k in pending[0]}
    row: dict[str, float | None] = {}
    for name, values in stacked.items():
        counted = name.endswith(("/episodes", "/diverged", "_sum"))
        row[name] = float(values.sum() if counted else values.mean())
    episodes = row.get("collect/episodes") or 0.0
    for name in ("return", "length", "success"):
        total = row.pop(f"collect/{name}_sum", None)
        if total is not None and episodes:
            row[f"collect/{name}"] = total / episodes
    return row


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Ctrl-C ends the loop after the current iteration; a second one ends the process."""
    seen: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, handler)
    except ValueError:  # not the main thread: nobody presses Ctrl-C here
        yield seen
        return
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _announce(cfg: Config, trainer: Trainer, run: RunFolder, state: Any) -> None:
    spec, algo = trainer.env.spec, cfg.algo
    count = nets.num_parameters(state.learner.model), nets.num_parameters(state.learner.actor)
    device = jax.devices()[0]
    print(f"run      {run.path}")
    print(
        f"task     {spec.name}: {spec.obs_size} observations, {spec.action_size} actions, "
        f"{spec.episode_length} steps of {spec.ctrl_dt * 1e3:.3g} ms"
    )
    print(f"engine   {spec.engine}, {algo.worlds} worlds; learner on {device.device_kind}")
    print(f"networks world model {count[0]:,} parameters, actor {count[1]:,}")
    print(
        f"budget   {algo.env_steps:,} env steps = {trainer.algorithm.iterations} iterations of "
        f"{algo.steps_per_iteration:,} steps and {algo.updates} model updates",
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
        length = int(evaluation.length[0]) + 1
        try:
            qpos = np.asarray(evaluation.qpos[:length])
            made["video"] = str(view.video(env.engine.model, qpos, env.spec.ctrl_dt, run.video))
        except view.RenderingUnavailableError as error:
            print(f"no video: {error}")
    return made


def evaluate_run(
    run: RunFolder, episodes: int | None = None, seed: int | None = None
) -> tuple[Config, Evaluation, int]:
    """Evaluates the newest checkpoint of a run: its configuration, the episodes, the iteration."""
    cfg = config.load_yaml(Config, run.config)
    if episodes is not None:
        cfg = dataclasses.replace(cfg, episodes=episodes)
    trainer = build(cfg)
    state, iteration, _ = _start(trainer, run, jax.random.key(cfg.seed), resume=True)
    key = _eval_key(cfg if seed is None else dataclasses.replace(cfg, seed=seed))
    return cfg, jax.device_get(trainer.evaluate(state, key)), iteration


def new_run(cfg: Config, preset: str, name: str | None, folder: Path) -> RunFolder:
    """Checks the configuration, then makes the run's folder with it."""
    build(cfg)
    run = runs.create(folder, name, preset)
    config.save_yaml(cfg, run.config)
    return run
