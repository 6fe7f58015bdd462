"""Settings of the multi-task path: what is collected, pre-trained and extracted."""

import dataclasses
from typing import Literal

from mjxwm.algos.tdmpc2 import NetworkConfig, sized
from mjxwm.algos.tdmpc2.config import SIZES
from mjxwm.maths import ranges
from mjxwm.models import actor_critic


@dataclasses.dataclass(frozen=True)
class Collect:
    """Single-task runs whose data a model is made of."""

    preset: str = "pwm-dmc-cpu"
    """Preset of the runs, one per task and seed."""
    env_steps: int | None = None
    """Env steps per run; by default the preset's."""
    seeds: int = 1
    """Runs per task."""
    seed: int = 0
    """Seed of a task's first run; the others follow."""


@dataclasses.dataclass(frozen=True)
class Pretrain:
    """One world model, with Qs and a policy, from data alone."""

    size: Literal["1M", "5M", "19M", "48M", "317M"] = "5M"
    """TD-MPC2's name of the size."""
    task_size: int = 96
    """Size of a task's embedding."""
    latent: int | None = None
    """Another latent than the size's."""
    normalize: bool = False
    """Whether observations are seen in deviations of the task's data. TD-MPC2 sees them as they
    are: what is small, such as the way to a target, is all but lost beside angles."""
    updates: int = 200_000
    """Updates in all."""
    batch: int = 256
    """Windows per update."""
    horizon: int = 16
    """Steps predicted. 16 is PWM's; TD-MPC2's is 3."""
    rho: float = 0.99
    """Decay of the loss per predicted step. 0.99 is PWM's; TD-MPC2's is 0.5."""
    continuation: float = 0.0
    """Weight of the error of whether an episode goes on, 1 for tasks that end episodes. With 0 the
    model has no such output, as TD-MPC2's of dm_control and Meta-World, where nothing ends them."""
    lr: float = 3e-4
    """Learning rate of everything but the encoder."""
    encoder_lr: float = 0.3
    """The encoder's learning rate, as a share of `lr`."""
    final_lr: float = 1.0
    """Learning rate at the end, as a share of `lr`; it falls linearly."""
    tau: float = 0.01
    """Share of the Qs that their targets take over per update."""
    entropy: float = 1e-4
    """Weight of the policy's entropy against Qs in units of their range."""
    updates_per_iteration: int = 50
    """Updates per call of the compiled program."""

    @property
    def networks(self) -> NetworkConfig:
        """The networks of this size."""
        made = sized(self.size, self.task_size, self.latent)
        model = dataclasses.replace(made.model, rho=self.rho, continuation=self.continuation)
        return dataclasses.replace(made, model=model)

    @property
    def iterations(self) -> int:
        """Calls until all updates are done."""
        return max(1, -(-self.updates // self.updates_per_iteration))


@dataclasses.dataclass(frozen=True)
class Extract:
    """A policy for one task by first-order gradients through a model that is given (PWM)."""

    updates: int = 10_000
    """Actor updates."""
    batch: int = 512
    """Imagined rollouts per actor update."""
    horizon: int = 16
    """Steps of an imagined rollout; and of the windows where the data's own steps are learned."""
    critic_steps: int = 8
    """Critic updates per actor update, each on all imagined states (under imitation: on all steps
    of the windows). PWM's 32 are each on a quarter of them."""
    gamma: float | None = None
    """Discount per action; by default TD-MPC2's for the episode's length."""
    lam: float = 0.95
    """Lambda of the critic's targets; under imitation they are of one step."""
    detach: bool = True
    """Cut the gradient from state to action in imagination, as PWM does."""
    entropy: float = 1e-3
    """Weight of the policy's entropy against returns in units of their deviation."""
    pessimism: float = 0.0
    """Deviations of the Qs' ensemble that are taken off each reward: what the data do not know is
    worth less. PWM has none."""
    imitation: float = 0.0
    """Weight of the squared distance from the policy's mean to the data's better actions, against
    returns in units of their deviation. With it, values are those of the data, see `in_sample`.
    PWM has none."""
    expectile: float = 0.7
    """Of the data's one-step targets, for values under imitation: 0.5 is what was done on average,
    towards 1 what was best; or luckiest, where the world is stochastic."""
    temperature: float = 0.2
    """Of imitation's weights, in deviations of the advantage. They are cut at 3 temperatures above
    the mean: far below 1, those better than the mean are imitated alike and the others not."""
    finetune: bool = False
    """Whether the model goes on learning, on the task's data alone."""
    model_lr: float = 1e-4
    """Learning rate of the model where it goes on learning."""
    actor_lr: float = 5e-4
    """Learning rate of the actor."""
    critic_lr: float = 5e-4
    """Learning rate of the critics."""
    updates_per_iteration: int = 50
    """Updates per call of the compiled program."""
    policy: actor_critic.Config = actor_critic.Config()
    """Actor and critics."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A multi-task preset."""

    tasks: str = "mt30"
    """Name of a task set; or tasks of them, separated by commas; or all, for every task that the
    data set has, your own too."""
    data: str = "data"
    """Folder of the data set."""
    collect: Collect = Collect()
    """The data."""
    pretrain: Pretrain = Pretrain()
    """The model."""
    extract: Extract = Extract()
    """The policies."""
    seed: int = 0
    """Seed of everything that is random."""


def validate(config: Pretrain) -> None:
    """Raises ValueError on the first setting that is out of its range."""
    ranges.above_zero(
        config, "updates", "batch", "horizon", "lr", "updates_per_iteration", "task_size"
    )
    ranges.at_least(config, 1, "latent")
    ranges.at_least(config, 0, "entropy")
    ranges.shares(config, "rho", "encoder_lr", "final_lr", "tau")
    ranges.at_least(config, 0, "continuation")
    if config.size not in SIZES:
        raise ValueError(f"size={config.size!r} is unknown; there are: {', '.join(SIZES)}")


def validate_extract(config: Extract) -> None:
    """Raises ValueError on the first setting that is out of its range."""
    ranges.above_zero(
        config, "updates", "batch", "horizon", "critic_steps", "model_lr", "actor_lr", "critic_lr",
        "updates_per_iteration", "temperature",
    )  # fmt: skip
    ranges.at_least(config, 0, "entropy", "pessimism", "imitation")
    if config.pessimism and config.imitation:
        raise ValueError(
            f"pessimism={config.pessimism} and imitation={config.imitation} exclude each "
            "other: under imitation values are the data's, which pessimism does not reach. One "
            "must be 0"
        )
    if not 0 < config.expectile < 1:
        raise ValueError(
            f"expectile={config.expectile} is out of range; it must be above 0 and below 1"
        )
    ranges.shares(config, "lam", "gamma")
