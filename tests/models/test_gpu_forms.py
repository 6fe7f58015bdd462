"""The forms that networks and rollouts have on a GPU give what the plain forms give.

Programs are traced for both platforms and run here, in double precision.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from platforms import assert_equal, on_both

from mjxwm.maths import moments, platform
from mjxwm.models import nets, world_model
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned, Config, WorldModel

LATENT, OBS, ACTION, TASK, N = 8, 3, 2, 4, 5


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def noisy(tree, key):
    """Weights of which none is 0 or tiny, in double precision."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(leaves, keys, strict=True)
    return jax.tree.unflatten(
        structure, [x + 0.5 * jax.random.normal(k, x.shape, float) for x, k in pairs]
    )


def simnorm(x):
    return nets.simnorm(x, 4)


@pytest.mark.parametrize(
    ("norm_first", "out_activation"),
    [
        (True, simnorm),
        (False, None),
        pytest.param(True, None, marks=pytest.mark.slow),
        pytest.param(False, simnorm, marks=pytest.mark.slow),
    ],
)
def test_a_network_and_its_gradients(key, norm_first, out_activation):
    """With a dropout mask, and as an ensemble of three."""
    keys = jax.random.split(key, 5)

    def make(key):
        return MLP.create(
            4, (8, 8), 8, key=key, init="torch", out_activation=out_activation,
            norm_first=norm_first, dropout=0.5,
        )  # fmt: skip

    net = noisy(jax.vmap(make)(jax.random.split(keys[0], 3)), keys[1])
    x = 3 * jax.random.normal(keys[2], (2, N, 4))
    mask = jax.random.bernoulli(keys[3], 0.5, (2, N, 8))
    weight = jax.random.normal(keys[4], (3, 2, N, 8))

    def loss(net, x):
        y = jax.vmap(lambda net: net(x, mask))(net)
        return (weight * y).sum(), y

    results = on_both(jax.grad(loss, (0, 1), has_aux=True), net, x)
    assert_equal(results)


def cases(key):
    """A model, and one that is conditioned on a task, with all that may be learned of them."""
    config = Config(latent=LATENT, simnorm_group=4, encoder=(6,), hidden=(7, 9))
    keys = jax.random.split(key, 5)
    plain = WorldModel.create(config, OBS, ACTION, key=keys[0])
    of_tasks = WorldModel.create(config, OBS, ACTION, key=keys[1], task_size=TASK)
    conditioned = Conditioned(
        noisy(of_tasks, keys[2]), jax.random.normal(keys[3], (N, TASK)), jnp.ones((N, ACTION))
    )
    stats = moments.init((OBS,))
    conditioned = conditioned._replace(
        obs=jax.tree.map(lambda x: jnp.asarray(x, float), stats), action_mask=jnp.eye(N, ACTION)
    )
    return config, {"plain": noisy(plain, keys[4]), "conditioned": conditioned}


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("conditioned", 3),
        pytest.param("conditioned", 1, marks=pytest.mark.slow),
        pytest.param("plain", 1, marks=pytest.mark.slow),
        pytest.param("plain", 3, marks=pytest.mark.slow),
    ],
)
def test_self_prediction_and_its_gradients(key, name, steps):
    """The loss of the world model, whose rollout has a backward pass of its own on a GPU."""
    config, models = cases(key)
    keys = jax.random.split(key, 4)
    ones = jnp.ones((steps, N))
    batch = world_model.Batch(
        obs=jax.random.normal(keys[0], (steps + 1, N, OBS)),
        action=jax.random.normal(keys[1], (steps, N, ACTION)),
        reward=jax.random.normal(keys[2], (steps, N)),
        terminated=0 * ones,
        mask=ones,
        next_mask=ones,
    )

    def loss(model):
        return world_model.loss(model, config, batch)

    assert_equal(on_both(jax.grad(loss, has_aux=True), models[name]))


def imagined(key, detach=False):
    """The sum of imagined rewards and latents, as a function of policy, model, start and noise."""
    _, models = cases(key)
    keys = jax.random.split(key, 4)
    policy = noisy(MLP.create(LATENT, (6,), ACTION, key=keys[0], norm_first=False), keys[1])
    start = jax.random.normal(keys[2], (N, LATENT))
    noise = jax.random.normal(keys[3], (3, N, ACTION))

    def total(policy, model, start, noise):
        def act(z, noise):
            z = jax.lax.stop_gradient(z) if detach else z
            return jnp.tanh(policy(z) + noise)

        result = world_model.imagine(model, act, start, noise)
        return result.reward.sum() + (result.z**3).sum() + (result.going_on * noise[..., 0]).sum()

    return total, (policy, models["conditioned"], start, noise)


@pytest.mark.parametrize("detach", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_imagination_and_its_gradients(key, detach):
    total, args = imagined(key, detach)
    assert_equal(on_both(jax.value_and_grad(total, (0, 1, 2, 3)), *args))


@pytest.mark.slow
def test_gradients_of_several_policies_at_once(key):
    """`vmap` of the gradient, and the gradient of `vmap`."""
    total, (policy, *others) = imagined(key)
    several = jax.tree.map(lambda x: jnp.stack([x, 1.1 * x, 0.9 * x]), policy)

    def of_each(several):
        return jax.vmap(lambda policy: jax.grad(total)(policy, *others))(several)

    def of_sum(several):
        return jax.grad(lambda p: jax.vmap(lambda p: total(p, *others))(p).sum())(several)

    first, second = on_both(of_each, several), on_both(of_sum, several)
    assert_equal(first)
    assert_equal(second)
    assert_equal((first[1], second[1]))


def test_the_gradient_on_a_gpu_is_the_slope(key):
    """Central differences along random directions of the policy's weights."""
    total, (policy, *others) = imagined(key)
    direction = noisy(jax.tree.map(jnp.zeros_like, policy), key)
    with platform.compiling_for("gpu"):
        loss = jax.jit(lambda p: total(p, *others))
        gradient = jax.jit(jax.grad(lambda p: total(p, *others)))(policy)
        h = 1e-5
        ahead, behind = (
            loss(jax.tree.map(lambda p, d, h=h: p + h * d, policy, direction)) for h in (h, -h)
        )
    products = jax.tree.map(lambda a, b: (a * b).sum(), gradient, direction)
    expected = sum(jax.tree.leaves(products))
    np.testing.assert_allclose((ahead - behind) / (2 * h), expected, rtol=1e-6)


def test_bfloat16_rounds_alike_on_both_platforms(key):
    """The gradient in bfloat16 is close to the exact one, and in the parameters' own type."""
    total, (policy, model, start, noise) = imagined(key)

    def loss(policy):
        return total(*nets.computing_in("bfloat16", (policy, model)), start, noise)

    exact = jax.jit(jax.grad(total))(policy, model, start, noise)
    for rounded in on_both(jax.grad(loss), policy):
        for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(rounded), strict=True):
            assert a.dtype == b.dtype
            # 8 bits a number, and some ten products one after the other.
            assert jnp.abs(a - b).max() < 0.1 * jnp.abs(a).max()
