"""TD-MPC2's networks: parameter counts, published checkpoints, and actions that a task lacks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import interop
from mjxwm.algos.tdmpc2 import config, networks, planner, updates
from mjxwm.algos.tdmpc2 import entropy as entropies
from mjxwm.models.world_model import Batch

torch = pytest.importorskip("torch")

from mjxwm.bench import torch_peer  # noqa: E402  after the skip

COUNTS = {
    # size, tasks, task_size, latent: encoder, dynamics, reward, policy, q, task, total
    ("1M", 80, 96, None): (68480, 287616, 276965, 240396, 553930, 7680, 1435067),
    ("5M", 80, 96, None): (167936, 843264, 631397, 582668, 3156985, 7680, 5389930),
    ("19M", 80, 96, None): (1981696, 2734336, 2049125, 1951756, 10245625, 7680, 18970218),
    ("48M", 80, 96, None): (8059136, 6159616, 4962149, 4791820, 24810745, 7680, 48791146),
    ("317M", 80, 96, None): (
        *(56573984, 28495904, 23269477, 22880268, 186155816, 7680, 317383129),
    ),
    ("5M", 30, 64, None): (155904, 826880, 615013, 566284, 3075065, 1920, 5241066),
    ("19M", 30, 64, 512): (1670656, 2176512, 1754213, 1656844, 8771065, 1920, 16031210),
}
TOTALS = {
    ("1M", 30, 96, 24, 6): 1426427,
    ("48M", 30, 64, 24, 6): 48242410,
    ("317M", 30, 96, 24, 6): 317316889,
    ("5M", 1, 0, 17, 6): 4958826,  # cheetah
    ("5M", 1, 0, 24, 6): 4960618,  # walker
    ("5M", 1, 0, 15, 4): 4949094,  # hopper
    ("5M", 1, 0, 67, 21): 5040776,  # humanoid
    ("5M", 1, 0, 223, 38): 5159082,  # dog
    ("5M", 1, 0, 39, 4): 4955238,  # Meta-World
}


def count(size, tasks, task_size, obs, action, latent=None):
    make = functools.partial(
        networks.init, config.sized(size, task_size, latent), obs, action, tasks
    )
    return networks.parameters(jax.eval_shape(lambda key: make(key=key), jax.random.key(0)))


@pytest.mark.parametrize("row", COUNTS, ids=str)
def test_parameters_by_component(row):
    size, tasks, task_size, latent = row
    obs = 39 if tasks == 80 else 24
    names = ("encoder", "dynamics", "reward", "policy", "q", "task", "total")
    counts = count(size, tasks, task_size, obs, 6, latent)
    assert tuple(counts[name] for name in names) == COUNTS[row]
    assert counts["termination"] == 0


@pytest.mark.parametrize("row", TOTALS, ids=str)
def test_parameters_in_all(row):
    assert count(*row)["total"] == TOTALS[row]


def peer(size_config, obs, action, tasks):
    """A torch model in which every weight matters, target Qs unlike the Qs."""
    torch.manual_seed(0)
    model = torch_peer.TDMPC2(size_config, obs, action, tasks)
    with torch.no_grad():
        for p in [*model.parameters(), *model._target]:
            p.add_(0.05 * torch.randn_like(p))
    return model.eval()


SIZES = [
    *((size, 39, 80, 96, None) for size in ("1M", "5M", "19M")),
    ("1M", 24, 30, 96, None),
    ("5M", 24, 30, 64, None),
    ("19M", 24, 30, 64, 512),
    ("5M", 17, 1, 0, None),
    *(
        pytest.param(size, *rest, marks=pytest.mark.slow)
        for size in ("48M", "317M")
        for rest in ((39, 80, 96, None), (24, 30, 96 if size == "317M" else 64, None))
    ),
]


@pytest.mark.parametrize("new", [False, True], ids=["released", "new"])
@pytest.mark.parametrize(("size", "obs", "tasks", "task_size", "latent"), SIZES)
def test_a_checkpoint_gives_the_same_outputs(tmp_path, size, obs, tasks, task_size, latent, new):
    size_config = config.sized(size, task_size, latent)
    theirs = peer(size_config, obs, 6, tasks)
    path = tmp_path / "model.pt"
    torch.save({"model": torch_peer.state_dict(theirs, new)}, path)
    got = interop.read_checkpoint(path)
    assert (got.config, got.obs_size, got.action_size, got.tasks) == (size_config, obs, 6, tasks)

    rng = np.random.default_rng(0)
    n = 3
    task = rng.integers(0, tasks, n)
    o, a, noise = (rng.standard_normal((n, k)).astype(np.float32) for k in (obs, 6, 6))
    t = torch.tensor(task) if task_size else None
    info = networks.TaskTable(jnp.ones((tasks, 6)), jnp.full(tasks, 0.99))
    # torch scales an embedding into the unit ball at every look-up; ours are kept there.
    ours = networks.for_task(networks.project(got.networks), info, task)
    slow = networks.for_task(networks.project(got.networks)._replace(q=got.target), info, task)
    with torch.no_grad():
        z = theirs.encode(torch.tensor(o), t)
        expected = {
            "encoder": z,
            "dynamics": theirs.next(z, torch.tensor(a), t),
            "reward": theirs.reward(z, torch.tensor(a), t),
            "policy": theirs.pi(z, t, torch.tensor(noise))[0],
            "q": theirs.q(list(theirs._Qs), z, torch.tensor(a), t),
            "target": theirs.q(theirs._target, z, torch.tensor(a), t),
        }
    latent_ = jnp.asarray(z.numpy())
    outputs = {
        "encoder": ours.model.encode(o),
        "dynamics": ours.model.predict(latent_, a),
        "reward": ours.model.reward_logits(latent_, a),
        "policy": ours.act(latent_, noise),
        "q": ours.value_logits(latent_, a),
        "target": slow.value_logits(latent_, a),
    }
    for name, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        np.testing.assert_allclose(outputs[name], value, atol=1e-5 * scale, rtol=1e-5, err_msg=name)


SMALL = dataclasses.replace(
    config.sized("1M", 4),
    model=dataclasses.replace(config.sized("1M").model, latent=16, encoder=(16,), hidden=(16,)),
    q_hidden=(16,),
    num_q=3,
)


def small_checkpoint(path, change):
    state = torch_peer.state_dict(peer(SMALL, 5, 3, 4))
    torch.save({"model": change(state) or state}, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {k: v for k, v in s.items() if k != "_dynamics.1.ln.bias"},
            r"_dynamics\.1\.ln\.bias is missing",
        ),
        (lambda s: {k: v for k, v in s.items() if "_pi" not in k}, r"no _pi\.\*"),
        (
            lambda s: s.update({"_pi.0.bias": torch.zeros(7)}),
            r"_pi\.0\.bias has the shape \(7,\); \(16,\) was expected beside",
        ),
        (lambda s: {"weights": torch.zeros(3)}, "no networks"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, change, message):
    path = tmp_path / "bad.pt"
    small_checkpoint(path, change)
    with pytest.raises(ValueError, match=message):
        interop.read_checkpoint(path)


def test_a_head_of_terminations_is_turned_around(tmp_path):
    theirs = peer(SMALL, 5, 3, 4)
    ending = torch_peer.mlp((16 + 4, 24, 1))
    with torch.no_grad():
        for p in ending.parameters():
            p.add_(0.3 * torch.randn_like(p))
    state = torch_peer.state_dict(theirs)
    state |= {f"_termination.{name}": value for name, value in ending.state_dict().items()}
    torch.save({"model": state}, tmp_path / "episodic.pt")
    got = interop.read_checkpoint(tmp_path / "episodic.pt")
    assert got.config.model.ends == (24,)
    task = np.array([0, 2])
    z = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    with torch.no_grad():
        logits = ending(theirs.with_embedding(torch.tensor(z), torch.tensor(task)))
        ends = torch.sigmoid(logits)[:, 0]
    info = networks.TaskTable(jnp.ones((4, 3)), jnp.full(4, 0.9))
    ours = networks.for_task(networks.project(got.networks), info, task).model.going_on(z)
    np.testing.assert_allclose(ours, 1 - ends, atol=1e-5)


def test_a_model_of_other_tasks_is_refused(tmp_path):
    path = tmp_path / "four.pt"
    small_checkpoint(path, lambda s: None)
    assert interop.read_checkpoint(path, tasks=4).tasks == 4
    with pytest.raises(ValueError, match="a model of 4 tasks; 80 were expected"):
        interop.read_checkpoint(path, tasks=80)


def test_a_broken_file_a_missing_one_and_one_that_would_run_something(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(ValueError, match="no such file"):
        interop.read_checkpoint(path)
    small_checkpoint(path, lambda s: None)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="broken, or not a file of torch's"):
        interop.read_checkpoint(path)
    torch.save({"model": dataclasses.replace(SMALL)}, path)
    with pytest.raises(ValueError, match="holds more than tensors, which is not run here"):
        interop.read_checkpoint(path)


def case():
    """Networks of 4 tasks, two of which lack actions, and windows with something in every place."""
    tasks = networks.TaskTable(
        jnp.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], float), jnp.full(4, 0.9)
    )
    keys = jax.random.split(jax.random.key(1), 6)
    nets = networks.init(SMALL, 5, 3, 4, key=keys[0])
    leaves, tree = jax.tree.flatten(nets)
    noise = [0.1 * jax.random.normal(k, x.shape) for k, x in zip(
        jax.random.split(keys[1], len(leaves)), leaves, strict=True)]  # fmt: skip
    nets = networks.project(
        jax.tree.unflatten(tree, [x + n for x, n in zip(leaves, noise, strict=True)])
    )
    task = jnp.array([0, 1, 2, 3, 1, 2])
    shape = (3, len(task))
    batch = Batch(
        obs=jax.random.normal(keys[2], (4, len(task), 5)),
        action=jax.random.uniform(keys[3], (*shape, 3), minval=-1),
        reward=jax.random.normal(keys[4], shape),
        terminated=jnp.zeros(shape),
        mask=jnp.ones(shape),
        next_mask=jnp.ones(shape),
    )
    return nets, tasks, task, batch


RATES = updates.Rates(3e-4, 0.3, 0.01, 1e-4, 0.1)


@pytest.mark.slow
def test_an_action_that_a_task_lacks_changes_nothing_bitwise():
    nets, tasks, task, batch = case()
    tx = updates.optimizers(RATES, updates=1)
    learner = updates.init(tx, nets)
    lacking = tasks.action_mask[task] == 0
    filled = batch._replace(action=jnp.where(lacking, jnp.nan, batch.action))

    @jax.jit
    def outputs(batch):
        task_nets = networks.for_task(nets, tasks, task)
        z, action = task_nets.model.encode(batch.obs[0]), batch.action[0]
        step = updates.update(
            SMALL.model, RATES, tx, learner, tasks, batch, task, jax.random.key(2)
        )
        return (
            task_nets.model.predict(z, action),
            task_nets.model.reward(z, action),
            task_nets.values(z, action),
            step,
        )

    plain, other = outputs(batch), outputs(filled)
    jax.tree.map(np.testing.assert_array_equal, plain, other)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(other))


def test_policy_and_plans_leave_actions_that_a_task_lacks_at_zero():
    nets, tasks, _, batch = case()
    planning = config.Planning(samples=32, policy_samples=8, elites=8, iterations=3)
    for number, mask in enumerate(tasks.action_mask):
        task_nets = networks.for_task(nets, tasks, number)
        z = task_nets.model.encode(batch.obs[0, 0])
        key = jax.random.key(number)
        action = task_nets.act(z, jax.random.normal(key, (3,)))
        assert (action[mask == 0] == 0).all()
        assert (action[mask > 0] != 0).all()
        for explore in (False, True):
            previous = jnp.where(mask > 0, 0.3, 77.0) * jnp.ones((3, 3))
            pairs = planner.q_pairs(planning, task_nets, 3, key)
            garbage = planner.plan(planning, task_nets, z, previous, key, pairs, explore)
            clean = planner.plan(planning, task_nets, z, previous * mask, key, pairs, explore)
            jax.tree.map(np.testing.assert_array_equal, garbage[1], clean[1])
            jax.tree.map(np.testing.assert_array_equal, garbage[0], clean[0])
            assert (garbage[1][mask == 0] == 0).all()


def test_the_entropy_counts_the_actions_that_a_task_has():
    log_std, noise = jnp.log(jnp.array([0.5, 2.0, 3.0])), jnp.zeros(3)
    mask = jnp.array([1.0, 1.0, 0.0])
    expected = 2 * (np.log(0.5) + np.log(2.0) + np.log(2 * np.pi))
    entropy = updates.gaussian_entropy(log_std, noise, mask)
    np.testing.assert_allclose(entropy, expected, rtol=1e-6)
    other = updates.gaussian_entropy(log_std.at[2].set(9.0), noise.at[2].set(5.0), mask)
    assert entropy == other


def test_the_entropy_after_tanh_is_that_of_the_action():
    noise = jnp.linspace(-3, 3, 2001)[:, None]
    mean, mask = jnp.array([0.3, 5.0]), jnp.array([1.0, 0.0])

    def entropy(log_std):
        log_std = jnp.array([log_std, 1.0])
        u = mean + jnp.exp(log_std) * noise
        return entropies.squashed_entropy(u, log_std, noise, mask)

    a, std = np.tanh(0.3 + 0.5 * np.asarray(noise[:, 0])), 0.5
    density = np.exp(-0.5 * noise[:, 0] ** 2) / (std * np.sqrt(2 * np.pi)) / (1 - a**2)
    np.testing.assert_allclose(entropy(np.log(0.5)), -np.log(density), atol=1e-4)
    # More noise than a deviation of 1 saturates tanh: that entropy falls, the Gaussian's does not.
    weight = jnp.exp(-0.5 * noise[:, 0] ** 2)
    slope = jax.grad(lambda x: (weight * entropy(x)).sum() / weight.sum())
    assert slope(jnp.log(0.3)) > 0.1
    assert slope(jnp.log(3.0)) < -0.1
    plain = jax.grad(lambda x: entropies.gaussian_entropy(jnp.array([x, 1.0]), jnp.zeros(2), mask))
    assert plain(jnp.log(3.0)) == 1.0
