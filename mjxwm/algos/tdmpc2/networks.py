"""TD-MPC2's networks: world model, ensemble of Qs, policy and task embeddings, as one value."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from mjxwm.algos.tdmpc2.config import NetworkConfig
from mjxwm.maths import twohot
from mjxwm.maths.moments import Moments
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned, WorldModel

_MIN_LOG_STD, _MAX_LOG_STD = -10.0, 2.0


class Networks(NamedTuple):
    """The networks that updates change; for a single task, the embedding has size 0."""

    model: WorldModel
    q: MLP
    """Ensemble of E Qs, stacked on the leading axis of every leaf."""
    policy: MLP
    embedding: Float[Array, "n e"]
    """Embedding of each of n tasks."""


class TaskTable(NamedTuple):
    """Constants of n tasks, which are not learned."""

    action_mask: Float[Array, "n a"]
    """1 for the action dimensions that a task has, 0 for padding."""
    discount: Float[Array, " n"]
    """Discount per action."""
    obs: Moments | None = None
    """Moments of each task's observations, [n, o], which normalise them; None: no normalisation."""


def init(
    config: NetworkConfig,
    obs_size: int,
    action_size: int,
    tasks: int,
    *,
    key: PRNGKeyArray,
) -> Networks:
    """New networks for `tasks` tasks, whose observations and actions have at most these sizes."""
    keys = jax.random.split(key, 4)
    latent = config.model.latent + config.task_size
    bins = config.model.num_bins

    def one_q(key: PRNGKeyArray) -> MLP:
        return MLP.create(
            latent + action_size,
            config.q_hidden,
            bins,
            key=key,
            out_init="zeros",
            dropout=config.dropout,
        )

    shape = (tasks, config.task_size)
    return Networks(
        WorldModel.create(
            config.model, obs_size, action_size, key=keys[0], task_size=config.task_size
        ),
        jax.vmap(one_q)(jax.random.split(keys[1], config.num_q)),
        MLP.create(latent, config.q_hidden, 2 * action_size, key=keys[2]),
        jax.random.uniform(keys[3], shape, minval=-0.02, maxval=0.02),
    )


def project(networks: Networks) -> Networks:
    """Scales embeddings down to a norm of at most 1, after each update (torch's `max_norm`)."""
    norm = jnp.linalg.norm(networks.embedding, axis=-1, keepdims=True)
    return networks._replace(embedding=networks.embedding / jnp.maximum(norm, 1))


class TaskNetworks(NamedTuple):
    """The networks with the constants of one task, or of one task for each of N inputs."""

    model: Conditioned
    q: MLP
    policy: MLP
    discount: Float[Array, "*b"]

    def act(
        self, z: Float[Array, "*s z"], noise: Float[Array, "*s a"] | None
    ) -> Float[Array, "*s a"]:
        """The policy's action: sampled with standard-normal `noise`, its mean with None."""
        mean, log_std = self.gaussian(z)
        return self.squash(mean if noise is None else mean + jnp.exp(log_std) * noise)

    def gaussian(self, z: Float[Array, "*s z"]) -> tuple[Array, Array]:
        """Mean and log standard deviation of the Gaussian before tanh; log std is in [-10, 2]."""
        mean, raw = jnp.split(self.policy(self.model.with_task(z)), 2, axis=-1)
        log_range = _MAX_LOG_STD - _MIN_LOG_STD
        return mean, _MIN_LOG_STD + 0.5 * log_range * (jnp.tanh(raw) + 1)

    def squash(self, u: Float[Array, "*s a"]) -> Float[Array, "*s a"]:
        """tanh(u), with 0 in action dimensions that the task does not have."""
        return self.model.mask_action(jnp.tanh(u))

    def with_qs(self, which: Int[Array, " k"]) -> "TaskNetworks":
        """The same with the k Qs of these indices alone."""
        return self._replace(q=jax.tree.map(lambda p: p[which], self.q))

    def values(
        self,
        z: Float[Array, "*s z"],
        action: Float[Array, "*s a"],
        which: Int[Array, " k"] | None = None,
    ) -> Float[Array, "k *s"]:
        """Values by all Qs, or by the k Qs of indices `which`."""
        return twohot.decode(self.value_logits(z, action, which))

    def value_logits(
        self,
        z: Float[Array, "*s z"],
        action: Float[Array, "*s a"],
        which: Int[Array, " k"] | None = None,
        dropout_masks: Bool[Array, "k *s h"] | None = None,
    ) -> Float[Array, "k *s n"]:
        """Logits over the bins of all Qs, or of some; with a dropout mask for each, see `MLP`."""
        chosen = self.q if which is None else jax.tree.map(lambda p: p[which], self.q)
        return _logits(self.model, chosen, z, action, dropout_masks)


def ensemble_values(
    model: Conditioned, q: MLP, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
) -> Float[Array, "E *s"]:
    """Values by all E Qs of an ensemble, for a model that is conditioned on tasks."""
    return twohot.decode(_logits(model, q, z, action, None))


def _logits(
    model: Conditioned,
    q: MLP,
    z: Float[Array, "*s z"],
    action: Float[Array, "*s a"],
    dropout_masks: Bool[Array, "k *s h"] | None,
) -> Float[Array, "k *s n"]:
    x = jnp.concatenate([model.with_task(z), model.mask_action(action)], axis=-1)
    return jax.vmap(lambda q, mask: q(x, mask))(q, dropout_masks)


def for_task(networks: Networks, table: TaskTable, task: Int[Array, "*b"] | int) -> TaskNetworks:
    """The networks for the task of index `task`, or for N tasks, one for each input."""
    task = jnp.asarray(task)
    obs = jax.tree.map(lambda x: x[task], table.obs)
    model = Conditioned(networks.model, networks.embedding[task], table.action_mask[task], obs)
    return TaskNetworks(model, networks.q, networks.policy, table.discount[task])


def two_of(num_q: int, key: PRNGKeyArray) -> Int[Array, "2"]:
    """Indices of two different random Qs."""
    return jax.random.choice(key, num_q, (2,), replace=False)


def parameters(networks: Networks) -> dict[str, int]:
    """Numbers of parameters by component, under TD-MPC2's names."""

    def count(tree: object) -> int:
        return sum(x.size for x in jax.tree.leaves(tree))

    model = networks.model
    counts = {
        "encoder": count(model.encoder),
        "dynamics": count(model.dynamics),
        "reward": count(model.reward_head),
        "termination": count(model.continue_head),
        "policy": count(networks.policy),
        "q": count(networks.q),
        "task": networks.embedding.size,
    }
    return {**counts, "total": sum(counts.values())}
