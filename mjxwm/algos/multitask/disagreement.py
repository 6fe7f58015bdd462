"""An ensemble of dynamics beside a frozen model, which says what of a value the data warrant.

Rewards and states of a few imagined steps may be nearly right, and the values that are learned from
them far too high: a small error of the states, which the policy finds because it is worth
something, is added to the value at every bootstrap. Members of the ensemble learn, each on windows
of its own, what latents become in the data of the task. Where the data say it they agree; elsewhere
each goes on in its own way, and critics value their next states differently. The standard deviation
of these values is subtracted from the reward (MOBILE, Sun et al. 2023, ICML, there of targets of
Qs; penalties for errors of models: MOPO, Yu et al. 2020, arXiv 2005.13239). Rollouts are the frozen
model's own.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.algos import pwm
from mjxwm.algos.multitask.pessimism import Pessimistic
from mjxwm.algos.pwm import Learner
from mjxwm.data.replay import Sequence
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Critic
from mjxwm.models.nets import MLP
from mjxwm.models.optimizer import Optimizer
from mjxwm.models.world_model import Conditioned
from mjxwm.types import Metrics

_HIDDEN = (256,)
"""Hidden layers of a member."""


class Ensemble(NamedTuple):
    """The members and their optimiser's state."""

    members: MLP
    """Stacked on the leading axis of every leaf."""
    opt: optax.OptState


class OfNextValues(NamedTuple):
    """Disagreement of the members on the value of the next state, in the critics' unit."""

    members: MLP
    critic: Critic
    """Critics that say what the members' next states are worth."""

    def __call__(
        self, model: Any, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s"]:
        """See `pessimism.Doubt`; the model's own next state is not used."""
        after = jax.vmap(lambda member: member.joined(z, action))(self.members)
        # 1e-10: the square root has no gradient at 0, which is where all members are equal.
        return jnp.sqrt(actor_critic.value(self.critic, after).var(axis=0) + 1e-10)


def optimizer(lr: float) -> Optimizer:
    """Adam with clipped gradients."""
    return Optimizer(optax.chain(optax.clip_by_global_norm(20.0), optax.adam(lr)))


def create(
    tx: Optimizer, model: Conditioned, size: int, action_size: int, *, key: PRNGKeyArray
) -> Ensemble:
    """`size` members for the latents of `model` and the task's own actions."""
    dynamics = model.model.dynamics
    latent = dynamics.layers[-1].bias.size

    def member(key: PRNGKeyArray) -> MLP:
        return MLP.create(
            latent + action_size, _HIDDEN, latent, key=key, init="torch",
            out_activation=dynamics.out_activation,
        )  # fmt: skip

    members = jax.vmap(member)(jax.random.split(key, size))
    return Ensemble(members, tx.init(members))


def update(
    tx: Optimizer, ensemble: Ensemble, model: Conditioned, windows: Sequence
) -> tuple[Ensemble, Metrics]:
    """One step of each member on its share of N windows of H + 1 steps."""
    size = len(jax.tree.leaves(ensemble.members)[0])
    share = windows.obs.shape[1] // size

    def shares(x: Array) -> Array:  # [H, N, ...] -> [K, H, N/K, ...]
        parts = x[:, : share * size].reshape(len(x), size, share, *x.shape[2:])
        return jnp.moveaxis(parts, 1, 0)

    z = jax.lax.stop_gradient(model.encode(windows.obs))
    action = windows.action[:-1]
    valid = (windows.mask[:-1] & windows.next_mask[:-1]).astype(z.dtype)
    inputs = tuple(shares(x) for x in (z[:-1], action, z[1:], valid))

    def loss(members: MLP) -> Array:
        def error(member: MLP, z: Array, action: Array, after: Array, valid: Array) -> Array:
            apart = ((member.joined(z, action) - after) ** 2).sum(axis=-1)
            return (valid * apart).sum() / jnp.maximum(valid.sum(), 1)

        return jax.vmap(error)(members, *inputs).sum()

    value, grads = jax.value_and_grad(loss)(ensemble.members)
    members, opt, skipped = tx.step(ensemble.members, grads, ensemble.opt, value)
    metrics = {"disagreement/loss": value / size, "guard/disagreement": skipped}
    return Ensemble(members, opt), metrics


def wary(config: pwm.Config, learner: Learner, ensemble: Ensemble, weight: float) -> Pessimistic:
    """The learner's model, with `weight` standard deviations subtracted from rewards."""
    unit = jnp.asarray(weight * config.gamma * config.value_unit)
    return Pessimistic(learner.model, OfNextValues(ensemble.members, learner.target), unit)
