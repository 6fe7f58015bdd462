"""Configuration of SHAC, SAPO and APG, and the allowed ranges."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.maths import ranges
from mjxwm.models import actor_critic


@dataclasses.dataclass(frozen=True)
class Config(AlgorithmConfig):
    """Configuration of SHAC; SAPO and APG are the same algorithm with other values, see `configs/`.

    SHAC: one critic with a target copy, no entropy. SAPO: entropy with a learned weight; two
    critics without target copies, the actor takes their mean and the targets their minimum. APG,
    also called BPTT: no critic (`bootstrap: false`).
    """

    spread: ClassVar[tuple[str, ...]] = ("worlds",)
    falling: ClassVar[tuple[str, ...]] = ("actor_lr", "critic_lr")

    env_steps: int = 4_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps."""
    worlds: int = 64
    """Worlds stepped in parallel (B)."""
    unroll: int = 32
    """Steps of a window (H): the gradient flows through this many simulator steps."""
    gamma: float = 0.99
    """Discount per agent step."""
    lam: float = 0.95
    """Lambda of the critics' TD(lambda) targets."""
    bootstrap: bool = True
    """Whether the critics' value of the last state is added to a window's return; false is APG."""
    actor_value: Literal["mean", "min"] = "min"
    """How the critics' values of a window's last state combine for the actor; targets take the
    minimum."""
    target_tau: float = 0.8
    """The target critics move by this fraction towards the critics per iteration; 1 means no target
    critics."""
    critic_epochs: int = 16
    """Epochs over a window's data in which the critics are trained, per iteration."""
    critic_batches: int = 4
    """Minibatches of an epoch; each has about equally many steps of every world."""
    entropy: float = 0.0
    """Weight of the policy's normalised entropy, which is added to rewards; under `tune_entropy`
    the initial weight."""
    tune_entropy: bool = False
    """Whether the weight is learned such that the entropy stays near -(number of actions) / 2."""
    detach: bool = False
    """Stop the gradient from the observation into the actor, as PWM does in its model."""
    world_clip: float = 1000.0
    """Largest norm of a single world's gradient, clipped before the mean over worlds. It is meant
    for outliers: if ordinary windows are clipped as well (see the metric `actor/clipped`), worlds
    that fall no longer weigh more than others, and the policy learns to fall (docs/results)."""
    clip: float = 1.0
    """Largest norm of the mean gradient over worlds."""
    max_dropped: float = 0.5
    """Largest fraction of the worlds whose gradients may be dropped because they are not finite;
    above it, the iteration's update of the actor is skipped, and the run stops after
    `stop_after_skips` such iterations. With 1, the run never stops for this reason."""
    actor_lr: float = 2e-3
    """Learning rate of the actor; both it and the critics' fall linearly to `final_lr`."""
    critic_lr: float = 2e-3
    """Learning rate of the critics."""
    entropy_lr: float = 5e-3
    """Learning rate of the entropy's weight."""
    final_lr: float = 1e-5
    """Learning rate at the end of the run."""
    policy: actor_critic.Config = actor_critic.Config(
        actor=(128, 64, 32), critic=(64, 64), critics=1, init_std=0.37, min_std=0.01
    )
    """Sizes of actor and critics, and the policy's noise."""

    @property
    def value_unit(self) -> float:
        """Critics output values divided by this: the return of a reward of 1 in every step."""
        return 1 / max(1 - self.gamma, 1e-3)

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.worlds * self.unroll

    @property
    def updates(self) -> int:
        """Actor updates per iteration: always one."""
        return 1

    @property
    def gradient_steps(self) -> int:
        """See `AlgorithmConfig`: of the actor, and of the critics, which APG lacks."""
        return self.updates + self.bootstrap * self.critic_epochs * self.critic_batches

    def advice(self, metrics: Mapping[str, Any]) -> str:
        """See `AlgorithmConfig`: what to do where too few gradients are left to learn from."""
        dropped = metrics["actor/dropped"]
        if dropped <= self.max_dropped:
            return ""
        return (
            f"the gradients of {dropped:.0%} of the worlds were not finite and were dropped, more "
            f"than max_dropped={self.max_dropped:g} allows. Look for a reward or observation that "
            "has no derivative where worlds are (a root or a norm at 0), take a shorter unroll "
            f"(now {self.unroll}), or raise max_dropped"
        )


def validate(config: Config) -> None:
    """Raises ValueError if a setting is out of range."""
    ranges.above_zero(
        config, "env_steps", "worlds", "unroll", "critic_epochs", "critic_batches", "world_clip",
        "clip", "actor_lr", "critic_lr", "entropy_lr",
    )  # fmt: skip
    ranges.shares(config, "gamma", "lam", "target_tau", "max_dropped")
    ranges.at_least(config, 0, "entropy", "final_lr")
    critic_updates = config.critic_epochs * config.critic_batches
    ranges.countable("updates of a network", config.iterations * critic_updates)
    if config.tune_entropy and not config.entropy > 0:
        raise ValueError(
            f"entropy={config.entropy} with tune_entropy: the weight is tuned by factors, so it "
            "must start above 0"
        )
