"""Configurations of PPO and SAC; Brax's name of each setting is in brackets."""

import dataclasses
from typing import Literal

from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.maths import ranges

MIN_STD = 1e-3
"""The policies' least standard deviation before tanh; fixed in Brax, too."""

Activation = Literal["swish", "relu", "tanh", "elu", "gelu"]


@dataclasses.dataclass(frozen=True)
class PPO(AlgorithmConfig):
    """Configuration of PPO; the defaults are for a GPU."""

    env_steps: int = 50_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps."""
    worlds: int = 2048
    """Worlds stepped in parallel (B) [num_envs]."""
    unroll: int = 20
    """Steps of a segment: T consecutive steps of one world, over which advantages are computed
    [unroll_length]."""
    batch: int = 512
    """Segments per gradient update [batch_size]."""
    minibatches: int = 16
    """Gradient updates per epoch [num_minibatches]. An iteration collects `batch` x `minibatches`
    segments, which must be a multiple of `worlds`."""
    epochs: int = 4
    """Epochs over the data of an iteration [num_updates_per_batch]."""
    gamma: float = 0.99
    """Discount per agent step [discounting]."""
    lam: float = 0.95
    """Lambda of generalised advantage estimation [gae_lambda]."""
    clip: float = 0.2
    """Clipping range of the probability ratio between the new and the collecting policy
    [clipping_epsilon]."""
    entropy: float = 1e-3
    """Weight of the policy's entropy [entropy_cost]."""
    value_coef: float = 0.5
    """Weight of the critic's loss [vf_loss_coefficient]."""
    lr: float = 3e-4
    """Learning rate of Adam, constant [learning_rate]."""
    max_grad_norm: float | None = 1.0
    """Largest norm of a gradient, by scaling it down; null for no limit [max_grad_norm]."""
    reward_scaling: float = 0.1
    """Factor on rewards in the losses; reported returns are without it [reward_scaling]."""
    normalize_obs: bool = True
    """Normalise observations by running mean and deviation [normalize_observations]."""
    normalize_advantage: bool = True
    """Normalise advantages to mean 0 and deviation 1 in each minibatch [normalize_advantage]."""
    policy_layers: tuple[int, ...] = (128, 128, 128)
    """Hidden layers of the policy [policy_hidden_layer_sizes]."""
    value_layers: tuple[int, ...] = (256, 256, 256)
    """Hidden layers of the critic [value_hidden_layer_sizes]."""
    activation: Activation = "swish"
    """Activation of both networks [activation]."""
    init_std: float | None = None
    """Standard deviation of the Gaussian before tanh at the start, in every state; means are near 0
    then, as the last layer's weights begin at a hundredth. null: Brax's, about 0.7 and different
    from state to state, with means of the same order."""

    @property
    def segments(self) -> int:
        """Segments of `unroll` steps per iteration."""
        return self.batch * self.minibatches

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.segments * self.unroll

    @property
    def updates(self) -> int:
        """Gradient updates per iteration."""
        return self.epochs * self.minibatches


@dataclasses.dataclass(frozen=True)
class SAC(AlgorithmConfig):
    """Configuration of SAC; the defaults are for a GPU. The target entropy is -actions / 2."""

    env_steps: int = 5_000_000
    """Env steps to collect in all, over all worlds: actions of the policy, each of which lasts
    `action_repeat` control steps."""
    worlds: int = 128
    """Worlds stepped in parallel (B) [num_envs]."""
    unroll: int = 16
    """Rounds per iteration, each one step in all worlds and `updates_per_round` updates."""
    updates_per_round: int = 64
    """Gradient updates of critics, policy and temperature per round [grad_updates_per_step]."""
    warmup: int = 8192
    """Env steps of the untrained policy before the first update, part of `env_steps`
    [min_replay_size]."""
    capacity: int | None = None
    """Transitions that the replay buffer holds [max_replay_size]; by default all that are
    collected. Once full, Brax's buffer moves all its data in memory at every insert, which on a CPU
    takes longer than everything else."""
    batch: int = 512
    """Transitions per gradient update [batch_size]."""
    gamma: float = 0.99
    """Discount per agent step [discounting]."""
    tau: float = 0.005
    """The target critics move by this fraction towards the critics per update [tau]."""
    lr: float = 3e-4
    """Learning rate of Adam for policy and critics [learning_rate]; the temperature has Brax's."""
    reward_scaling: float = 1.0
    """Factor on rewards in the losses; reported returns are without it [reward_scaling]."""
    normalize_obs: bool = True
    """Normalise observations by running mean and deviation [normalize_observations]."""
    layers: tuple[int, ...] = (256, 256)
    """Hidden layers of the policy and of both critics [hidden_layer_sizes]."""
    layer_norm: bool = True
    """Layer normalisation in the critics [q_network_layer_norm]."""
    activation: Activation = "relu"
    """Activation of all networks [activation]."""

    @property
    def warmup_rounds(self) -> int:
        """Rounds of the untrained policy."""
        return -(-self.warmup // self.worlds)

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.worlds * self.unroll

    @property
    def iterations(self) -> int:
        """Iterations until `env_steps` are taken, at least one."""
        left = self.env_steps - self.warmup_rounds * self.worlds
        return max(1, -(-left // self.steps_per_iteration))

    @property
    def updates(self) -> int:
        """Gradient updates per iteration."""
        return self.unroll * self.updates_per_round

    @property
    def gradient_steps(self) -> int:
        """See `AlgorithmConfig`: of critics and policy, in each update."""
        return 2 * self.updates

    @property
    def rows(self) -> int:
        """Capacity of the replay buffer in transitions."""
        collected = self.warmup_rounds * self.worlds + self.iterations * self.steps_per_iteration
        return collected if self.capacity is None else min(self.capacity, collected)


_POSITIVE = {
    PPO: "env_steps worlds unroll batch minibatches epochs clip lr reward_scaling",
    SAC: "env_steps worlds unroll updates_per_round warmup batch lr reward_scaling",
}


def validate(config: PPO | SAC) -> None:
    """Raises ValueError if a setting is out of range."""
    values = dataclasses.asdict(config)
    ranges.above_zero(config, *_POSITIVE[type(config)].split())
    ranges.shares(config, *[name for name in ("gamma", "lam", "tau") if name in values])
    ranges.at_least(config, 0, *[name for name in ("entropy", "value_coef") if name in values])
    for name in ("policy_layers", "value_layers", "layers"):
        if not all(size > 0 for size in values.get(name, ())):
            raise ValueError(f"{name}={values[name]} is out of range; sizes must be above 0")
    ranges.countable("updates of a network", config.iterations * config.updates)
    if isinstance(config, PPO):
        _validate_ppo(config)
    elif config.capacity is not None and config.capacity < config.worlds:
        raise ValueError(
            f"capacity={config.capacity} is out of range; it must be at least worlds="
            f"{config.worlds}, what one step collects"
        )


def _validate_ppo(config: PPO) -> None:
    ranges.above_zero(config, "max_grad_norm")
    if config.init_std is not None and config.init_std <= MIN_STD:
        raise ValueError(
            f"init_std={config.init_std} is out of range; it must be above {MIN_STD}, the least "
            "that the policy has"
        )
    if config.segments % config.worlds:
        raise ValueError(
            f"batch={config.batch} x minibatches={config.minibatches} = {config.segments} segments "
            f"are not a multiple of worlds={config.worlds}; every world gives as many as the others"
        )
