"""Checkpoints as different versions of TD-MPC2 and its descendants name their tensors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import cli, interop
from mjxwm.algos.multitask import task_set
from mjxwm.algos.tdmpc2 import networks

torch = pytest.importorskip("torch")

from checkpoint_forms import (  # noqa: E402  after the skip
    BINS,
    ENCODER,
    FORMS,
    Q_HIDDEN,
    A,
    E,
    O,
    Single,
    Z,
    renamed,
    without,
)
from torch import nn  # noqa: E402


def read(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    return interop.read_checkpoint(tmp_path / "x.pt")


@pytest.fixture(scope="module")
def model():
    return Single()


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    """The plainest form; the test below holds it to torch's outputs."""
    return read(tmp_path_factory.mktemp("plain"), {"model": model.state_dict()})


def test_the_outputs_are_torch_s(model, plain):
    assert (plain.obs_size, plain.action_size, plain.tasks) == (O, A, 1)
    assert plain.config.model.encoder == ENCODER
    assert (plain.config.q_hidden, plain.config.num_q) == (Q_HIDDEN, E)
    assert plain.config.model.num_bins == BINS
    rng = np.random.default_rng(0)
    obs, action = (rng.standard_normal((4, k)).astype(np.float32) for k in (O, A))
    with torch.no_grad():
        z = model._encoder["state"](torch.tensor(obs))
        za = torch.cat([z, torch.tensor(action)], -1)
        expected = {
            "encoder": z,
            "dynamics": model._dynamics(za),
            "reward": model._reward(za),
            "policy": model._pi(z)[:, :A],
            "q": torch.stack([q(za) for q in model._Qs]),
            "target": torch.stack([q(za) for q in model._target_Qs]),
        }

    @jax.jit
    def outputs(nets, target, obs, z, action):
        info = networks.TaskTable(jnp.ones((1, A)), jnp.full(1, 0.99))
        ours = networks.for_task(nets, info, 0)
        return {
            "encoder": ours.model.encode(obs),
            "dynamics": ours.model.predict(z, action),
            "reward": ours.model.reward_logits(z, action),
            "policy": ours.gaussian(z)[0],
            "q": ours.value_logits(z, action),
            "target": networks.for_task(nets._replace(q=target), info, 0).value_logits(z, action),
        }

    got = outputs(plain.networks, plain.target, obs, z.numpy(), action)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=2e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
def test_every_layout_gives_the_same_arrays(tmp_path, model, plain, form):
    got = read(tmp_path, FORMS[form](model.state_dict(), model))
    assert got.config == plain.config
    for mine, other in zip(
        jax.tree.leaves((got.networks, got.target)),
        jax.tree.leaves((plain.networks, plain.target)),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, other)


def test_without_targets_the_qs_are_their_own(tmp_path, model, plain):
    got = read(tmp_path, without(model.state_dict(), "_target_Qs"))
    for mine, other in zip(
        jax.tree.leaves(got.target), jax.tree.leaves(plain.networks.q), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


def test_one_q_alone_is_an_ensemble_of_one(tmp_path, model, plain):
    one = renamed(
        without(model.state_dict(), *(f"{p}.{q}" for p in ("_Qs", "_target_Qs") for q in (1, 2))),
        lambda k: k.replace("Qs.0.", "Qs."),
    )
    got = read(tmp_path, one)
    assert got.config.num_q == 1
    for mine, other in zip(
        jax.tree.leaves(got.networks.q), jax.tree.leaves(plain.networks.q), strict=True
    ):
        np.testing.assert_array_equal(mine[0], other[0])


def test_tasks_keep_their_embeddings(tmp_path):
    many = Single(tasks=5, size=4)
    got = read(tmp_path, {"model": renamed(many.state_dict(), lambda k: f"module.{k}")})
    assert (got.tasks, got.obs_size, got.config.task_size) == (5, O, 4)
    np.testing.assert_array_equal(got.networks.embedding, many._task_emb.weight.detach())


def put(**tensors):
    return lambda s: {**s, **{name.replace("/", "."): x for name, x in tensors.items()}}


def bare(s):
    """Without the LayerNorm after the first layer of the dynamics."""
    return without(s, "_dynamics.1.")


NAN = torch.full((Z + A, 20), torch.nan).T
REFUSED = {
    "pictures": (
        put(
            **{
                "_encoder/rgb/0/weight": torch.zeros(32, 9, 7, 7),
                "_encoder/rgb/0/bias": torch.zeros(32),
            }
        ),
        r"_encoder\.rgb\.0\.weight is a convolution: a model that sees pictures",
    ),
    "features": (
        put(
            **{"_encoder/lang/0/weight": torch.zeros(8, 8), "_encoder/lang/0/bias": torch.zeros(8)}
        ),
        r"_encoder\.lang encodes something else than a state",
    ),
    "no norm": (
        bare,
        r"_dynamics\.0\.weight is followed by no LayerNorm; .* _dynamics each layer is",
    ),
    "no norm at the end": (
        lambda s: without(s, "_dynamics.7."),
        r"_dynamics\.6\.weight is followed by no LayerNorm",
    ),
    "a norm too many": (
        put(**{"_reward/7/weight": torch.ones(BINS), "_reward/7/bias": torch.ones(BINS)}),
        r"_reward\.6\.weight is followed by a LayerNorm; .* each layer but the last",
    ),
    "a norm first": (
        put(**{"_encoder/state/0/weight": torch.ones(O), "_encoder/state/0/bias": torch.ones(O)}),
        r"_encoder\.state\.0 has a weight of 1 dimensions",
    ),
    "no bias": (lambda s: without(s, "_pi.0.bias"), r"_pi\.0\.bias is missing"),
    "batch norm": (
        put(**{"_dynamics/1/running_mean": torch.zeros(20)}),
        r"_dynamics\.1\.running_mean is not of a linear layer or a LayerNorm",
    ),
    "another network": (
        put(**{"_adapter/weight": torch.zeros(3, 3)}),
        r"_adapter\.weight is of no network of TD-MPC2's",
    ),
    "no embedding": (
        put(**{"_dynamics/0/weight": torch.zeros(20, Z + A + 4)}),
        r"_dynamics takes 23 numbers, of which 16 latent and 3 action leave 4 .* is missing",
    ),
    "not finite": (
        put(**{"_dynamics/0/weight": NAN}),
        r"_dynamics\.0\.weight holds numbers that are",
    ),
    "one mean too many": (
        put(**{"_pi/12/weight": torch.zeros(7, 36), "_pi/12/bias": torch.zeros(7)}),
        "_pi gives 7 numbers",
    ),
    "a regression": (
        put(**{"_reward/6/weight": torch.zeros(1, 28), "_reward/6/bias": torch.zeros(1)}),
        "_reward gives 1 number: a regression",
    ),
    "a latent that is no groups": (
        lambda s: {
            **s,
            **{f"_encoder.state.7.{k}": v for k, v in nn.Linear(40, 12).state_dict().items()},
            **{f"_encoder.state.8.{k}": torch.ones(12) for k in ("weight", "bias")},
            "_dynamics.0.weight": torch.zeros(20, 12 + A),
        },
        "latent=12 is not a multiple",
    ),
    "a member less": (
        lambda s: without(s, "_Qs.1."),
        r"_Qs has the members \[0, 2\]: not all from 0 on",
    ),
    "unlike members": (
        put(**{"_Qs/2/0/weight": torch.zeros(12, 3), "_Qs/2/0/bias": torch.zeros(12)}),
        "member 2 of _Qs is not built as member 0 is",
    ),
    "another deviation": (put(log_std_min=torch.tensor(-5.0)), "log_std_min is -5; here it is -10"),
    "masks of other tasks": (
        put(_action_masks=torch.ones(4, A)),
        r"_action_masks has the shape \(4, 3\); \(1, 3\) was expected",
    ),
    "half of it": (
        lambda s: {
            "world_model": without(s, "_pi", "_Qs"),
            "actor": {"0.weight": torch.ones(2, 2)},
        },
        r"no _pi\.\*, _Qs\.\* in it; .* holds world_model \(\d+ tensors\), actor \(1 tensors\)",
    ),
    "two of it": (lambda s: {"a": s, "b": s}, "models under 'a', 'b'"),
    "something else": (
        lambda s: {"actor": {"0.weight": torch.ones(2, 2)}, "obs_rms": {"mean": torch.zeros(3)}},
        r"no networks; the file holds actor \(1 tensors\), obs_rms \(1 tensors\)",
    ),
    "a number": (lambda s: 7, "no networks; the file holds a int"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named_truly(tmp_path, model, case):
    change, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        read(tmp_path, change(model.state_dict()))


def test_a_whole_module_is_refused_with_the_way_out(tmp_path, model):
    words = r"not run here \(checkpoint_forms\.Single, .* and \d+ more; save the model's state_dict"
    with pytest.raises(ValueError, match=words):
        read(tmp_path, {"model": model})


def test_masks_of_actions_have_to_be_those_of_the_tasks(tmp_path, capsys):
    """The set's own masks are taken; others would mean another set, or another order."""
    from mjxwm.algos.tdmpc2 import config as settings
    from mjxwm.bench import torch_peer

    known = task_set("mt30")
    peer = torch_peer.TDMPC2(settings.sized("1M", 96), 24, 6, 30)
    masks = torch.tensor([[i < task.action_size for i in range(6)] for task in known])
    state = torch_peer.state_dict(peer)
    args = ["import", "checkpoint", str(tmp_path / "m.pt"), "--tasks", "mt30"]
    args += ["--folder", str(tmp_path)]
    torch.save({"model": {**state, "_action_masks": masks.float()}}, tmp_path / "m.pt")
    assert cli.main([*args, "--run", "good"]) == 0
    torch.save({"model": {**state, "_action_masks": masks.float().flip(0)}}, tmp_path / "m.pt")
    assert cli.main([*args, "--run", "bad"]) == 2
    assert "its task 0 has the actions" in capsys.readouterr().err
    assert not (tmp_path / "bad").exists()
