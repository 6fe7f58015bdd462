"""TD-MPC2's losses and their gradients against torch; ends of episodes; the planner."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import interop
from mjxwm.algos import tdmpc2
from mjxwm.algos.tdmpc2 import config, networks, planner, updates
from mjxwm.models.world_model import Batch

H, N, O, A = 3, 5, 4, 2
SMALL = dataclasses.replace(
    config.sized("1M", 3),
    model=dataclasses.replace(config.sized("1M").model, latent=16, encoder=(16,), hidden=(16,)),
    q_hidden=(16,),
    num_q=2,  # a random pair is all of them
    dropout=0.0,
)
RATES = updates.Rates(3e-4, 0.3, 0.01, 1e-4, SMALL.value)
TASKS = networks.TaskTable(jnp.ones((4, A)), jnp.full(4, 0.9))


def windows(seed=0):
    rng = np.random.default_rng(seed)
    obs, action = rng.standard_normal((H + 1, N, O)), rng.uniform(-1, 1, (H, N, A))
    reward, td = rng.standard_normal((2, H, N)) * 3
    return [x.astype(np.float32) for x in (obs, action, reward, td)], rng.integers(0, 4, N)


def batch(data, **changes):
    ones = jnp.ones((H, N))
    obs, action, reward = (jnp.asarray(x) for x in data[:3])
    return Batch(obs, action, reward, 0 * ones, ones, ones)._replace(**changes)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same networks in torch and here."""
    torch = pytest.importorskip("torch")
    from mjxwm.bench import torch_peer

    torch.manual_seed(0)
    model = torch_peer.TDMPC2(SMALL, O, A, 4)
    with torch.no_grad():
        for p in [*model.parameters(), *model._target]:
            p.add_(0.1 * torch.randn_like(p))
        norm = model._task_emb.weight.norm(dim=1, keepdim=True)
        model._task_emb.weight.div_(norm.clamp(min=1) * 1.01)  # within the ball
    path = tmp_path_factory.mktemp("peer") / "model.pt"
    torch.save({"model": torch_peer.state_dict(model)}, path)
    got = interop.read_checkpoint(path)
    assert got.config == dataclasses.replace(SMALL, dropout=0.01)
    # Dropout is random.
    q, target = (dataclasses.replace(x, dropout=0.0) for x in (got.networks.q, got.target))
    return model, got._replace(networks=got.networks._replace(q=q), target=target)


def learner(got):
    tx = updates.optimizers(RATES, updates=1)
    return tx, updates.init(tx, got.networks)._replace(target=got.target)


def test_the_models_loss_and_its_gradients_are_torchs(pair):
    import torch

    from mjxwm.bench import torch_peer

    theirs, got = pair
    data, task = windows()
    theirs.eval()
    obs, action, reward, td = (torch.tensor(x) for x in data)
    t = torch.tensor(task)
    updater = torch_peer.Updater(theirs)
    next_z = theirs.encode(obs[1:], t).detach()
    loss, z = updater.model_loss(obs, action, reward, td, next_z, t)
    theirs.zero_grad()
    loss.backward()

    @jax.jit
    def ours(nets):
        return updates.model_loss(
            SMALL.model, SMALL.value, nets, TASKS, batch(data), jnp.asarray(task),
            jnp.asarray(data[3]), jax.random.key(0),
        )  # fmt: skip

    (total, (_, latents)), grads = jax.jit(jax.value_and_grad(ours, has_aux=True))(got.networks)
    np.testing.assert_allclose(total, loss.item(), rtol=1e-5)
    np.testing.assert_allclose(latents, z.detach(), atol=1e-6)
    expected = {
        "encoder": theirs._encoder["state"][0].weight.grad.T,
        "dynamics": theirs._dynamics[0].weight.grad.T,
        "reward": theirs._reward[1].weight.grad.T,
        "q": theirs._Qs[0].grad.mT,
        "embedding": theirs._task_emb.weight.grad,
    }
    model = grads.model
    gradients = {
        "encoder": model.encoder.layers[0].kernel,
        "dynamics": model.dynamics.layers[0].kernel,
        "reward": model.reward_head.layers[1].kernel,
        "q": grads.q.layers[0].kernel,
        "embedding": grads.embedding,
    }
    for name, value in expected.items():
        scale = float(value.abs().max())
        assert scale > 0
        np.testing.assert_allclose(gradients[name], value, atol=1e-4 * scale, err_msg=name)


def test_the_policys_loss_and_its_range_are_torchs(pair):
    import torch

    from mjxwm.bench import torch_peer

    theirs, got = pair
    data, task = windows(1)
    tx, ours = learner(got)
    z = np.random.default_rng(2).dirichlet(np.ones(8), (H + 1, N, 2)).reshape(H + 1, N, 16)
    z = z.astype(np.float32)
    key = jax.random.key(3)
    new, metrics = updates.update_policy(
        SMALL.model, RATES, tx, ours, TASKS, batch(data), jnp.asarray(z), jnp.asarray(task), key
    )
    noise = jax.random.normal(jax.random.split(key, 3)[0], (H + 1, N, A))
    updater = torch_peer.Updater(theirs.eval())
    loss = updater.policy_loss(
        torch.tensor(z), torch.tensor(task), torch.tensor(np.array(noise)), torch.arange(2)
    )
    np.testing.assert_allclose(metrics["policy/loss"], loss.item(), rtol=1e-4)
    np.testing.assert_allclose(new.scale, updater.scale.item(), rtol=1e-6)


def test_a_target_is_the_least_of_two_slow_qs(pair):
    _, got = pair
    data, task = windows(2)
    _, ours = learner(got)
    terminated = jnp.zeros((H, N)).at[1, 2].set(1)
    b, key = batch(data, terminated=terminated), jax.random.key(0)
    target = updates.td_target(ours, TASKS, b, jnp.asarray(task), key)
    slow = networks.for_task(got.networks._replace(q=got.target), TASKS, jnp.asarray(task))
    z = slow.model.encode(b.obs[1:])
    noise = jax.random.normal(jax.random.split(key)[0], b.action.shape)
    value = slow.values(z, slow.act(z, noise)).min(axis=0)
    expected = b.reward + 0.9 * jnp.where(terminated > 0, 0, value)
    np.testing.assert_allclose(target, expected, rtol=1e-5)


def test_what_follows_an_end_has_no_influence(pair):
    _, got = pair
    data, task = windows(3)
    tx, ours = learner(got)
    mask = jnp.ones((H, N)).at[2, 0].set(0)
    next_mask = jnp.ones((H, N)).at[1:, 0].set(0)  # window 0 is cut after its second step

    @jax.jit
    def step(b):
        key = jax.random.key(1)
        return updates.update(SMALL.model, RATES, tx, ours, TASKS, b, jnp.asarray(task), key)[0]

    plain = batch(data, mask=mask, next_mask=next_mask)
    led_to = jnp.concatenate([jnp.ones((1, N)), next_mask])[..., None]
    other = plain._replace(
        obs=jnp.where(led_to > 0, plain.obs, 7.0),
        reward=jnp.where(mask > 0, plain.reward, -50.0),
        action=jnp.where(mask[..., None] > 0, plain.action, 0.9),
    )
    whole = jax.tree.leaves(step(batch(data)).networks)
    ours_, theirs = (step(b).networks for b in (plain, other))
    # The range of Qs is over first latents, which are real; all else must be the same.
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-7), ours_, theirs)
    assert any((a != b).any() for a, b in zip(whole, jax.tree.leaves(ours_), strict=True))


@pytest.mark.slow
def test_the_encoder_learns_more_slowly():
    nets = networks.init(SMALL, O, A, 4, key=jax.random.key(0))
    data, task = windows(4)
    fast, slow = (RATES._replace(encoder_lr=share) for share in (1.0, 0.1))

    def moved(rates, name):
        tx = updates.optimizers(rates, updates=1)
        new, _ = updates.update(
            SMALL.model, rates, tx, updates.init(tx, nets), TASKS, batch(data),
            jnp.asarray(task), jax.random.key(0),
        )  # fmt: skip
        before, after = (getattr(n.model, name) for n in (nets, new.networks))
        steps = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), after, before)
        return max(float(x) for x in jax.tree.leaves(steps))

    assert moved(slow, "encoder") == pytest.approx(0.1 * moved(fast, "encoder"), rel=0.02)
    assert moved(slow, "dynamics") == pytest.approx(moved(fast, "dynamics"), rel=1e-3)


class Line:
    """Networks of a world known exactly: z' = z + 0.5 a, reward -(z - 1)^2, no value beyond."""

    def encode(self, obs):
        return obs

    def predict(self, z, action):
        return z + 0.5 * action

    def reward(self, z, action):
        return -((z[..., 0] + 0.5 * action[..., 0] - 1) ** 2)

    def going_on(self, next_z):
        return jnp.ones(next_z.shape[:-1])

    def mask_action(self, action):
        return action


class Judge:
    """What the planner asks of the networks."""

    def __init__(self, worth=0.0):
        self.model, self.discount, self.worth = Line(), 0.9, worth
        self.q = (jnp.zeros((2, 1)),)  # two of them

    def act(self, z, noise):
        return jnp.clip(noise, -1, 1)

    def with_qs(self, which):
        return self

    def values(self, z, action):
        return jnp.broadcast_to(self.worth * z[..., 0], (2, *z.shape[:-1]))


PLANNING = config.Planning(samples=256, policy_samples=16, elites=32)
PAIRS = jnp.array([[0, 1]] * PLANNING.iterations)
NO_PLAN = jnp.zeros((PLANNING.plan_horizon, 1))


def test_plans_reach_the_best_action():
    z, plan = jnp.zeros(1), NO_PLAN
    for _ in range(3):
        plan, action = planner.plan(PLANNING, Judge(), z, plan, jax.random.key(0), PAIRS, False)
        z = Line().predict(z, action)
    # Full speed first, then to the goal, and there it stays.
    np.testing.assert_allclose(z, 1.0, atol=0.05)


def test_the_value_beyond_the_horizon_counts():
    # Where being far on is worth more than the reward, plans go there.
    args = (jnp.full(1, 1.0), NO_PLAN, jax.random.key(0), PAIRS, False)
    _, stay = planner.plan(PLANNING, Judge(), *args)
    _, go = planner.plan(PLANNING, Judge(worth=50.0), *args)
    assert abs(stay[0]) < 0.1
    assert go[0] > 0.8


def test_plans_are_the_same_for_the_same_key_and_carried_on():
    judge, z = Judge(), jnp.zeros(1)
    first = planner.plan(PLANNING, judge, z, NO_PLAN, jax.random.key(4), PAIRS, True)
    again = planner.plan(PLANNING, judge, z, NO_PLAN, jax.random.key(4), PAIRS, True)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    one = dataclasses.replace(PLANNING, iterations=1, policy_samples=0, max_std=0.05)
    start = jnp.array([[0.0], [0.9], [0.8]])
    carried, _ = planner.plan(one, judge, z, start, jax.random.key(5), PAIRS[:1], False)
    # With little noise the plan stays near the shifted one: 0.9, 0.8, 0.
    np.testing.assert_allclose(carried[:, 0], [0.9, 0.8, 0.0], atol=0.15)


def test_many_worlds_are_planned_for_as_each_alone():
    nets = networks.init(SMALL, O, A, 4, key=jax.random.key(0))
    task_nets = networks.for_task(nets, TASKS, 1)
    small = config.Planning(samples=32, policy_samples=8, elites=8, iterations=2)
    obs = jax.random.normal(jax.random.key(1), (3, O))
    key = jax.random.key(2)
    keys = jax.random.split(jax.random.split(key)[1], 3)
    plans = jnp.zeros((3, small.plan_horizon, A))
    together = tdmpc2.plan_worlds(small, task_nets, plans, obs, key, True)
    for i in range(3):
        z = task_nets.model.encode(obs[i])
        pairs = jnp.array([[0, 1]] * 2)  # there are but two
        alone = planner.plan(small, task_nets, z, plans[i], keys[i], pairs, True)
        np.testing.assert_allclose(together[0][i], alone[0], atol=1e-5)
        np.testing.assert_allclose(together[1][i], alone[1], atol=1e-5)


def test_each_iteration_has_two_different_qs_and_large_bodies_more_iterations():
    many = Judge()
    many.q = (jnp.zeros((5, 1)),)
    for size, iterations in ((1, 6), (19, 6), (20, 8)):
        pairs = planner.q_pairs(PLANNING, many, size, jax.random.key(size))
        assert pairs.shape == (iterations, 2)
        assert (pairs[:, 0] != pairs[:, 1]).all()
        assert ((pairs >= 0) & (pairs < 5)).all()


@pytest.mark.parametrize(("length", "gamma"), [(500, 0.99), (100, 0.95), (1000, 0.995), (10, 0.95)])
def test_the_discount_follows_the_episodes_length(length, gamma):
    assert config.discount(length) == pytest.approx(gamma)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 2.0}, "gamma=2.0 is out of range"),
        ({"collect_with": "luck"}, "collect_with='luck'; choose planner or policy"),
        ({"planning": config.Planning(elites=600)}, "elites=600 is out of range"),
        ({"planning": config.Planning(policy_samples=600)}, "policy_samples=600"),
        ({"planning": config.Planning(plan_horizon=0)}, "plan_horizon=0 is out of range"),
        ({"networks": dataclasses.replace(SMALL, num_q=1)}, "num_q=1 is out of range"),
        ({"warmup": 1, "unroll": 2}, "raise warmup or lower horizon"),
        ({"entropy": -1.0}, "entropy=-1.0"),
        ({"lr": 0.0}, "lr=0.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config.validate(dataclasses.replace(config.Config(), **changes))
