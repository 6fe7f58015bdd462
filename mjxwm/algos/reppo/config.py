"""Configuration of REPPO, and the allowed ranges.

The defaults are those of the authors' published configuration for MuJoCo Playground
(github.com/cvoelcker/reppo, `config/algorithm/reppo.yaml`); their names are in brackets.
"""

import dataclasses
from typing import ClassVar

from mjxwm import ConfigError
from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.maths import ranges


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the policy and of the critic, whose hidden layers are all normalised."""

    actor: tuple[int, ...] = (512, 512)
    """Hidden layers of the policy [actor_hidden_dim, num_actor_layers - 1]."""
    encoder: tuple[int, ...] = (512,)
    """Hidden layers of the critic's encoder [critic_hidden_dim, num_critic_encoder_layers - 1]."""
    features: int = 512
    """Features that the encoder makes of an observation and an action [critic_hidden_dim]."""
    head: tuple[int, ...] = (512,)
    """Hidden layers of each head on the features: the value's and the prediction's
    [num_critic_head_layers - 1, num_critic_pred_layers - 1]."""
    bins: int = 151
    """Bins of the value's histogram [num_bins]."""
    min_std: float = 1e-3
    """Least standard deviation of the policy before tanh, added to the one that is learned
    [actor_min_std, which is 0 there]."""


@dataclasses.dataclass(frozen=True)
class Config(AlgorithmConfig):
    """Configuration of REPPO."""

    spread: ClassVar[tuple[str, ...]] = ("worlds",)

    env_steps: int = 50_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps [total_time_steps]."""
    worlds: int = 1024
    """Worlds stepped in parallel (B) [num_envs]."""
    unroll: int = 128
    """Steps in every world per iteration (T) [num_steps]."""
    minibatches: int = 128
    """Updates of an epoch, each on `unroll` / `minibatches` random steps of every world
    [num_mini_batches]."""
    epochs: int = 4
    """Epochs over the data of an iteration [num_epochs]."""
    gamma: float = 0.99
    """Discount per agent step [gamma]."""
    lam: float = 0.95
    """Lambda of the critic's TD(lambda) targets [lmbda]."""
    lr: float = 3e-4
    """Learning rate of Adam for policy and critic, constant [learning_rate]."""
    multiplier_lr: float = 3e-4
    """Learning rate of the two multipliers, in the logarithm [learning_rate, too]. Runs with far
    fewer updates than the authors' need a higher one: a weight changes by this share per update at
    most."""
    max_grad_norm: float = 0.5
    """Largest norm of a gradient, by scaling it down [max_grad_norm]."""
    reward_scaling: float = 1.0
    """Factor on rewards in the losses; reported returns are without it [reward_scaling]. The
    authors keep scaled rewards near 1 per step."""
    min_value: float = 0.0
    """Lower end of the critic's histogram, in units of scaled reward [vmin]."""
    max_value: float = 150.0
    """Its upper end [vmax]. Returns beyond the ends are taken to them: see `critic/beyond`, the
    share of targets for which that is so."""
    entropy: float = 0.01
    """Weight of the policy's entropy at the start; it is tuned [ent_start]."""
    target_entropy: float = -0.5
    """Entropy that the policy is held at, per action [ent_target_mult, without the sign]."""
    kl: float = 0.01
    """Weight of the divergence from the policy that collected at the start; it is tuned
    [kl_start]."""
    kl_bound: float = 0.1
    """Divergence that a policy may have from the one that collected, over an iteration
    [kl_bound]."""
    prediction: float = 1.0
    """Weight of the critic's auxiliary loss: to predict its next features and the reward
    [aux_loss_mult]."""
    networks: NetworkConfig = NetworkConfig()
    """Sizes of the networks."""

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.worlds * self.unroll

    @property
    def updates(self) -> int:
        """Updates of the policy and of the critic per iteration."""
        return self.epochs * self.minibatches

    @property
    def gradient_steps(self) -> int:
        """See `AlgorithmConfig`: of critic and policy, in each update."""
        return 2 * self.updates


def validate(config: Config) -> None:
    """Raises ConfigError on the first setting that is out of range."""
    networks = config.networks
    ranges.above_zero(
        config, "env_steps", "worlds", "unroll", "minibatches", "epochs", "lr", "multiplier_lr",
        "max_grad_norm", "reward_scaling", "entropy", "kl", "kl_bound",
    )  # fmt: skip
    ranges.shares(config, "gamma", "lam")
    ranges.at_least(config, 0, "prediction")
    ranges.above_zero(networks, "features", "min_std")
    ranges.at_least(networks, 2, "bins")
    ranges.countable("updates of a network", config.iterations * config.updates)
    if config.unroll % config.minibatches:
        raise ConfigError(
            f"unroll={config.unroll} is not a multiple of minibatches={config.minibatches}; each "
            "minibatch has equally many steps of every world"
        )
    if not config.min_value < config.max_value:
        raise ConfigError(
            f"min_value={config.min_value:g} is not below max_value={config.max_value:g}; they are "
            "the ends of the critic's histogram"
        )
