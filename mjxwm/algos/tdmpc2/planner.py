"""Model-predictive path integral control (MPPI) in latent space, as TD-MPC2 plans.

Candidate action sequences are sampled from a Gaussian around the plan of the previous step, some of
them are rollouts of the policy, and the best ones, the elites, give the Gaussian of the next
iteration. The model predicts a sequence's rewards, the Qs the value of its last state. The code
plans for one world; `plan_worlds` for many. Sources: Williams et al. 2015 (arXiv 1509.01149);
Hansen et al. 2024 (arXiv 2310.16828), section 3.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.tdmpc2 import sequences
from mjxwm.algos.tdmpc2.config import Planning
from mjxwm.algos.tdmpc2.networks import TaskNetworks, two_of
from mjxwm.maths import platform

Plan = Float[Array, "H a"]
"""The mean action sequence. The plan before the first step of an episode is all zeros."""


class Refined(NamedTuple):
    """What an iteration leaves to the next one, and the last one to the choice of an action."""

    mean: Plan
    std: Plan
    elites: Float[Array, "E a"]
    """First actions of the elites, the best one first."""
    score: Float[Array, " E"]
    """Their weights."""


def plan(
    config: Planning,
    nets: TaskNetworks,
    z: Float[Array, " z"],
    previous: Plan,
    key: PRNGKeyArray,
    pairs: Int[Array, "I 2"],
    explore: bool,
) -> tuple[Plan, Float[Array, " a"]]:
    """Plans from one latent state.

    Args:
        config: the planner's configuration.
        nets: networks of the world's task.
        z: latent of the world's observation.
        previous: the plan returned at the previous step.
        key: random key; the same key gives the same plan.
        pairs: the two Qs used in each iteration, see `q_pairs`.
        explore: whether to act by a random elite with noise, or by the best elite.

    Returns: the new plan, to be passed to the next call, and the action to take now.
    """
    key_policy, key_noise, key_elite, key_act = jax.random.split(key, 4)
    size = previous.shape[-1]
    proposals = _policy_proposals(config, nets, z, size, key_policy)
    keys = jax.vmap(jax.random.split)(jax.random.split(key_noise, len(pairs)))

    def iteration(refined: Refined, inputs: tuple[PRNGKeyArray, Array]) -> tuple[Refined, None]:
        return _refine(config, nets, z, proposals, refined, *inputs), None

    start = Refined(
        mean=jnp.concatenate([previous[1:], jnp.zeros((1, size))]),
        std=jnp.full((config.plan_horizon, size), config.max_std),
        elites=jnp.zeros((config.elites, size)),
        score=jnp.zeros(config.elites),
    )
    mean, std, elites, score = platform.scan(iteration, start, (keys, pairs))[0]
    if not explore:
        return mean, elites[0]  # elites are sorted: the first is the best
    chosen = elites[jax.random.categorical(key_elite, jnp.log(score))]
    chosen = chosen + std[0] * jax.random.normal(key_act, (size,))
    return mean, nets.model.mask_action(jnp.clip(chosen, -1, 1))


def plan_worlds(
    config: Planning,
    nets: TaskNetworks,
    plans: Float[Array, "B H a"],
    obs: Float[Array, "B o"],
    key: PRNGKeyArray,
    explore: bool,
) -> tuple[Float[Array, "B H a"], Float[Array, "B a"]]:
    """`plan` for B worlds of one task in one call: the new plans and the actions to take."""
    key_pairs, key_worlds = jax.random.split(key)
    z = nets.model.encode(obs)
    pairs = q_pairs(config, nets, plans.shape[-1], key_pairs)
    keys = shards.draw(lambda s: jax.random.split(key_worlds, s), (len(obs),), axis=0)

    def one(z: Array, previous: Array, key: Array) -> tuple[Array, Array]:
        return plan(config, nets, z, previous, key, pairs, explore)

    return jax.vmap(one)(z, plans, keys)


def q_pairs(config: Planning, nets: TaskNetworks, size: int, key: PRNGKeyArray) -> Array:
    """Two random Qs for each iteration of a plan, [I, 2].

    I is `config.iterations`, plus two for tasks with at least 20 actions (`size`), as in TD-MPC2.
    All worlds share the pairs, so that the Qs' weights are not copied for each world.
    """
    iterations = config.iterations + (2 if size >= 20 else 0)
    num_q = jax.tree.leaves(nets.q)[0].shape[0]
    return jax.vmap(lambda k: two_of(num_q, k))(jax.random.split(key, iterations))


def _refine(
    config: Planning,
    nets: TaskNetworks,
    z: Float[Array, " z"],
    proposals: Float[Array, "H P a"],
    refined: Refined,
    keys: PRNGKeyArray,
    pair: Int[Array, "2"],
) -> Refined:
    """One iteration, from the mean and deviation that the one before has left."""
    mean, std = refined.mean, refined.std
    key_noise, key_value = keys
    num_samples = config.samples - config.policy_samples
    noise = jax.random.normal(key_noise, (config.plan_horizon, num_samples, mean.shape[-1]))
    sampled = jnp.clip(mean[:, None] + std[:, None] * noise, -1, 1)
    actions = nets.model.mask_action(jnp.concatenate([proposals, sampled], axis=1))
    end_noise = jax.random.normal(key_value, actions.shape[1:])
    value = sequences.values(nets.with_qs(pair), z, actions, end_noise)
    best, ids = jax.lax.top_k(value, config.elites)
    elites = actions[:, ids]
    score, mean, variance = weighed(config.temperature * best, elites)
    std = jnp.clip(jnp.sqrt(variance), config.min_std, config.max_std)
    return Refined(mean, std, elites[0], score)


def weighed(
    logits: Float[Array, " E"], elites: Float[Array, "H E a"]
) -> tuple[Float[Array, " E"], Plan, Plan]:
    """Softmax of the logits, which are in falling order; mean and variance with these weights."""
    if platform.compiled_for() == "cpu":
        score = jax.nn.softmax(logits)
        mean = jnp.einsum("e,hea->ha", score, elites)
        return score, mean, jnp.einsum("e,hea->ha", score, (elites - mean[:, None]) ** 2)
    # A softmax that is divided by its sum after the sums over elites: fewer kernels.
    score = jnp.exp(logits - logits[0])
    by_entry = jnp.moveaxis(elites, 1, 2).reshape(-1, len(score))
    sums = (score * jnp.concatenate([by_entry, jnp.ones((1, len(score)))])).sum(axis=-1)
    mean, total = sums[:-1] / sums[-1], sums[-1]
    variance = (score * (by_entry - mean[:, None]) ** 2).sum(axis=-1) / total
    shape = (len(elites), -1)
    return score / total, mean.reshape(shape), variance.reshape(shape)


def _policy_proposals(
    config: Planning, nets: TaskNetworks, z: Float[Array, " z"], size: int, key: PRNGKeyArray
) -> Float[Array, "H P a"]:
    """Action sequences of P policy rollouts in the model."""
    noise = jax.random.normal(key, (config.plan_horizon, config.policy_samples, size))

    def step(z: Array, noise: Array) -> tuple[Array, Array]:
        action = nets.act(z, noise)
        return nets.model.predict(z, action), action

    start = jnp.broadcast_to(z, (config.policy_samples, *z.shape))
    return platform.scan(step, start, noise)[1]
