"""TD-MPC2's files brought in: data chunks as published, checkpoints as runs."""

import sys
import types

import numpy as np
import pytest

from mjxwm import cli, interop
from mjxwm.algos.multitask import task_set
from mjxwm.algos.tdmpc2 import config as settings
from mjxwm.data import open_data
from mjxwm.runs.pretrained import load

torch = pytest.importorskip("torch")

from mjxwm.bench import torch_peer  # noqa: E402  after the skip

LENGTHS = {"mt30": 501, "mt80": 101}


class Dict:
    """Pickles as tensordict 0.15's TensorDict does; its class is known by that name alone."""

    def __init__(self, tensors):
        """The tensors by name."""
        self.tensors = tensors

    def __reduce__(self):
        state = {"_tensordict": self.tensors, "_device": None, "_batch_size": torch.Size([2])}
        return sys.modules["tensordict._reductions"]._make_td, (Dict, state)


class OldDict:
    """As tensordict of 2023: a new object, and then its state."""

    def __init__(self, tensors):
        """The tensors by name."""
        self._tensordict = tensors


@pytest.fixture(autouse=True)
def tensordict(monkeypatch):
    """The names of tensordict's that a file refers to, while it is written."""

    def _make_td(cls, state):
        raise AssertionError("nothing of a file's is run")

    for module, names in (("_reductions", [_make_td]), ("_td", [Dict, OldDict])):
        made = types.ModuleType(f"tensordict.{module}")
        for value in names:
            value.__module__, value.__qualname__ = made.__name__, value.__name__
            setattr(made, value.__name__, value)
        monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setitem(sys.modules, "tensordict", types.ModuleType("tensordict"))


def chunk(name, per_task=2, tasks=(0, 5, 29), dtype=torch.float32, seed=0):
    """Sequences of some tasks, in any order, with NaN where nothing led to the first row."""
    known, length = task_set(name), LENGTHS[name]
    rng = np.random.default_rng(seed)
    number = rng.permutation(np.repeat(tasks, per_task))
    count = len(number)
    obs = np.zeros((count, length, max(t.obs_size for t in known)))
    action = np.zeros((count, length, max(t.action_size for t in known)))
    for i, task in enumerate(number):
        obs[i, :, : known[task].obs_size] = rng.standard_normal((length, known[task].obs_size))
        action[i, :, : known[task].action_size] = rng.uniform(
            -1, 1, (length, known[task].action_size)
        )
    reward = rng.uniform(0, 1, (count, length))
    action[:, 0] = np.nan
    reward[:, 0] = np.nan
    return {
        "obs": torch.tensor(obs, dtype=dtype),
        "action": torch.tensor(action, dtype=dtype),
        "reward": torch.tensor(reward, dtype=dtype),
        "task": torch.tensor(number)[:, None].expand(count, length).clone(),
    }


FORMS = {"new": Dict, "old": OldDict, "plain": dict}


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("form", FORMS)
def test_a_chunk_becomes_rows(tmp_path, name, form):
    tensors = chunk(name)
    torch.save(FORMS[form](tensors), tmp_path / "chunk_0.pt")
    options = ["--tasks", name, "--data", str(tmp_path / "data")]
    assert cli.main(["import", "data", str(tmp_path / "chunk_0.pt"), *options]) == 0
    found, length = open_data(tmp_path / "data"), LENGTHS[name]
    known = task_set(name)
    assert [task.name for task in found.tasks] == [known[i].name for i in (0, 5, 29)]
    for piece in found.chunks:
        number = [task.name for task in known].index(piece.task.name)
        places = np.flatnonzero(tensors["task"][:, 0].numpy() == number)
        arrays = {k: v.reshape(len(places), length, *v.shape[1:]) for k, v in piece.map().items()}
        task = piece.task
        theirs = {k: v[places].numpy() for k, v in tensors.items()}
        np.testing.assert_array_equal(arrays["obs"], theirs["obs"][..., : task.obs_size])
        # An action stands with the observation that it was taken in.
        expected = theirs["action"][:, 1:, : task.action_size]
        np.testing.assert_array_equal(arrays["action"][:, :-1], expected)
        np.testing.assert_array_equal(arrays["reward"][:, :-1], theirs["reward"][:, 1:])
        # Where a sequence stops nothing has ended: no bit 1.
        assert (arrays["flags"][:, :-1] == 0).all()
        assert (arrays["flags"][:, -1] == 6).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read(tmp_path, dtype):
    torch.save(chunk("mt80", dtype=dtype), tmp_path / "c.pt")
    parts = list(interop.read_chunk(tmp_path / "c.pt", task_set("mt80")))
    assert {number for number, _ in parts} == {0, 5, 29}
    assert all(part.obs.dtype == np.float32 for _, part in parts)


def without(name):
    return lambda t: {k: v for k, v in t.items() if k != name}


BAD = {
    "no reward": (without("reward"), r"not a chunk of TD-MPC2's data"),
    "of the other set": (
        lambda t: {**t, "obs": t["obs"][..., :24]},
        r"obs has the shape \(6, 101, 24\); \(6, 101, 39\) was expected of a chunk of 80 tasks",
    ),
    "whole numbers": (
        lambda t: {**t, "reward": t["reward"].nan_to_num().long()},
        "reward is of int64; floating-point numbers were expected",
    ),
    "NaN": (
        lambda t: {**t, "reward": torch.full_like(t["reward"], torch.nan)},
        "reward holds numbers that are not finite",
    ),
    "sparse": (
        lambda t: {**t, "obs": t["obs"].to_sparse()},
        "obs is a tensor of torch.float32, torch.sparse_coo on cpu; plain numbers are read",
    ),
    "complex": (
        lambda t: {**t, "reward": t["reward"].to(torch.complex64)},
        "reward is a tensor of torch.complex64",
    ),
    "without numbers": (
        lambda t: {**t, "action": torch.empty(t["action"].shape, device="meta")},
        "action is a tensor of torch.float32, torch.strided on meta",
    ),
    "a task too many": (lambda t: {**t, "task": t["task"] + 60}, "task 89 is not of a set of 80"),
    "two tasks in one": (
        lambda t: {**t, "task": torch.arange(101).expand(6, 101) % 2},
        "the task changes within a sequence",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_chunk_that_is_none_is_refused_and_nothing_is_written(tmp_path, capsys, case):
    change, message = BAD[case]
    torch.save(change(chunk("mt80")), tmp_path / "c.pt")
    data = tmp_path / "data"
    assert cli.main(["import", "data", str(tmp_path / "c.pt"), "--data", str(data)]) == 2
    with pytest.raises(ValueError, match=message):
        interop.check_chunk(tmp_path / "c.pt", task_set("mt80"))
    assert "Traceback" not in capsys.readouterr().err
    assert not data.exists()


def test_one_bad_file_of_many_leaves_the_set_alone_and_none_is_added_twice(tmp_path, capsys):
    good, bad, other = (tmp_path / f"chunk_{i}.pt" for i in range(3))
    for path in (good, bad, other):
        torch.save(chunk("mt80"), path)
    bad.write_bytes(bad.read_bytes()[:-2000])
    into = ("--data", str(tmp_path / "data"))
    assert cli.main(["import", "data", str(good), str(bad), *into]) == 2
    assert not (tmp_path / "data").exists()
    assert cli.main(["import", "data", str(good), *into]) == 0
    rows = open_data(tmp_path / "data").rows
    assert cli.main(["import", "data", str(other), str(good), *into]) == 2
    assert f"chunk_0.pt is in {tmp_path / 'data'} already" in capsys.readouterr().err
    assert open_data(tmp_path / "data").rows == rows


def test_a_chunk_cut_short_is_refused(tmp_path):
    path = tmp_path / "c.pt"
    torch.save(chunk("mt80"), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="broken, or not a file of torch's"):
        interop.check_chunk(path, task_set("mt80"))


def test_a_checkpoint_becomes_a_run(tmp_path, capsys):
    sized = settings.sized("1M", 96)
    model = torch_peer.TDMPC2(sized, 39, 6, 80)
    torch.save({"model": torch_peer.state_dict(model)}, tmp_path / "mt80-1M.pt")
    args = ["import", "checkpoint", str(tmp_path / "mt80-1M.pt"), "--folder", str(tmp_path)]
    assert cli.main([*args, "--tasks", "mt80", "--run", "mine"]) == 0
    assert "total 1,435,067" in capsys.readouterr().out
    found = load(tmp_path / "mine")
    assert found.card.networks == sized
    assert len(found.card.tasks) == 80
    theirs = torch_peer.state_dict(model)["_dynamics.0.weight"].numpy().T
    kernel = found.networks.model.dynamics.layers[0].kernel
    np.testing.assert_array_equal(kernel, theirs)
    assert found.for_task("mw-reach").model.action_mask.tolist() == [1, 1, 1, 1, 0, 0]

    assert cli.main([*args, "--tasks", "mt30", "--run", "other"]) == 2
    assert "a model of 80 tasks; 30 were expected" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert cli.main([*args, "--tasks", "mt31", "--run", "other"]) == 2
    assert "'mt31' is neither a task set (mt4, mt30, mt80) nor a task" in capsys.readouterr().err
