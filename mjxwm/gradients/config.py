"""What the gradient laboratory measures, and with how many samples."""

import dataclasses
from typing import Literal, get_args

from mjxwm import ConfigError
from mjxwm.maths import ranges

TRUTH = "zeroth_simulator"
NEEDED = (TRUTH, "simulator", "model")
"""Estimators that gates and findings are about."""
Name = Literal[
    "zeroth_simulator", "simulator", "simulator_detached", "model", "model_detached", "hybrid",
    "hybrid_detached", "zeroth_model", "soft", "smoothed",
]  # fmt: skip
Level = Literal["plan", "actor"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the laboratory's measurement."""

    horizon: int = 16
    """Steps of a path (H), PWM's 16 by default."""
    horizons: tuple[int, ...] = (1, 2, 4, 8)
    """Shorter horizons, measured for action sequences alone, on the beginnings of the same
    paths."""
    estimators: tuple[Name, ...] = get_args(Name)
    """Estimators that are measured: at least zeroth_simulator, simulator and model. `soft` is
    another program of the simulator's gradient, which compiles for minutes."""
    levels: tuple[Level, ...] = ("plan", "actor")
    """Gradients of what: plan, of action sequences (always), and actor, of policy parameters."""
    landscape: bool = True
    """Whether the objective is drawn along lines and steps are taken in it, which needs `actor`,
    and takes as long as all else."""
    states: int = 12
    """Start states per stratum."""
    samples: int = 32
    """Samples of each first-order estimator per start state."""
    truth: int = 8192
    """Zeroth-order samples in the simulator per start state, whose mean is the truth."""
    bootstrap: bool = True
    """Whether the critic values where a path ends."""
    smoothing: float = 0.02
    """Deviation of the perturbation of start positions and velocities, which every sample of
    `smoothed` draws anew."""
    soft_time: float = 0.08
    """Time constant of contacts in the backward pass of `soft` [s]."""
    resolution: bool = True
    """Whether gate 4 runs, which compiles the simulator's gradient twice more."""
    refit_data: int = 0
    """Env steps of the policy, with its noise, that dynamics, reward and continuation are trained
    on anew, the encoder staying as it is; 0 leaves the run's model."""
    refit_window: int = 8
    """Steps that such a model predicts in training."""
    refit_updates: int = 4000
    """Updates of such a model, or of such critics."""
    refit_values: int = 0
    """Env steps of the policy from whose returns the critics, which value where a path ends, are
    fitted anew; 0 leaves the run's critics."""
    worlds: int = 64
    """Worlds in which the policy plays to find start states, and for what is trained anew."""
    steps: int = 200
    """Steps that it plays."""
    seed: int = 0
    """Seed of everything that is random."""


def validate(config: Config) -> None:
    """Raises ConfigError on the first setting that is out of its range."""
    ranges.sound(config)
    ranges.above_zero(config, "horizon", "states", "worlds", "smoothing", "soft_time")
    ranges.at_least(config, 0, "refit_data", "refit_values")
    ranges.at_least(config, 1, "refit_window", "refit_updates")
    ranges.at_least(config, 8, "samples")
    ranges.at_least(config, 64, "truth")
    if config.steps <= 2 * config.horizon:
        raise ConfigError(
            f"steps={config.steps} is too few to find starts that horizon={config.horizon} steps "
            "follow; it must be above twice the horizon"
        )
    missing = [name for name in NEEDED if name not in config.estimators]
    if missing:
        raise ConfigError(
            f"estimators={' '.join(config.estimators)} lacks {missing[0]}: {', '.join(NEEDED)} are "
            "what gates and findings are about"
        )
    if "plan" not in config.levels:
        raise ConfigError(f"levels={' '.join(config.levels)} lacks plan, which gates are about")
    if config.landscape and "actor" not in config.levels:
        raise ConfigError(
            "landscape=True needs the gradients of policy parameters: add actor to --levels, or "
            "leave it out with --no-landscape"
        )
    wrong = [h for h in config.horizons if not 0 < h < config.horizon]
    if wrong:
        raise ConfigError(
            f"horizons={config.horizons}: {wrong[0]} is out of range; they must be above 0 and "
            f"below horizon={config.horizon}"
        )
