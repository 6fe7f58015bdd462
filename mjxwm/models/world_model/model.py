"""The networks of the world model, and the interface that policies are learned through."""

import dataclasses
from typing import Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.maths import moments, ranges, twohot
from mjxwm.maths.moments import Moments
from mjxwm.models.nets import MLP, network, simnorm


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
    """Weight of the reward error. 1/16 is that of PWM's released code, which divides the mean over
    16 steps by 16 once more."""
    continuation: float = 0.0625
    """Weight of the continuation error. 0 removes the head, for tasks without terminations: the
    probability that an episode goes on is then 1."""
    ends: tuple[int, ...] | None = None
    """Hidden layers of the continuation head; by default the encoder's."""
    rho: float = 0.99
    """Decay of the loss per predicted step."""
    encoder_init: Literal["torch", "normal"] = "torch"
    """First weights of the encoder; TD-MPC2's normal ones, with biases at zero, make the first
    LayerNorm's output independent of the scale of the observations."""


def validate(config: Config) -> None:
    """Raises ConfigError on the first setting that is out of its range."""
    ranges.sound(config)
    ranges.at_least(config, 1, "latent", "simnorm_group")
    ranges.at_least(config, 0, "consistency", "reward", "continuation")
    ranges.shares(config, "rho")
    ranges.at_least(config, 2, "num_bins")


class LatentModel(Protocol):
    """What a policy is learned through: a `WorldModel`, or one conditioned on tasks."""

    def encode(self, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
        """Latent of an observation."""
        ...

    def predict(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s z"]:
        """Latent after an action."""
        ...

    def reward_logits(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s n"]:
        """Raw output of the reward head: one scalar or the bins' logits."""
        ...

    def reward(self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """Predicted reward of an action."""
        ...

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Probability that the episode goes on after a step that led to `next_z`."""
        ...

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Logit of that probability."""
        ...


@network
class WorldModel:
    """z = encode(o); z' = predict(z, a); reward and continuation of a step from (z, a, z').

    A model of many tasks has the task's embedding beside every input: [o, e], [z, e, a], [z, e].
    `Conditioned` puts it there.
    """

    encoder: MLP
    dynamics: MLP
    reward_head: MLP
    continue_head: MLP | None

    @classmethod
    def create(
        cls,
        config: Config,
        obs_size: int,
        action_size: int,
        *,
        key: PRNGKeyArray,
        task_size: int = 0,
    ) -> "WorldModel":
        """Fresh parameters; `task_size` is that of the embedding.

        Raises:
            ValueError: a setting is out of its range, or the latent is not a whole number of
                SimNorm groups.
        """
        validate(config)
        if config.latent % config.simnorm_group:
            raise ValueError(
                f"latent={config.latent} is not a multiple of simnorm_group={config.simnorm_group}"
            )
        keys = jax.random.split(key, 4)
        z, ze = config.latent, config.latent + task_size
        zea = ze + action_size
        norm = SimNorm(config.simnorm_group)
        bins = 1 if config.reward_head == "scalar" else config.num_bins
        encoder = MLP.create(
            obs_size + task_size,
            config.encoder,
            z,
            key=keys[0],
            init=config.encoder_init,
            out_activation=norm,
        )
        dynamics = MLP.create(zea, config.hidden, z, key=keys[1], out_activation=norm)
        reward_head = MLP.create(zea, config.hidden, bins, key=keys[2], out_init="zeros")
        continue_head = None
        if config.continuation > 0:
            ends = config.encoder if config.ends is None else config.ends
            continue_head = MLP.create(ze, ends, 1, key=keys[3], out_init="zeros")
        return cls(
            encoder=encoder,
            dynamics=dynamics,
            reward_head=reward_head,
            continue_head=continue_head,
        )

    def encode(self, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
        """Latent of an observation."""
        return self.encoder(obs)

    def predict(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s z"]:
        """Latent after an action."""
        return self.dynamics.joined(z, action)

    def reward_logits(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s n"]:
        """Raw output of the reward head: one scalar or the bins' logits."""
        return self.reward_head.joined(z, action)

    def reward(self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """Predicted reward of an action, in the unit that the model was trained on."""
        logits = self.reward_logits(z, action)
        return logits[..., 0] if logits.shape[-1] == 1 else twohot.decode(logits)

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Probability that the episode goes on after a step that led to `next_z`."""
        return jax.nn.sigmoid(self.continue_logit(next_z))

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """Logit of the probability that the episode goes on after arriving at `next_z`."""
        if self.continue_head is None:
            return jnp.full(next_z.shape[:-1], jnp.inf, next_z.dtype)
        # A head of zeros starts at 0.98: most steps do not end an episode.
        return self.continue_head(next_z)[..., 0] + 4.0


class Conditioned(NamedTuple):
    """A world model of many tasks, conditioned on one of them.

    Observations and actions may be of the task's own sizes; they are padded with zeros.
    """

    model: WorldModel
    embedding: Float[Array, "*b e"]
    """The task's embedding; or those of N tasks, for inputs whose axis before the last is N."""
    action_mask: Float[Array, "*b a"]
    """1 for the action dimensions that the task has; the others are ignored, even if NaN."""
    obs: Moments | None = None
    """Mean and variance that observations are normalised with; None: they are not normalised."""

    def encode(self, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
        """See `LatentModel`."""
        size = self.model.encoder.layers[0].kernel.shape[0] - self.embedding.shape[-1]
        obs = _padded(obs, size)
        if self.obs is not None:
            # No gradient into the statistics: fine-tuning the model must not change them.
            obs = moments.normalize(jax.lax.stop_gradient(self.obs), obs)
        return self.model.encode(self.with_task(obs))

    def predict(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s z"]:
        """See `LatentModel`."""
        return self.model.predict(self.with_task(z), self.mask_action(action))

    def reward_logits(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s n"]:
        """See `LatentModel`."""
        return self.model.reward_logits(self.with_task(z), self.mask_action(action))

    def reward(self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.reward(self.with_task(z), self.mask_action(action))

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.going_on(self.with_task(next_z))

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.continue_logit(self.with_task(next_z))

    def with_task(self, x: Float[Array, "*s x"]) -> Float[Array, "*s xe"]:
        """Inputs with the task's embedding after them."""
        shape = (*x.shape[:-1], self.embedding.shape[-1])
        return jnp.concatenate([x, jnp.broadcast_to(self.embedding, shape)], axis=-1)

    def mask_action(self, action: Float[Array, "*s a"]) -> Float[Array, "*s a"]:
        """Actions with 0 in the dimensions that the task lacks."""
        # Not a product: even a NaN there must reach nothing.
        action = _padded(action, self.action_mask.shape[-1])
        return jnp.where(self.action_mask > 0, action, 0)


def _padded(x: Float[Array, "*s x"], size: int) -> Float[Array, "*s p"]:
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1])])


@dataclasses.dataclass(frozen=True)
class SimNorm:
    """`simnorm` with its group size, as a value that compares equal to its equals."""

    group: int
    """Features per softmax."""

    def __call__(self, x: Float[Array, "*s z"]) -> Float[Array, "*s z"]:
        """See `simnorm`."""
        return simnorm(x, self.group)
