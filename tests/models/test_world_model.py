"""The world model: its loss against a plain loop, what masks hide, and imagination."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm.maths import twohot
from mjxwm.models import world_model
from mjxwm.models.world_model import Batch, Config, WorldModel

H, N, O, A = 3, 4, 2, 1
SCALAR = Config(
    latent=8, simnorm_group=4, encoder=(6,), hidden=(7,), consistency=2.0, reward=0.5,
    continuation=0.25, rho=0.9,
)  # fmt: skip
CONFIGS = {
    "scalar": SCALAR,
    "two-hot": dataclasses.replace(SCALAR, reward_head="two-hot", num_bins=11),
}


@functools.cache
def model(head: str = "scalar") -> WorldModel:
    """A model whose every weight matters: none is zero, none is tiny."""
    fresh = WorldModel.create(CONFIGS[head], O, A, key=jax.random.key(0))
    leaves, tree = jax.tree.flatten(fresh)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noise = [0.5 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, [x + n for x, n in zip(leaves, noise, strict=True)])


def batch() -> Batch:
    """Windows: one whole, one that terminates, one truncated, one whose physics diverged."""
    keys = jax.random.split(jax.random.key(2), 3)
    mask = jnp.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]], float)
    next_mask = jnp.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], float)
    terminated = jnp.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], float)
    return Batch(
        obs=jax.random.normal(keys[0], (H + 1, N, O)),
        action=jax.random.uniform(keys[1], (H, N, A), minval=-1),
        reward=3 * jax.random.normal(keys[2], (H, N)),
        terminated=terminated,
        mask=mask,
        next_mask=next_mask,
    )


@functools.cache
def value_and_grad(head: str):
    def loss(model, batch):
        total, (metrics, _) = world_model.loss(model, CONFIGS[head], batch)
        return total, metrics

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


@pytest.mark.parametrize("head", CONFIGS)
def test_the_loss_equals_a_loop_over_steps_and_windows(head):
    m, config, b = model(head), CONFIGS[head], batch()
    sums = {"consistency": 0.0, "reward": 0.0, "continuation": 0.0}
    for n in range(N):
        z = m.encode(b.obs[0, n])
        for t in range(H):
            weight, next_z = config.rho**t, m.predict(z, b.action[t, n])
            if b.mask[t, n]:
                logits = m.reward_logits(z, b.action[t, n])
                if head == "scalar":
                    error = (logits[0] - b.reward[t, n]) ** 2
                else:
                    error = twohot.cross_entropy(logits, b.reward[t, n])
                sums["reward"] += weight * float(error)
                going_on = float(jax.nn.sigmoid(m.continue_logit(next_z)))
                likelihood = 1 - going_on if b.terminated[t, n] else going_on
                sums["continuation"] -= weight * np.log(likelihood)
            if b.next_mask[t, n]:
                error = ((next_z - m.encode(b.obs[t + 1, n])) ** 2).mean()
                sums["consistency"] += weight * float(error)
            z = next_z
    counts = {"consistency": 5, "reward": 8, "continuation": 8}
    expected = {name: total / counts[name] for name, total in sums.items()}

    (total, metrics), _ = value_and_grad(head)(m, b)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
    weights = {name: getattr(config, name) for name in expected}
    np.testing.assert_allclose(total, sum(weights[k] * expected[k] for k in weights), rtol=1e-5)


@pytest.mark.parametrize("head", CONFIGS)
def test_what_is_masked_has_no_influence_at_all(head):
    b = batch()
    # Observation t + 1 matters only where step t led to it; the others follow from `mask`.
    led_to = jnp.concatenate([jnp.ones((1, N)), b.next_mask])
    # A step may be masked itself and yet its action hides nothing: nothing after it counts either.
    other = b._replace(
        obs=jnp.where(led_to[..., None] > 0, b.obs, 77.0),
        action=jnp.where(b.mask[..., None] > 0, b.action, -0.9),
        reward=jnp.where(b.mask > 0, b.reward, 1e4),
        terminated=jnp.where(b.mask > 0, b.terminated, 1.0),
    )
    assert any((x != y).any() for x, y in zip(b, other, strict=True))
    got, expected = (value_and_grad(head)(model(head), x) for x in (other, b))
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_a_step_without_data_gives_zero_and_not_nan():
    b = batch()
    b = b._replace(mask=jnp.zeros((H, N)), next_mask=jnp.zeros((H, N)))
    (total, _), grads = value_and_grad("scalar")(model(), b)
    assert total == 0
    assert all((g == 0).all() for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("masked", [0, 1, 4])
def test_the_mean_error_of_equal_parts_is_that_of_the_whole(masked):
    """With each part's share of the number of steps, also where a part has no step at all."""
    error = jnp.arange(1.0, 6).reshape(1, 5)
    error, mask = jnp.concatenate([error, error], 1), jnp.zeros((1, 10)).at[0, masked:5].set(1)
    parts = [
        world_model.mean_error(SCALAR, x, m, mask.sum() / 2)
        for x, m in zip(jnp.split(error, 2, 1), jnp.split(mask, 2, 1), strict=True)
    ]
    whole = world_model.mean_error(SCALAR, error, mask)
    np.testing.assert_allclose(sum(parts) / 2, whole, rtol=1e-6)


def test_the_encoder_learns_through_the_first_observation_alone():
    m, b = model(), batch()
    grads = value_and_grad("scalar")(m, b)[1]

    def through_first(encoder):
        """The same loss with targets from a model that is held fixed."""
        z = encoder(b.obs[0])
        total = 0.0
        weight = SCALAR.rho ** jnp.arange(H)
        for t in range(H):
            next_z = m.predict(z, b.action[t])
            error = ((next_z - m.encode(b.obs[t + 1])) ** 2).mean(-1)
            total += SCALAR.consistency * weight[t] * (b.next_mask[t] * error).sum() / 5
            error = (m.reward_logits(z, b.action[t])[..., 0] - b.reward[t]) ** 2
            total += SCALAR.reward * weight[t] * (b.mask[t] * error).sum() / 8
            sign = 1 - 2 * b.terminated[t]
            error = jax.nn.softplus(-sign * m.continue_logit(next_z))
            total += SCALAR.continuation * weight[t] * (b.mask[t] * error).sum() / 8
            z = next_z
        return total

    expected = jax.jit(jax.grad(through_first))(m.encoder)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), grads.encoder, expected
    )


@pytest.mark.parametrize("head", CONFIGS)
def test_every_part_of_the_model_learns(head):
    grads = value_and_grad(head)(model(head), batch())[1]
    for name in ("encoder", "dynamics", "reward_head", "continue_head"):
        part = jax.tree.leaves(getattr(grads, name))
        # A shift before a softmax within one group is without effect only if it is common to it.
        assert all(jnp.abs(g).max() > 0 for g in part), name


@pytest.mark.parametrize("head", CONFIGS)
def test_a_fresh_model_predicts_no_reward_and_no_end(head):
    fresh = WorldModel.create(CONFIGS[head], O, A, key=jax.random.key(0))
    z = fresh.encode(jnp.ones((N, O)))
    np.testing.assert_allclose(fresh.reward(z, jnp.ones((N, A))), 0, atol=1e-6)
    np.testing.assert_allclose(jax.nn.sigmoid(fresh.continue_logit(z)), 0.982, atol=1e-3)


@pytest.mark.parametrize("head", CONFIGS)
def test_imagination_equals_a_loop(head):
    m = model(head)
    gain = jnp.linspace(-1, 1, SCALAR.latent)

    def policy(z, noise):
        return jnp.tanh((z @ gain)[..., None] + noise)

    start = m.encode(jax.random.normal(jax.random.key(3), (N, O)))
    noise = jax.random.normal(jax.random.key(4), (H, N, A))
    got = jax.jit(lambda m: world_model.imagine(m, policy, start, noise))(m)
    z = start
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    for t in range(H):
        close(got.z[t], z)
        action = policy(z, noise[t])
        close(got.action[t], action)
        close(got.reward[t], m.reward(z, action))
        z = m.predict(z, action)
        close(got.going_on[t], jax.nn.sigmoid(m.continue_logit(z)))
    close(got.z[H], z)
    assert got.z.shape == (H + 1, N, SCALAR.latent)


def test_the_two_hot_reward_decodes_symlog_to_reward_units():
    m = model("two-hot")
    z, action = m.encode(jnp.ones((N, O))), jnp.zeros((N, A))
    weights = jax.nn.softmax(m.reward_logits(z, action))
    mean = (weights * jnp.linspace(-10, 10, 11)).sum(-1)
    np.testing.assert_allclose(m.reward(z, action), np.sign(mean) * np.expm1(abs(mean)), rtol=1e-4)


def test_latents_are_groups_that_sum_to_one():
    z = model().encode(jnp.ones((N, O)))
    for latent in (z, model().predict(z, jnp.ones((N, A)))):
        np.testing.assert_allclose(latent.reshape(N, 2, 4).sum(-1), 1, atol=1e-6)


def test_a_latent_of_broken_groups_is_refused():
    config = Config(latent=10, simnorm_group=4)
    with pytest.raises(ValueError, match="latent=10 is not a multiple of simnorm_group=4"):
        WorldModel.create(config, O, A, key=jax.random.key(0))


def test_without_a_continuation_error_episodes_always_go_on(key):
    config = dataclasses.replace(SCALAR, continuation=0.0)
    model = WorldModel.create(config, 3, 2, key=key)
    z = jax.random.uniform(key, (5, config.latent))
    np.testing.assert_array_equal(model.going_on(z), np.ones(5))
    ends = WorldModel.create(SCALAR, 3, 2, key=key)
    np.testing.assert_allclose(ends.going_on(z), jax.nn.sigmoid(ends.continue_logit(z)))
