"""Configuration of TD-MPC2, the allowed ranges, and its named model sizes."""

import dataclasses
from typing import ClassVar

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
"""TD-MPC2's model sizes: (encoder width, width of other networks, latent, encoder layers, Qs)."""


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
    """The world model. Set its `continuation` to 1 for tasks that terminate episodes."""
    q_hidden: tuple[int, ...] = (512, 512)
    """Hidden layer sizes of each Q and of the policy."""
    num_q: int = 5
    """Number of Qs in the ensemble."""
    dropout: float = 0.01
    """Dropout rate in the Qs' first hidden layer, in training."""
    task_size: int = 0
    """Size of the task embeddings; 0 for a single task."""
    value: float = 0.1
    """Weight of the Qs' loss."""


def sized(size: str, task_size: int = 0, latent: int | None = None) -> NetworkConfig:
    """The network configuration of a named model size.

    Args:
        size: a key of `SIZES`.
        task_size: size of the task embeddings; TD-MPC2 has 96 for its 80 tasks and 64 for its 30
            tasks (96 at 1M and 317M).
        latent: latent size, if another than that of `size`; TD-MPC2's 19M model of 30 tasks has
            512.

    Raises:
        ValueError: no size has this name.
    """
    if size not in SIZES:
        raise ValueError(f"size {size!r} is unknown; there are: {', '.join(SIZES)}")
    encoder, width, default, layers, num_q = SIZES[size]
    base = NetworkConfig()
    model = dataclasses.replace(
        base.model,
        latent=latent or default,
        encoder=(encoder,) * max(layers - 1, 1),
        hidden=(width, width),
    )
    return dataclasses.replace(
        base, model=model, q_hidden=(width, width), num_q=num_q, task_size=task_size
    )


@dataclasses.dataclass(frozen=True)
class Planning:
    """Configuration of the MPPI planner; the defaults are TD-MPC2's."""

    plan_horizon: int = 3
    """Steps of a plan (H); the Qs give the value of its last state."""
    iterations: int = 6
    """Refinement iterations per plan (I); two more for tasks with at least 20 actions."""
    samples: int = 512
    """Action sequences evaluated per iteration (S)."""
    policy_samples: int = 24
    """How many of these are rollouts of the policy (P)."""
    elites: int = 64
    """Best sequences, from which the next iteration's mean and deviation are computed (E)."""
    min_std: float = 0.05
    """Lower bound of the standard deviation of sampled actions."""
    max_std: float = 2.0
    """Upper bound of the standard deviation, and its initial value."""
    temperature: float = 0.5
    """Factor on the values in the softmax that weighs elites: a larger one is sharper."""


@dataclasses.dataclass(frozen=True)
class Config(Replayed):
    """Configuration of online TD-MPC2 on one task; the defaults are those of the released code."""

    spread: ClassVar[tuple[str, ...]] = ("worlds", "batch")

    env_steps: int = 1_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps."""
    worlds: int = 4
    """Worlds stepped in parallel (B)."""
    unroll: int = 8
    """Steps per world and iteration (T)."""
    warmup: int = 80
    """Unrolls with random actions before the first update; they count as env steps."""
    capacity: int = 1_000_000
    """Transitions that the replay buffer holds, over all worlds."""
    update_ratio: float = 768.0
    """Transitions trained on per transition collected; 768 is one update of 256 windows of 3 steps
    per env step."""
    batch: int = 256
    """Windows per update (N)."""
    horizon: int = 3
    """Steps that the world model predicts in training; windows have one more."""
    gamma: float | None = None
    """Discount per action; by default TD-MPC2's rule for the episode length."""
    lr: float = 3e-4
    """Learning rate of all networks but the encoder."""
    encoder_lr: float = 0.3
    """Learning rate of the encoder, as a fraction of `lr`."""
    tau: float = 0.01
    """The target Qs move by this fraction towards the Qs per update."""
    entropy: float = 1e-4
    """Weight of the policy's entropy, relative to Qs divided by their 5 to 95 percentile range."""
    squashed: bool = False
    """Whether that is the entropy of the action after tanh; else that of the Gaussian before it,
    times the number of actions, as in TD-MPC2's code. See `entropy.gaussian_entropy` for what goes
    wrong with that; with a planner the policy only proposes."""
    collect_with: str = "planner"
    """What chooses actions in collection and evaluation: planner or policy."""
    networks: NetworkConfig = NetworkConfig()
    """Sizes of the networks."""
    planning: Planning = Planning()
    """The planner's configuration."""

    @property
    def gradient_steps(self) -> int:
        """See `AlgorithmConfig`: of the model with its Qs, and of the policy, in each update."""
        return 2 * self.updates


def discount(episode_length: int) -> float:
    """TD-MPC2's discount for episodes of `episode_length` actions: 0.95 for 100, 0.99 for 500."""
    fraction = episode_length / 5
    return min(max((fraction - 1) / fraction, 0.95), 0.995)


def validate(config: Config) -> None:
    """Raises ValueError if a setting is out of range."""
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
    """Raises ValueError if a setting of the planner is out of range."""
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
