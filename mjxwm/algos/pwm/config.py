"""PWM's settings, and their ranges."""

import dataclasses
from typing import Literal

from mjxwm.algos.budget import Replayed
from mjxwm.maths import ranges
from mjxwm.models import actor_critic, world_model


@dataclasses.dataclass(frozen=True)
class Config(Replayed):
    """PWM's settings; the defaults are those of the released single-task code."""

    env_steps: int = 10_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps."""
    worlds: int = 64
    """Worlds stepped in parallel (B)."""
    unroll: int = 16
    """Steps per world and iteration (T)."""
    warmup: int = 2
    """Unrolls with random actions before the first update; they count as env steps."""
    capacity: int = 1_000_000
    """Transitions that the replay holds, over all worlds."""
    update_ratio: float = 64.0
    """Transitions replayed for the world model per transition collected."""
    batch: int = 256
    """Windows per world-model update."""
    horizon: int = 16
    """Steps predicted by the world model in training."""
    imagine_batch: int = 64
    """Imagined rollouts per actor update."""
    imagine_horizon: int = 16
    """Steps of an imagined rollout (H)."""
    model_steps: int = 1
    """World-model updates per actor update."""
    critic_steps: int = 4
    """Critic updates per actor update, each on all imagined states."""
    critic_replay: float = 0.0
    """Weight of the critics' error on replayed windows, against that on imagined ones; PWM has no
    such term. It keeps values from following a model that overlooks falls."""
    act_in: Literal["float32", "bfloat16"] = "float32"
    """Type of the policy's matrix products in collection. What was done is what is learned from,
    so that the coarser one costs no accuracy, and pays where a CPU or GPU has matrix units."""
    gamma: float = 0.99
    """Discount per agent step."""
    lam: float = 0.95
    """Lambda of the critic's targets."""
    detach: bool = True
    """Cut the gradient from state to action in imagination, as PWM does."""
    entropy: float = 1e-3
    """Weight of the policy's entropy against returns in units of their deviation; PWM has none.
    It keeps tanh from saturating, where every gradient of the return vanishes."""
    target_tau: float = 1.0
    """Share of the critic that its target copy takes over per update; 1 is PWM's: no target."""
    model_lr: float = 3e-4
    """Learning rate of the world model; all three decay linearly over the budget."""
    actor_lr: float = 5e-4
    """Learning rate of the actor."""
    critic_lr: float = 5e-4
    """Learning rate of the critics."""
    final_lr: float = 1e-5
    """Learning rate at the end of the budget."""
    model: world_model.Config = world_model.Config()
    """The world model."""
    policy: actor_critic.Config = actor_critic.Config()
    """Actor and critics."""

    @property
    def value_unit(self) -> float:
        """What a critic's output of 1 stands for: a reward of 1 in every step, 1 / (1 - gamma)."""
        return 1 / max(1 - self.gamma, 1e-3)

    @property
    def policy_updates(self) -> int:
        """Actor updates per iteration: they follow the data collected."""
        return self.rounds(self.model_steps)

    @property
    def updates(self) -> int:
        """World-model updates per iteration, `model_steps` for each of the actor."""
        return self.policy_updates * self.model_steps


def validate(config: Config) -> None:
    """Raises ValueError on the first setting that is out of its range."""
    ranges.above_zero(
        config, "env_steps", "worlds", "unroll", "warmup", "batch", "horizon", "imagine_batch",
        "imagine_horizon", "model_steps", "critic_steps", "model_lr", "actor_lr", "critic_lr",
        "update_ratio",
    )  # fmt: skip
    ranges.shares(config, "gamma", "lam", "target_tau")
    ranges.at_least(config, 0, "entropy", "final_lr", "critic_replay")
    config.check_warmup()
    rounds = config.iterations * config.policy_updates
    ranges.countable("updates of a network", rounds * max(config.model_steps, config.critic_steps))
    need = (config.horizon + 1) * config.worlds
    if config.capacity < need:
        raise ValueError(f"capacity={config.capacity} is out of range; it must be at least {need}")
