"""What the gradient laboratory measures, and with how many samples."""

import dataclasses

from mjxwm import ConfigError
from mjxwm.maths import ranges


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the laboratory's measurement."""

    horizon: int = 16
    """Steps of a path (H), PWM's 16 by default."""
    horizons: tuple[int, ...] = (1, 2, 4, 8)
    """Shorter horizons, measured for action sequences alone."""
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
    worlds: int = 64
    """Worlds in which the policy plays to find start states."""
    steps: int = 200
    """Steps that it plays."""
    seed: int = 0
    """Seed of everything that is random."""


def validate(config: Config) -> None:
    """Raises ConfigError on the first setting that is out of its range."""
    ranges.sound(config)
    ranges.above_zero(config, "horizon", "states", "worlds", "smoothing", "soft_time")
    ranges.at_least(config, 8, "samples")
    ranges.at_least(config, 64, "truth")
    if config.steps <= 2 * config.horizon:
        raise ConfigError(
            f"steps={config.steps} is too few to find starts that horizon={config.horizon} steps "
            "follow; it must be above twice the horizon"
        )
    wrong = [h for h in config.horizons if not 0 < h < config.horizon]
    if wrong:
        raise ConfigError(
            f"horizons={config.horizons}: {wrong[0]} is out of range; they must be above 0 and "
            f"below horizon={config.horizon}"
        )
