"""Model-predictive path integral control (MPPI) in the latent space, with the policy's help.

Williams et al. 2015 (arXiv 1509.01149), as TD-MPC2 plans: samples and elites around a plan that is
carried from step to step, some of the samples proposed by the policy, and the Qs for what follows.
Written for one world; `jax.vmap` plans for many in one call.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mjxwm.algos.tdmpc2.config import Planning
from mjxwm.algos.tdmpc2.networks import TaskNetworks, two_of

Plan = Float[Array, "H a"]


def no_plan(planning: Planning, action_size: int) -> Plan:
    """Where no step has been planned yet."""
    return jnp.zeros((planning.plan_horizon, action_size))


def plan(
    planning: Planning,
    nets: TaskNetworks,
    z: Float[Array, " z"],
    previous: Plan,
    key: PRNGKeyArray,
    pairs: Int[Array, "I 2"],
    explore: bool,
) -> tuple[Plan, Float[Array, " a"]]:
    """Plans from one latent.

    Args:
        planning: the settings.
        nets: the networks of the world's task.
        z: where the world is.
        previous: the plan of the step before, or `no_plan`.
        key: random key; the same key gives the same plan.
        pairs: the two Qs that judge each iteration, see `q_pairs`; worlds share them, so that
            their weights are not copied for each.
        explore: whether the action is an elite's at random, with noise, or the best elite's.

    Returns:
        The plan, which the next step starts from, and its first action.
    """
    key_policy, key_noise, key_elite, key_act = jax.random.split(key, 4)
    iterations, size = len(pairs), previous.shape[-1]
    proposed = _proposals(planning, nets, z, size, key_policy)
    free = planning.samples - planning.policy_samples
    shape = (iterations, planning.plan_horizon, free, size)
    keys = jax.random.split(key_noise, iterations)

    def refine(
        carry: tuple[Array, Array], inputs: tuple[PRNGKeyArray, Array]
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        (mean, std), (key, which) = carry, inputs
        key_noise, key_value = jax.random.split(key)
        noise = jax.random.normal(key_noise, shape[1:])
        sampled = jnp.clip(mean[:, None] + std[:, None] * noise, -1, 1)
        actions = nets.model.own(jnp.concatenate([proposed, sampled], axis=1))
        value = _value(planning, nets, z, actions, which, key_value)
        best, ids = jax.lax.top_k(value, planning.elites)
        elites = actions[:, ids]
        score = jax.nn.softmax(planning.temperature * best)
        mean = jnp.einsum("e,hea->ha", score, elites)
        spread = jnp.einsum("e,hea->ha", score, (elites - mean[:, None]) ** 2)
        std = jnp.clip(jnp.sqrt(spread), planning.min_std, planning.max_std)
        return (mean, std), (elites[0], score)

    mean = jnp.concatenate([previous[1:], jnp.zeros((1, size))])
    start = (mean, jnp.full((planning.plan_horizon, size), planning.max_std))
    (mean, std), (elites, score) = jax.lax.scan(refine, start, (keys, pairs))
    if not explore:
        return mean, elites[-1, 0]  # sorted: the first is the best
    chosen = elites[-1, jax.random.categorical(key_elite, jnp.log(score[-1]))]
    noisy = chosen + std[0] * jax.random.normal(key_act, (size,))
    return mean, nets.model.own(jnp.clip(noisy, -1, 1))


def q_pairs(
    planning: Planning, nets: TaskNetworks, size: int, key: PRNGKeyArray
) -> Int[Array, "I 2"]:
    """Two Qs at random for each iteration of a plan; from 20 actions on there are two more."""
    iterations = planning.iterations + (2 if size >= 20 else 0)
    num_q = jax.tree.leaves(nets.q)[0].shape[0]
    return jax.vmap(lambda k: two_of(num_q, k))(jax.random.split(key, iterations))


def _proposals(
    planning: Planning, nets: TaskNetworks, z: Float[Array, " z"], size: int, key: PRNGKeyArray
) -> Float[Array, "H P a"]:
    noise = jax.random.normal(key, (planning.plan_horizon, planning.policy_samples, size))

    def step(z: Array, noise: Array) -> tuple[Array, Array]:
        action = nets.act(z, noise)
        return nets.model.predict(z, action), action

    many = jnp.broadcast_to(z, (planning.policy_samples, *z.shape))
    return jax.lax.scan(step, many, noise)[1]


def _value(
    planning: Planning,
    nets: TaskNetworks,
    z: Float[Array, " z"],
    actions: Float[Array, "H S a"],
    which: Array,
    key: PRNGKeyArray,
) -> Float[Array, " S"]:
    """Discounted rewards along the plans, then the mean of two Qs at the policy's action."""

    def step(carry: tuple[Array, Array, Array], action: Array) -> tuple[tuple, None]:
        z, total, weight = carry
        total = total + weight * nets.model.reward(z, action)
        z = nets.model.predict(z, action)
        return (z, total, weight * nets.discount * nets.model.going_on(z)), None

    samples = actions.shape[1]
    many = jnp.broadcast_to(z, (samples, *z.shape))
    start = (many, jnp.zeros(samples), jnp.ones(samples))
    (last, total, weight), _ = jax.lax.scan(step, start, actions)
    noise = jax.random.normal(key, actions.shape[1:])
    value = nets.values(last, nets.act(last, noise), which).mean(axis=0)
    # A plan that the model cannot judge is no better than nothing.
    return jnp.nan_to_num(total + weight * value)
