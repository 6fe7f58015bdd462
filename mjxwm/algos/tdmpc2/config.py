"""TD-MPC2's settings, their ranges, and the sizes that its models come in."""

import dataclasses

from mjxwm.algos.budget import Replayed
from mjxwm.maths import ranges
from mjxwm.models import world_model

SIZES = {
    "1M": (256, 384, 128, 2, 2),
    "5M": (256, 512, 512, 2, 5),
    "19M": (1024, 1024, 768, 3, 5),
    "48M": (1792, 1792, 768, 4, 5),
    "317M": (4096, 4096, 1376, 5, 8),
}
"""Encoder width, width of all other networks, latent, encoder layers, Qs; by TD-MPC2's names."""


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the networks, and the weights of their losses."""

    model: world_model.Config = world_model.Config(
        latent=512,
        encoder=(256,),
        hidden=(512, 512),
        reward_head="two-hot",
        consistency=20.0,
        reward=0.1,
        continuation=0.0,
        rho=0.5,
        encoder_init="normal",
    )
    """The world model. Its `continuation` is 1 for tasks that end episodes."""
    q_hidden: tuple[int, ...] = (512, 512)
    """Hidden layers of each Q and of the policy."""
    num_q: int = 5
    """Qs in the ensemble."""
    dropout: float = 0.01
    """Share of the Qs' first features that is dropped in training."""
    task_size: int = 0
    """Size of a task's embedding; 0 for a single task."""
    value: float = 0.1
    """Weight of the Qs' error."""


def sized(size: str, task_size: int = 0, latent: int | None = None) -> NetworkConfig:
    """One of TD-MPC2's sizes.

    Args:
        size: a key of `SIZES`.
        task_size: of a task's embedding; 96 for its 80 tasks, 64 for its 30 (96 at 1M and 317M).
        latent: another latent than the size's; its 19M model of 30 tasks has 512.

    Raises:
        ValueError: there is no such size.
    """
    if size not in SIZES:
        raise ValueError(f"size {size!r} is unknown; there are: {', '.join(SIZES)}")
    encoder, width, default, layers, num_q = SIZES[size]
    plain = NetworkConfig()
    model = dataclasses.replace(
        plain.model,
        latent=latent or default,
        encoder=(encoder,) * max(layers - 1, 1),
        hidden=(width, width),
    )
    return dataclasses.replace(
        plain, model=model, q_hidden=(width, width), num_q=num_q, task_size=task_size
    )


@dataclasses.dataclass(frozen=True)
class Planning:
    """MPPI's settings (Williams et al. 2015), as TD-MPC2 has them."""

    plan_horizon: int = 3
    """Steps that are planned ahead; the Qs judge what follows."""
    iterations: int = 6
    """Refinements of a plan; two more from 20 actions on."""
    samples: int = 512
    """Plans that are tried in each of them."""
    policy_samples: int = 24
    """How many of these the policy proposes."""
    elites: int = 64
    """How many of them shape the next iteration."""
    min_std: float = 0.05
    """Least deviation of sampled actions."""
    max_std: float = 2.0
    """Largest, and first, deviation."""
    temperature: float = 0.5
    """How sharply elites are weighted by their values."""


@dataclasses.dataclass(frozen=True)
class Config(Replayed):
    """TD-MPC2 online, on one task; the defaults are those of the released code."""

    env_steps: int = 1_000_000
    """Actions taken in all, over all worlds."""
    worlds: int = 4
    """Worlds stepped in parallel (B)."""
    unroll: int = 8
    """Steps per world and iteration (T)."""
    warmup: int = 80
    """Unrolls with random actions before the first update; they count as env steps."""
    capacity: int = 1_000_000
    """Transitions that the replay holds, over all worlds."""
    update_ratio: float = 768.0
    """Transitions replayed per transition collected; 768 is an update per step."""
    batch: int = 256
    """Windows per update."""
    horizon: int = 3
    """Steps predicted in training."""
    gamma: float | None = None
    """Discount per action; by default TD-MPC2's for the episode's length."""
    lr: float = 3e-4
    """Learning rate of everything but the encoder."""
    encoder_lr: float = 0.3
    """The encoder's learning rate, as a share of `lr`."""
    tau: float = 0.01
    """Share of the Qs that their targets take over per update."""
    entropy: float = 1e-4
    """Weight of the policy's entropy against Qs in units of their range."""
    collect_with: str = "planner"
    """Who acts in training and evaluation: planner or policy."""
    networks: NetworkConfig = NetworkConfig()
    """The networks."""
    planning: Planning = Planning()
    """The planner."""


def discount(episode_length: int) -> float:
    """TD-MPC2's discount for episodes of so many actions: 0.95 for 100, 0.99 for 500."""
    fraction = episode_length / 5
    return min(max((fraction - 1) / fraction, 0.95), 0.995)


def validate(config: Config) -> None:
    """Raises ValueError on the first setting that is out of its range."""
    ranges.above_zero(
        config, "env_steps", "worlds", "unroll", "warmup", "batch", "horizon", "lr", "update_ratio"
    )
    ranges.shares(config, "gamma", "tau", "encoder_lr")
    ranges.at_least(config, 0, "entropy")
    if config.collect_with not in ("planner", "policy"):
        raise ValueError(f"collect_with={config.collect_with!r}; choose planner or policy")
    ranges.at_least(config.networks, 2, "num_q")
    ranges.at_least(config.networks, 0, "task_size", "value")
    ranges.shares(config.networks, "dropout")
    validate_planning(config.planning)
    config.check_warmup()
    ranges.countable("updates of a network", config.iterations * config.updates)


def validate_planning(planning: Planning) -> None:
    """Raises ValueError on the planner's first setting that is out of its range."""
    ranges.at_least(planning, 1, "plan_horizon", "iterations")
    ranges.above_zero(planning, "min_std", "temperature")
    ranges.at_least(planning, planning.min_std, "max_std")
    if not 0 < planning.elites <= planning.samples:
        raise ValueError(
            f"elites={planning.elites} is out of range; it must be in 1..samples={planning.samples}"
        )
    if not 0 <= planning.policy_samples <= planning.samples:
        raise ValueError(
            f"policy_samples={planning.policy_samples} is out of range; it must be in "
            f"0..samples={planning.samples}"
        )
