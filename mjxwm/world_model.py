"""The latent world model: encoder, dynamics, reward and continuation, learned by self-prediction.

TD-MPC2's architecture (Hansen et al. 2024, arXiv 2310.16828) as PWM uses it (Georgiev et al. 2024,
arXiv 2407.02466), with a continuation head, which PWM lacks. No decoder.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.nets import MLP, simnorm
from mjxwm.ops import twohot
from mjxwm.types import Metrics


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes and loss weights of the world model."""

    latent: int = 512
    """Size of the latent state; a multiple of `simnorm_group`."""
    simnorm_group: int = 8
    """Features per softmax group of the latent."""
    encoder: tuple[int, ...] = (256,)
    """Hidden layers of the encoder."""
    hidden: tuple[int, ...] = (512, 512)
    """Hidden layers of dynamics and reward."""
    reward_head: Literal["scalar", "two-hot"] = "scalar"
    """Squared error on a normalised scalar, or cross-entropy over symlog bins."""
    num_bins: int = 101
    """Bins of the two-hot reward, from -10 to 10 in symlog space."""
    consistency: float = 1.0
    """Weight of the latent prediction error."""
    reward: float = 0.0625
    """Weight of the reward error. PWM's is 1/16: its mean over 16 steps is divided by 16 again."""
    continuation: float = 0.0625
    """Weight of the continuation error; 0, for tasks that nothing ends, goes without it: episodes
    always go on."""
    rho: float = 0.99
    """Decay of the loss per predicted step."""


class WorldModel(nnx.Module):
    """z = encode(o); z' = predict(z, a); reward and continuation of a step from (z, a, z')."""

    def __init__(self, config: Config, obs_size: int, action_size: int, *, key: PRNGKeyArray):
        """Raises ValueError if the latent is not a whole number of SimNorm groups."""
        if config.latent % config.simnorm_group:
            raise ValueError(
                f"latent={config.latent} is not a multiple of simnorm_group={config.simnorm_group}"
            )
        keys = jax.random.split(key, 4)
        z, za = config.latent, config.latent + action_size
        group = config.simnorm_group
        norm = _SimNorm(group)
        # Biases that start at zero would make the first LayerNorm blind to the observation's size.
        self.encoder = MLP(
            obs_size, config.encoder, z, key=keys[0], init="torch", out_activation=norm
        )
        self.dynamics = MLP(za, config.hidden, z, key=keys[1], out_activation=norm)
        bins = 1 if config.reward_head == "scalar" else config.num_bins
        self.reward_head = MLP(za, config.hidden, bins, key=keys[2], out_init="zeros")
        self.learns_ends = config.continuation > 0
        self.continue_head = MLP(z, config.encoder, 1, key=keys[3], out_init="zeros")

    def encode(self, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
        """Latent of an observation."""
        return self.encoder(obs)

    def predict(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s z"]:
        """Latent after an action."""
        return self.dynamics(jnp.concatenate([z, action], axis=-1))

    def reward_logits(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s n"]:
        """Raw output of the reward head: one scalar or the bins' logits."""
        return self.reward_head(jnp.concatenate([z, action], axis=-1))

    def reward(self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """Predicted reward of an action, in the unit that the model was trained on."""
        logits = self.reward_logits(z, action)
        return logits[..., 0] if logits.shape[-1] == 1 else twohot.decode(logits)

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Probability that the episode goes on after a step that led to `next_z`."""
        if not self.learns_ends:
            return jnp.ones(next_z.shape[:-1], next_z.dtype)
        return jax.nn.sigmoid(self.continue_logit(next_z))

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Logit of the probability that the episode goes on after arriving at `next_z`."""
        # A head of zeros starts at 0.98: most steps do not end an episode.
        return self.continue_head(next_z)[..., 0] + 4.0


@dataclasses.dataclass(frozen=True)
class _SimNorm:
    """`simnorm` with its group size, as a value that compares equal to its equals."""

    group: int

    def __call__(self, x: Float[Array, "*s z"]) -> Float[Array, "*s z"]:
        return simnorm(x, self.group)


class Batch(NamedTuple):
    """What the loss needs of N windows with H transitions each."""

    obs: Float[Array, "H+1 N o"]
    action: Float[Array, "H N a"]
    reward: Float[Array, "H N"]
    terminated: Float[Array, "H N"]
    mask: Float[Array, "H N"]
    """1 where reward and end of a step count."""
    next_mask: Float[Array, "H N"]
    """1 where obs[t + 1] is what the step led to."""


def loss(model: WorldModel, config: Config, batch: Batch) -> tuple[Float[Array, ""], Metrics]:
    """Self-prediction over H steps from the first observation, as in TD-MPC2 and PWM.

    z_0 = enc(o_0), z_{t+1} = f(z_t, a_t), target sg(enc(o_{t+1})); all errors are weighted by rho^t
    and averaged over the H N steps, masked ones excluded. The encoder learns through z_0 alone.
    """

    def step(z: Array, action: Array) -> tuple[Array, Array]:
        next_z = model.predict(z, action)
        return next_z, next_z

    z0 = model.encode(batch.obs[0])
    _, next_z = jax.lax.scan(step, z0, batch.action)
    z = jnp.concatenate([z0[None], next_z[:-1]])
    target = jax.lax.stop_gradient(model.encode(batch.obs[1:]))
    weight = config.rho ** jnp.arange(batch.reward.shape[0], dtype=z.dtype)[:, None]

    def mean(error: Array, mask: Array) -> Array:
        return (weight * mask * error).sum() / jnp.maximum(mask.sum(), 1)

    logits = model.reward_logits(z, batch.action)
    if config.reward_head == "scalar":
        reward_error = (logits[..., 0] - batch.reward) ** 2
    else:
        reward_error = twohot.cross_entropy(logits, batch.reward)
    going_on = model.continue_logit(next_z)
    continue_error = optax.sigmoid_binary_cross_entropy(going_on, 1 - batch.terminated)
    parts = {
        "consistency": mean(((next_z - target) ** 2).mean(axis=-1), batch.next_mask),
        "reward": mean(reward_error, batch.mask),
        "continuation": mean(continue_error, batch.mask),
    }
    total = (
        config.consistency * parts["consistency"]
        + config.reward * parts["reward"]
        + config.continuation * parts["continuation"]
    )
    return total, {"loss": total, **parts}


class Imagined(NamedTuple):
    """A rollout of a policy in the model."""

    z: Float[Array, "H+1 N z"]
    action: Float[Array, "H N a"]
    reward: Float[Array, "H N"]
    going_on: Float[Array, "H N"]
    """Probability that the episode goes on after each step."""


def imagine(
    model: WorldModel,
    policy: Callable[[Float[Array, "N z"], Float[Array, "N a"]], Float[Array, "N a"]],
    z: Float[Array, "N z"],
    noise: Float[Array, "H N a"],
) -> Imagined:
    """Rolls `policy(z, noise)` out for H steps in the model; differentiable throughout."""

    def step(z: Array, noise: Array) -> tuple[Array, tuple[Array, Array]]:
        action = policy(z, noise)
        next_z = model.predict(z, action)
        return next_z, (next_z, action)

    _, (next_z, action) = jax.lax.scan(step, z, noise)
    # The heads see all H steps at once: H small matrix products fewer than inside the scan.
    before = jnp.concatenate([z[None], next_z[:-1]])
    going_on = model.going_on(next_z)
    return Imagined(
        jnp.concatenate([z[None], next_z]), action, model.reward(before, action), going_on
    )
