"""Settings of first-order policy optimisation through the simulator, and their ranges."""

import dataclasses
from typing import Literal

from mjxwm.maths import ranges
from mjxwm.models import actor_critic


@dataclasses.dataclass(frozen=True)
class Config:
    """SHAC's settings. SAPO and APG are the same algorithm with other values, see `configs/`.

    SHAC: one critic with a target copy, no entropy. SAPO: entropy with a tuned weight, two critics,
    their mean for the actor and their minimum for the targets, no target copy. APG, also called
    BPTT: `bootstrap: false`, no critic at all.
    """

    env_steps: int = 4_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps."""
    worlds: int = 64
    """Worlds stepped in parallel (B)."""
    unroll: int = 32
    """Steps of a window, through which the gradient flows (H)."""
    gamma: float = 0.99
    """Discount per agent step."""
    lam: float = 0.95
    """Lambda of the critic's targets."""
    bootstrap: bool = True
    """Whether a critic values what follows a window; without, nothing does (APG)."""
    actor_value: Literal["mean", "min"] = "min"
    """How the critics' values combine where the actor's return ends; targets take the minimum."""
    target_tau: float = 0.8
    """Share of the critic that its target copy takes over per iteration; 1 is no target."""
    critic_epochs: int = 16
    """Passes of the critic over the window's data per iteration."""
    critic_batches: int = 4
    """Minibatches of a pass; each has about equally many steps of every world."""
    entropy: float = 0.0
    """Weight of the policy's entropy in rewards and values, relative to one reward of size 1 per
    step; where it is tuned, the weight at the start."""
    tune_entropy: bool = False
    """Whether the weight is learned, so that the entropy stays at -(number of actions) / 2."""
    detach: bool = False
    """Cut the gradient from state to action, as PWM does in its model."""
    world_clip: float = 1000.0
    """Largest norm of one world's gradient, before the mean over worlds is taken. It is there for
    outliers: where it catches ordinary windows (`actor/clipped`), a world that falls no longer
    weighs more than one that does not, and the policy learns to fall (docs/results)."""
    clip: float = 1.0
    """Largest norm of the mean gradient."""
    max_dropped: float = 0.5
    """Largest share of the worlds whose gradients may be dropped, because they are not finite, in
    the iterations between two rows of the record; beyond, the run ends with an error. With 1 it
    goes on whatever is dropped."""
    actor_lr: float = 2e-3
    """Learning rate of the actor; it falls linearly over the budget, as does the critic's."""
    critic_lr: float = 2e-3
    """Learning rate of the critics."""
    entropy_lr: float = 5e-3
    """Learning rate of the entropy's weight."""
    final_lr: float = 1e-5
    """Learning rate at the end of the budget."""
    policy: actor_critic.Config = actor_critic.Config(
        actor=(128, 64, 32), critic=(64, 64), critics=1, init_std=0.37, min_std=0.01
    )
    """Actor and critics; they see observations in deviations from their running mean."""

    @property
    def value_unit(self) -> float:
        """What a critic's output of 1 stands for: a reward of 1 in every step, 1 / (1 - gamma)."""
        return 1 / max(1 - self.gamma, 1e-3)

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.worlds * self.unroll

    @property
    def iterations(self) -> int:
        """Iterations until the budget is spent, at least one."""
        return max(1, -(-self.env_steps // self.steps_per_iteration))

    @property
    def updates(self) -> int:
        """Actor updates per iteration: one, along the gradient of one window."""
        return 1


def validate(config: Config) -> None:
    """Raises ValueError on the first setting that is out of its range."""
    ranges.above_zero(
        config, "env_steps", "worlds", "unroll", "critic_epochs", "critic_batches", "world_clip",
        "clip", "actor_lr", "critic_lr", "entropy_lr",
    )  # fmt: skip
    ranges.shares(config, "gamma", "lam", "target_tau", "max_dropped")
    ranges.at_least(config, 0, "entropy", "final_lr")
    passes = config.critic_epochs * config.critic_batches
    ranges.countable("updates of a network", config.iterations * passes)
    if config.tune_entropy and not config.entropy > 0:
        raise ValueError(
            f"entropy={config.entropy} with tune_entropy: the weight is tuned by factors, so it "
            "must start above 0"
        )
