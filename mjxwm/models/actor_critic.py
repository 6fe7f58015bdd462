"""Actor and critic for first-order policy gradients, through a model or through a simulator."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm import ConfigError
from mjxwm.maths import platform, ranges
from mjxwm.models.nets import MLP, network, static


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of actor and critic, and the policy's noise."""

    actor: tuple[int, ...] = (400, 200, 100)
    """Hidden layers of the actor."""
    critic: tuple[int, ...] = (400, 200)
    """Hidden layers of each critic."""
    critics: int = 3
    """Critics in the ensemble; values are their minimum."""
    init_std: float = 0.37
    """Standard deviation of the Gaussian before tanh, at the start."""
    min_std: float = 0.24
    """Its lower bound, PWM's exp(-1.427)."""


def validate(config: Config) -> None:
    """Raises ConfigError on the first setting that is out of its range."""
    ranges.sound(config)
    ranges.at_least(config, 1, "critics")
    if not 0 < config.min_std <= config.init_std:
        raise ConfigError(
            f"min_std={config.min_std} and init_std={config.init_std} are out of range; "
            "it must be 0 < min_std <= init_std"
        )


@network
class Actor:
    """a = tanh(mean(x) + std * noise), with a learned std that does not depend on the state."""

    mean_net: MLP
    log_std: Float[Array, " a"]
    min_std: float = static()

    @classmethod
    def create(
        cls, config: Config, in_size: int, action_size: int, *, key: PRNGKeyArray
    ) -> "Actor":
        """Fresh parameters. Raises ValueError if a size or the noise is out of its range."""
        validate(config)
        mean_net = MLP.create(
            in_size, config.actor, action_size, key=key, init="torch", norm_first=False
        )
        # Without a dtype it would be weakly typed until the first update: compiled twice.
        log_std = jnp.full(action_size, math.log(config.init_std), float)
        return cls(mean_net=mean_net, log_std=log_std, min_std=config.min_std)

    def mean(self, x: Float[Array, "*s i"]) -> Float[Array, "*s a"]:
        """The deterministic action, in [-1, 1]."""
        return jnp.tanh(self.mean_net(x))

    def sample(self, x: Float[Array, "*s i"], noise: Float[Array, "*s a"]) -> Float[Array, "*s a"]:
        """The action under standard-normal `noise`, reparameterised."""
        return jnp.tanh(self.mean_net(x) + self.std() * noise)

    def entropy(self, x: Float[Array, "*s i"], noise: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """A sample of the squashed policy's entropy, up to a constant: log std + log(1 - a^2).

        Its gradient brings a saturated actor back: that of any return vanishes with 1 - a^2.
        """
        return self.entropy_at(self.mean_net(x) + self.std() * noise)

    def entropy_at(self, u: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """The same at actions before tanh, given the noise that they come from."""
        # log(1 - tanh(u)^2), written so that it neither overflows nor loses its gradient.
        log_slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        return (jnp.log(self.std()) + log_slope).sum(axis=-1)

    def std(self) -> Float[Array, " a"]:
        """Standard deviation before tanh, per action."""
        return jnp.exp(self.log_std)


@network
class Sampling:
    """The policy of imagined rollouts: (latent, noise) -> action."""

    actor: Actor
    detach: bool = static()
    """Whether the latent has no gradient through the actor."""

    def __call__(
        self, z: Float[Array, "*s z"], noise: Float[Array, "*s a"]
    ) -> Float[Array, "*s a"]:
        """The actor's sample under standard-normal `noise`."""
        return self.actor.sample(jax.lax.stop_gradient(z) if self.detach else z, noise)


def project(actor: Actor) -> Actor:
    """The actor with its std lifted to the floor, to be called after each update.

    A clamp inside of the network would have no gradient below the floor: noise that has once sunk
    there could never grow again.
    """
    floor = math.log(actor.min_std)
    return dataclasses.replace(actor, log_std=jnp.maximum(actor.log_std, floor))


@network
class Critic:
    """One state value. An ensemble is `make_critics`."""

    net: MLP

    @classmethod
    def create(cls, config: Config, in_size: int, *, key: PRNGKeyArray) -> "Critic":
        """One network of the ensemble."""
        # Zero at first: random values of order 1 / (1 - gamma) would lead the first actor updates.
        net = MLP.create(
            in_size,
            config.critic,
            1,
            key=key,
            init="orthogonal",
            out_init="zeros",
            norm_first=False,
        )
        return cls(net=net)

    def __call__(self, x: Float[Array, "*s i"]) -> Float[Array, "*s"]:
        """Value of a state."""
        return self.net(x)[..., 0]


def make_critics(config: Config, in_size: int, *, key: PRNGKeyArray) -> Critic:
    """`config.critics` critics stacked on the leading axis of every leaf."""
    validate(config)
    keys = jax.random.split(key, config.critics)
    return jax.vmap(lambda k: Critic.create(config, in_size, key=k))(keys)


def values(critics: Critic, x: Float[Array, "*s i"]) -> Float[Array, "E *s"]:
    """The value of each critic of the ensemble."""
    return values_of_each(critics, for_each(critics, x))


def for_each(critics: Critic, x: Float[Array, "*s i"]) -> Float[Array, "*e"]:
    """What `values_of_each` takes: once for several steps of the critics on the same inputs."""
    if platform.compiled_for() == "cpu":
        return x
    first = critics.net.layers[0]
    if first.kernel.dtype == jnp.bfloat16:
        x = x.astype(jnp.bfloat16)
    # As one input to each: else XLA makes one product of all, and transposes what it gives.
    return jnp.broadcast_to(x, (len(first.bias), *x.shape))


def values_of_each(critics: Critic, x: Float[Array, "*e"]) -> Float[Array, "E *s"]:
    """The value of each critic of the ensemble, see `for_each`."""
    axis = None if platform.compiled_for() == "cpu" else 0
    return jax.vmap(lambda critic, x: critic(x), (0, axis))(critics, x)


def value(critics: Critic, x: Float[Array, "*s i"]) -> Float[Array, "*s"]:
    """The pessimistic value: the ensemble's minimum."""
    return values(critics, x).min(axis=0)
