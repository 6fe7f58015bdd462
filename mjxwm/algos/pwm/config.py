"""Configuration of PWM, and the allowed ranges."""

import dataclasses
from typing import ClassVar

from mjxwm.algos.budget import Replayed
from mjxwm.maths import ranges
from mjxwm.models import actor_critic, world_model
from mjxwm.models.nets import Compute


@dataclasses.dataclass(frozen=True)
class Config(Replayed):
    """Configuration of PWM; the defaults are those of the released single-task code."""

    spread: ClassVar[tuple[str, ...]] = ("worlds", "batch", "imagine_batch")
    falling: ClassVar[tuple[str, ...]] = ("model_lr", "actor_lr", "critic_lr")

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
    """Transitions that the replay buffer holds, over all worlds."""
    update_ratio: float = 64.0
    """Transitions that the world model trains on per transition collected; sets the number of
    updates per iteration."""
    batch: int = 256
    """Windows per world-model update (N)."""
    horizon: int = 16
    """Steps that the world model predicts in training; windows have one more."""
    imagine_batch: int = 64
    """Imagined rollouts per actor update."""
    imagine_horizon: int = 16
    """Steps of an imagined rollout (H)."""
    model_steps: int = 1
    """World-model updates per actor update."""
    critic_steps: int = 4
    """Critic updates per actor update, each on all imagined states."""
    critic_replay: float = 0.0
    """Weight of the critics' loss on replayed windows, relative to that on imagined rollouts; 0 in
    PWM. Above 0, real terminations correct the values where the model does not predict them."""
    compute: Compute = "float32"
    """Type of matrix products in updates, and of what they keep for the backward pass; parameters,
    sums, losses and optimisers are in float32. With bfloat16 networks are single kernels on GPUs,
    and updates take half of the time."""
    act_in: Compute = "float32"
    """Type of the policy's matrix products in collection. The data hold the actions really taken,
    so rounding biases nothing; bfloat16 is faster on CPUs and GPUs with matrix units."""
    noise_range: tuple[float, float] = (1.0, 1.0)
    """Factors on the policy's noise in the first and in the last world in collection, with a
    geometric ladder between them, as in Ape-X (Horgan et al. 2018, arXiv 1803.00933). A body that
    falls under noise needs worlds with little of it, and the model some with much, to know what
    other actions do. Imagination and evaluation are not concerned."""
    gamma: float = 0.99
    """Discount per agent step."""
    lam: float = 0.95
    """Lambda of the critics' TD(lambda) targets."""
    detach: bool = True
    """Stop the gradient from the latent into the actor during imagination, as PWM does."""
    entropy: float = 1e-3
    """Weight of the policy's entropy, relative to returns divided by their standard deviation; 0 in
    PWM. It keeps tanh from saturating, where the gradient of the return vanishes."""
    target_tau: float = 1.0
    """The target critics move by this fraction towards the critics per update; 1, as in PWM, means
    no target critics."""
    model_lr: float = 3e-4
    """Learning rate of the world model; all three fall linearly to `final_lr` over the run."""
    actor_lr: float = 5e-4
    """Learning rate of the actor."""
    critic_lr: float = 5e-4
    """Learning rate of the critics."""
    final_lr: float = 1e-5
    """Learning rate at the end of the run."""
    model: world_model.Config = world_model.Config()
    """Sizes and loss weights of the world model."""
    policy: actor_critic.Config = actor_critic.Config()
    """Sizes of actor and critics, and the policy's noise."""

    @property
    def value_unit(self) -> float:
        """Critics output values divided by this: the return of a reward of 1 in every step."""
        return 1 / max(1 - self.gamma, 1e-3)

    @property
    def policy_updates(self) -> int:
        """Actor updates per iteration."""
        return self.rounds(self.model_steps)

    @property
    def updates(self) -> int:
        """World-model updates per iteration: `model_steps` for each actor update."""
        return self.policy_updates * self.model_steps

    @property
    def gradient_steps(self) -> int:
        """See `AlgorithmConfig`: of world model, actor and critics."""
        return self.policy_updates * (self.model_steps + 1 + self.critic_steps)


def validate(config: Config) -> None:
    """Raises ValueError if a setting is out of range."""
    ranges.above_zero(
        config, "env_steps", "worlds", "unroll", "warmup", "batch", "horizon", "imagine_batch",
        "imagine_horizon", "model_steps", "critic_steps", "model_lr", "actor_lr", "critic_lr",
        "update_ratio",
    )  # fmt: skip
    ranges.shares(config, "gamma", "lam", "target_tau")
    ranges.at_least(config, 0, "entropy", "final_lr", "critic_replay")
    least, most = config.noise_range
    if not 0 <= least <= most or (least == 0) != (most == 0):
        raise ValueError(
            f"noise_range={config.noise_range} is out of range; it must be two factors above 0, "
            "the smaller one first, or [0, 0] for no noise"
        )
    config.check_warmup()
    rounds = config.iterations * config.policy_updates
    ranges.countable("updates of a network", rounds * max(config.model_steps, config.critic_steps))
    least = (config.horizon + 1) * config.worlds
    if config.capacity < least:
        raise ValueError(f"capacity={config.capacity} is out of range; it must be at least {least}")
