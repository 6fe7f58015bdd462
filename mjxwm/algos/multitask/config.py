"""Configuration of multi-task learning: data collection, pre-training and policy extraction."""

import dataclasses
from typing import Literal

from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.algos.tdmpc2 import NetworkConfig, sized
from mjxwm.algos.tdmpc2.config import SIZES
from mjxwm.maths import ranges
from mjxwm.models import actor_critic


@dataclasses.dataclass(frozen=True)
class Collect:
    """Single-task runs that collect the data set."""

    preset: str = "pwm-dmc-cpu"
    """Preset of the runs, one per task and seed."""
    env_steps: int | None = None
    """Env steps per run; by default those of the preset."""
    seeds: int = 1
    """Runs per task."""
    seed: int = 0
    """Seed of a task's first run; further runs count up from it."""


@dataclasses.dataclass(frozen=True)
class Pretrain:
    """Pre-training of one TD-MPC2 model (world model, Qs, policy) on a data set of many tasks."""

    size: Literal["1M", "5M", "19M", "48M", "317M"] = "5M"
    """Size of the networks, by TD-MPC2's names (numbers of parameters)."""
    task_size: int = 96
    """Size of the task embeddings."""
    latent: int | None = None
    """Latent size, if another than that of `size`."""
    normalize: bool = False
    """Whether observations are normalised by the mean and deviation of their task's data. TD-MPC2
    does not: features of small size, such as a distance to a target, then have little effect."""
    updates: int = 200_000
    """Gradient updates in total."""
    batch: int = 256
    """Windows per update (N)."""
    horizon: int = 16
    """Steps that the model predicts in training (H): 16 in PWM, 3 in TD-MPC2."""
    rho: float = 0.99
    """The loss of predicted step t weighs rho^t: 0.99 in PWM, 0.5 in TD-MPC2."""
    continuation: float = 0.0
    """Weight of the loss that predicts whether the episode continues; take 1 if tasks terminate
    episodes. With 0 the model has no such head, as TD-MPC2's for dm_control and Meta-World, whose
    episodes never terminate."""
    lr: float = 3e-4
    """Learning rate of all networks but the encoder."""
    encoder_lr: float = 0.3
    """Learning rate of the encoder, as a fraction of `lr`."""
    final_lr: float = 1.0
    """Learning rate at the end, as a fraction of `lr`; it falls linearly."""
    tau: float = 0.01
    """The target Qs move by this fraction towards the Qs per update."""
    entropy: float = 1e-4
    """Weight of the policy's entropy, relative to Qs divided by their 5 to 95 percentile range."""
    squashed: bool = True
    """Whether that is the entropy of the action after tanh. Without, it is that of the Gaussian
    before it times the number of actions, as in TD-MPC2's code, under which the policy of `mt4-cpu`
    saturated."""
    updates_per_iteration: int = 50
    """Updates per call of the compiled program."""

    @property
    def networks(self) -> NetworkConfig:
        """Sizes of the networks."""
        sizes = sized(self.size, self.task_size, self.latent)
        model = dataclasses.replace(sizes.model, rho=self.rho, continuation=self.continuation)
        return dataclasses.replace(sizes, model=model)

    @property
    def iterations(self) -> int:
        """Calls of the compiled program until all updates are done."""
        return max(1, -(-self.updates // self.updates_per_iteration))


@dataclasses.dataclass(frozen=True)
class Extract:
    """Learning of one task's policy by first-order gradients through a pre-trained model (PWM)."""

    updates: int = 10_000
    """Actor updates."""
    batch: int = 512
    """Imagined rollouts per actor update."""
    horizon: int = 16
    """Steps of an imagined rollout (H), and of the windows of `finetune` and `imitation`."""
    critic_steps: int = 8
    """Critic updates per actor update, each on all imagined states (under `imitation`: on all steps
    of the windows). PWM's code makes 32, each on a quarter of the states."""
    gamma: float | None = None
    """Discount per action; by default TD-MPC2's rule for the episode length."""
    lam: float = 0.95
    """Lambda of the critics' TD(lambda) targets; unused under `imitation` (one-step targets)."""
    detach: bool = True
    """Stop the gradient from the latent into the actor during imagination, as PWM does."""
    entropy: float = 1e-3
    """Weight of the policy's entropy, relative to returns divided by their standard deviation."""
    pessimism: float = 0.0
    """Standard deviations of the ensemble of Qs that are subtracted from rewards, so that states
    and actions that the data do not cover are worth less. 0 in PWM."""
    disagreement: float = 0.0
    """Standard deviations that are subtracted from rewards: of the next state's value, over an
    ensemble of dynamics that is trained beside on the task's data, see `disagreement`. 0 in PWM."""
    ensemble: int = 4
    """Members of that ensemble."""
    conservatism: float = 0.0
    """Weight of a loss that lowers values of imagined states and raises those of the data's, see
    `policy_updates.optimism`. 0 in PWM."""
    data_values: bool = False
    """Whether critics are trained on the data's own steps instead of imagined ones, see
    `in_sample`; always so under `imitation`."""
    imitation: float = 0.0
    """Weight of the squared distance from the policy's mean to the data's better actions, relative
    to returns divided by their standard deviation. Above 0, critics are trained on the data's own
    steps instead of imagined ones, see `in_sample`. 0 in PWM."""
    expectile: float = 0.7
    """Expectile of one-step targets that critics regress to under `imitation`: 0.5 is the mean over
    the data's actions, towards 1 the best of them (or the luckiest, in a stochastic world)."""
    temperature: float = 0.2
    """Temperature of the imitation weights, in standard deviations of the advantage. Weights are
    clipped from 3 temperatures above the mean on: far below 1, all actions better than the mean are
    imitated alike and the others not at all."""
    finetune: bool = False
    """Whether the model is trained further, on this task's data."""
    model_lr: float = 1e-4
    """Learning rate of the model under `finetune`."""
    actor_lr: float = 5e-4
    """Learning rate of the actor."""
    critic_lr: float = 5e-4
    """Learning rate of the critics."""
    updates_per_iteration: int = 50
    """Updates per call of the compiled program."""
    policy: actor_critic.Config = actor_critic.Config()
    """Sizes of actor and critics."""

    @property
    def learns_from_steps(self) -> bool:
        """Whether updates need the data's steps, not only its states."""
        return bool(self.finetune or self.imitation or self.data_values or self.disagreement)


@dataclasses.dataclass(frozen=True)
class Extraction(AlgorithmConfig):
    """Which model and data set to use, and the hyperparameters of policy extraction."""

    model: str = ""
    """Run folder of the pre-trained model."""
    data: str = ""
    """Folder of the data set; by default the one that the model was trained on."""
    settings: Extract = Extract()
    """Hyperparameters of the policy updates."""
    seed: int = 0
    """Seed of the windows drawn from the data set."""

    # Every algorithm's configuration has these; they are 0 because no simulator is stepped.
    worlds: int = 0
    """Worlds stepped in training: always 0."""
    env_steps: int = 0
    """Env steps taken in training: always 0."""

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration: always 0."""
        return 0

    @property
    def updates(self) -> int:
        """Actor updates per iteration; the last iteration may have fewer."""
        return min(self.settings.updates_per_iteration, self.settings.updates)

    @property
    def iterations(self) -> int:
        """Iterations until all updates are done."""
        return -(-self.settings.updates // self.updates)

    def updates_after(self, iteration: int) -> int:
        """Updates made after so many iterations."""
        return min(iteration * self.updates, self.settings.updates)

    def summary(self) -> list[str]:
        """Lines to print when a run starts."""
        return [
            f"budget   no env steps, {self.settings.updates:,} updates in {self.iterations:,} "
            "iterations"
        ]


@dataclasses.dataclass(frozen=True)
class Config:
    """Configuration of a whole multi-task experiment."""

    tasks: str = "mt30"
    """Name of a task set; or names of their tasks, separated by commas; or "all", for every task of
    the data set, your own ones included."""
    data: str = "data"
    """Folder of the data set."""
    collect: Collect = Collect()
    """Collection of the data set."""
    pretrain: Pretrain = Pretrain()
    """Pre-training of the model."""
    extract: Extract = Extract()
    """Extraction of the policies."""
    seed: int = 0
    """Seed of everything that is random."""


def validate(config: Pretrain) -> None:
    """Raises ValueError if a setting is out of range."""
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
    """Raises ValueError if a setting is out of range."""
    ranges.above_zero(
        config, "updates", "batch", "horizon", "critic_steps", "model_lr", "actor_lr", "critic_lr",
        "updates_per_iteration", "temperature",
    )  # fmt: skip
    ranges.at_least(config, 0, "entropy", "pessimism", "imitation", "disagreement", "conservatism")
    ranges.at_least(config, 2, "ensemble")
    if config.pessimism and config.imitation:
        raise ValueError(
            f"pessimism={config.pessimism} and imitation={config.imitation} exclude each "
            "other: under imitation values are the data's, which pessimism does not reach. One "
            "must be 0"
        )
    _validate_caution(config)
    if not 0 < config.expectile < 1:
        raise ValueError(
            f"expectile={config.expectile} is out of range; it must be above 0 and below 1"
        )
    ranges.shares(config, "lam", "gamma")


def _validate_caution(config: Extract) -> None:
    """Raises ValueError for ways of staying near the data of which one would have no effect."""
    if config.pessimism and config.disagreement:
        raise ValueError(
            f"pessimism={config.pessimism} and disagreement={config.disagreement} both lower "
            "rewards by an ensemble's doubt: one must be 0"
        )
    if config.conservatism and (config.imitation or config.data_values):
        raise ValueError(
            f"conservatism={config.conservatism} has no effect on values that are trained on the "
            "data's steps alone (imitation, data_values): it must be 0"
        )
    if config.disagreement and config.batch < config.ensemble:
        raise ValueError(
            f"batch={config.batch} windows cannot be shared among ensemble={config.ensemble} "
            "members; each needs one at least"
        )
