"""TD-MPC2's networks: world model, ensemble of Qs, policy and task embeddings, as one value."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mjxwm.algos.tdmpc2 import config as settings
from mjxwm.maths import twohot
from mjxwm.maths.moments import Moments
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned, WorldModel

_MIN_LOG_STD, _MAX_LOG_STD = -10.0, 2.0


class Networks(NamedTuple):
    """What the updates change. One task is many tasks with an embedding of size 0."""

    model: WorldModel
    q: MLP
    """E of them, stacked on the leading axis of every leaf."""
    policy: MLP
    embedding: Float[Array, "n e"]
    """Of each task."""


class TaskTable(NamedTuple):
    """What is known of n tasks beforehand."""

    action_mask: Float[Array, "n a"]
    """1 for the actions that a task has, of the most that any has."""
    discount: Float[Array, " n"]
    """Per action."""
    obs: Moments | None = None
    """Of each task's observations [n, o], where the networks see them in deviations."""


def init(
    config: settings.NetworkConfig,
    obs_size: int,
    action_size: int,
    tasks: int,
    *,
    key: PRNGKeyArray,
) -> Networks:
    """Fresh networks for `tasks` tasks, of at most these many observations and actions."""
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
    """The embeddings pulled into the unit ball, to be called after each update (their max_norm)."""
    norm = jnp.linalg.norm(networks.embedding, axis=-1, keepdims=True)
    return networks._replace(embedding=networks.embedding / jnp.maximum(norm, 1))


class TaskNetworks(NamedTuple):
    """The networks of the given tasks: of one, or of one for each of N inputs."""

    model: Conditioned
    q: MLP
    policy: MLP
    discount: Float[Array, "*b"]

    def act(
        self, z: Float[Array, "*s z"], noise: Float[Array, "*s a"] | None
    ) -> Float[Array, "*s a"]:
        """The policy's action under standard-normal noise, or without."""
        mean, log_std = self.gaussian(z)
        return self.squash(mean if noise is None else mean + jnp.exp(log_std) * noise)

    def gaussian(self, z: Float[Array, "*s z"]) -> tuple[Array, Array]:
        """Mean and logarithm of the deviation before tanh; log std from -10 to 2."""
        mean, raw = jnp.split(self.policy(self.model.beside(z)), 2, axis=-1)
        spread = _MAX_LOG_STD - _MIN_LOG_STD
        return mean, _MIN_LOG_STD + 0.5 * spread * (jnp.tanh(raw) + 1)

    def squash(self, u: Float[Array, "*s a"]) -> Float[Array, "*s a"]:
        """The action of what is before tanh: 0 in dimensions that the task lacks."""
        return self.model.own(jnp.tanh(u))

    def values(
        self,
        z: Float[Array, "*s z"],
        action: Float[Array, "*s a"],
        which: Int[Array, " k"] | None = None,
    ) -> Float[Array, "k *s"]:
        """The values of all Qs, or of nets chosen."""
        return twohot.decode(self.value_logits(z, action, which))

    def value_logits(
        self,
        z: Float[Array, "*s z"],
        action: Float[Array, "*s a"],
        which: Int[Array, " k"] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "k *s n"]:
        """Logits over the bins of all Qs, or of nets chosen; under dropout with a key."""
        chosen = self.q if which is None else jax.tree.map(lambda p: p[which], self.q)
        return _logits(self.model, chosen, z, action, key)


def ensemble_values(
    model: Conditioned, q: MLP, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
) -> Float[Array, "E *s"]:
    """The values of an ensemble beside a model of given tasks."""
    return twohot.decode(_logits(model, q, z, action, None))


def _logits(
    model: Conditioned,
    q: MLP,
    z: Float[Array, "*s z"],
    action: Float[Array, "*s a"],
    key: PRNGKeyArray | None,
) -> Float[Array, "k *s n"]:
    x = jnp.concatenate([model.beside(z), model.own(action)], axis=-1)
    if key is None:
        return jax.vmap(lambda q: q(x))(q)
    keys = jax.random.split(key, jax.tree.leaves(q)[0].shape[0])
    return jax.vmap(lambda q, key: q(x, key))(q, keys)


def for_task(networks: Networks, tasks: TaskTable, task: Int[Array, "*b"] | int) -> TaskNetworks:
    """The networks of task number `task`, or of N of them."""
    task = jnp.asarray(task)
    obs = jax.tree.map(lambda x: x[task], tasks.obs)
    model = Conditioned(networks.model, networks.embedding[task], tasks.action_mask[task], obs)
    return TaskNetworks(model, networks.q, networks.policy, tasks.discount[task])


def two_of(num_q: int, key: PRNGKeyArray) -> Int[Array, "2"]:
    """Two different Qs at random."""
    return jax.random.choice(key, num_q, (2,), replace=False)


def parameters(networks: Networks) -> dict[str, int]:
    """Scalars by component, under TD-MPC2's names."""

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
