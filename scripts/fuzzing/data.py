"""Data sets, and torch's files of data and of models, after changes; some would run code."""

import functools
import io
import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.texts import mutated
from fuzzing.watch import Action
from mjxwm import ConfigError, cli
from mjxwm.data import Rows, Stream, TaskInfo, Writer, open_data, sources
from mjxwm.runs import build
from mjxwm.runs.config import Config

TASK = "cartpole-swingup"
OBS, ACTION = 5, 1
MANIFEST_WORDS = (
    *('"rows": -1', '"rows": 1e9', '"rows": null', '"rows": 99999999999999999999', '"rows": "5"'),
    *('"obs_size": 0', '"obs_size": -5', '"obs_size": "5"', '"folder": "/etc"'),
    '"folder": "../.."',
    *('"folder": null', '"folder": 3', '"folder": "a\\u0000b"', '"task": []', '"task": null'),
    *('"tasks": {}', '"chunks": {}', '"chunks": "abc"', '"tasks": null', '"version": 2', "[[[[[["),
    *('"version": []', '"format": {}', '"name": {}', '"episode_length": "x"', '"source": []'),
)


class Harm:
    """Unpickled, it makes a file; nothing that reads a user's files may do that."""

    def __init__(self, how: int):
        """`how` is the number of the way."""
        self.how = how

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        """What a pickle calls when it is read."""
        ways = [
            (os.system, ("touch run-by-a-file",)),
            (exec, ("open('run-by-a-file', 'w')",)),
            (eval, ("__import__('os').system('touch run-by-a-file')",)),
            (open, ("run-by-a-file", "w")),
            (os.remove, ("../base/keep",)),
            (shutil.rmtree, ("..",)),
        ]
        return ways[self.how % len(ways)]


def data_sets(base: Path, rng: Random) -> Iterator[Action]:
    """Data sets of which one file was changed: opened, drawn from and added to."""
    task = TaskInfo(TASK, OBS, ACTION, 1000, 1)
    with Writer(base / "set", task, chunk_rows=20, source="a run") as writer:
        writer.add(_rows(20))
        writer.add(_rows(20))
    (base / "keep").touch()
    while True:
        shutil.copytree(base / "set", "set")
        files = sorted(p for p in Path("set").rglob("*") if p.suffix in (".npy", ".json"))
        file = rng.choice(files) if rng.random() < 0.6 else Path("set/dataset.json")
        _change(rng, file)
        yield _use_data


def _change(rng: Random, file: Path) -> None:
    content = file.read_bytes()
    if rng.random() < 0.8:
        file.write_bytes(mutated(rng, content, MANIFEST_WORDS))
        return
    file.unlink()
    kind = rng.randrange(6)
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        file.symlink_to(rng.choice(["/nowhere", "/dev/null", file.name]))
    elif kind == 2:
        file.write_bytes(pickle.dumps(Harm(rng.randrange(9)), protocol=rng.randrange(6)))
    elif kind == 3:
        with file.open("wb") as opened:
            np.save(opened, np.array([Harm(0)], object), allow_pickle=True)
    elif kind == 4:
        with file.open("wb") as opened:
            np.savez(opened, a=np.zeros(3))
    else:
        made = rng.choice([np.float64(1), np.zeros((20, 5)), np.full((20, 5), np.nan, np.float32)])
        with file.open("wb") as opened:
            np.save(opened, made)


def _rows(count: int) -> Rows:
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(count, OBS)), rng.uniform(-1, 1, (count, ACTION))
    zeros = np.zeros(count)
    obs, action, reward = (x.astype(np.float32) for x in (obs, action, zeros))
    return Rows(obs, action, reward, zeros.astype(np.uint8))


def _use_data() -> None:
    try:
        sources(Path("set"))
        data = open_data(Path("set"))
        for windows in Stream(data, 1, 2, 4, seed=0, total=1):
            assert np.isfinite(windows.reward).all()
    except ValueError as error:  # what the commands make a ConfigError of
        raise ConfigError(str(error)) from error
    config = Config(data="set")
    with build.data_writer(config, _env()) as writer:
        writer.add(_rows(5))


@functools.cache
def _env() -> Any:
    return build.make_env(Config(engine="native"))


def chunks(base: Path, rng: Random) -> Iterator[Action]:
    """Chunks of TD-MPC2's data, imported."""
    import torch

    from mjxwm.algos.multitask.tasks import sizes, task_set

    obs, action = sizes(task_set("mt30"))
    whole = {
        "obs": torch.zeros(2, 6, obs),
        "action": torch.zeros(2, 6, action),
        "reward": torch.zeros(2, 6),
        "task": torch.zeros(2, 6, dtype=torch.int64),
    }
    while True:
        _torch_file(rng, whole)
        yield lambda: cli.main(["import", "data", "file.pt", "--tasks", "mt30"])


def models(base: Path, rng: Random) -> Iterator[Action]:
    """Models of TD-MPC2's, imported."""
    import torch

    whole: dict[str, Any] = {}
    nets = {"_encoder.state": (OBS, 8, 8), "_dynamics": (8 + ACTION, 8, 8)}
    nets |= {"_reward": (8 + ACTION, 8, 11), "_pi": (8, 8, 2 * ACTION)}
    nets |= {f"_Qs.{q}": (8 + ACTION, 8, 11) for q in range(2)}
    for name, (first, *rest) in nets.items():
        into = first
        for i, out in enumerate(rest):
            whole[f"{name}.{i}.weight"] = torch.ones(out, into)
            whole[f"{name}.{i}.bias"] = torch.zeros(out)
            if i == 0 or name.startswith(("_enc", "_dyn")):
                whole |= {f"{name}.{i}.ln.{leaf}": torch.ones(out) for leaf in ("weight", "bias")}
            into = out
    while True:
        _torch_file(rng, {"model": whole} if rng.random() < 0.5 else whole)
        yield lambda: cli.main(
            ["import", "checkpoint", "file.pt", "--tasks", TASK, "--run", "imported"]
        )


def _torch_file(rng: Random, whole: dict[str, Any]) -> None:
    """Writes file.pt: a whole one with one thing changed."""
    import torch

    file, kind = Path("file.pt"), rng.randrange(10)
    old = rng.random() < 0.3
    if kind == 0:
        file.write_bytes(pickle.dumps(rng.choice([Harm(rng.randrange(9)), whole.keys, {}, [1], 3])))
        return
    if kind == 1:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Harm(rng.randrange(9))))
            archive.writestr(rng.choice(["archive/version", "../../escaped", "/escaped"]), "3")
        return
    content = _one_changed(rng, whole) if kind < 7 else whole
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not old)
    data = buffer.getvalue()
    file.write_bytes(mutated(rng, data) if kind >= 7 else data)


def _one_changed(rng: Random, values: dict[str, Any]) -> dict[str, Any]:
    """The dictionary with one of its values another one, or of another name."""
    import torch

    name = rng.choice(list(values))
    value = values[name]
    if isinstance(value, dict):
        return {**values, name: _one_changed(rng, value)}
    odd: list[Any] = [
        *(Harm(rng.randrange(9)), None, 3, "word", b"bytes", [value], (value,), {}, {"a": value}),
        *(value[:0], value[..., :-1], value[None], value.double(), value.to(torch.int8)),
        *(value.bool(), value.to(torch.complex64), value.float() * float("nan"), value.float() / 0),
        *(
            value.to_sparse(),
            value.to(torch.bfloat16),
            value.expand(3, *value.shape),
            value * 10**9,
        ),
        *(torch.nn.Parameter(value.float()), torch.empty(0), torch.tensor(1.0), torch.Size([3])),
        torch.empty(10**7, device="meta"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will have no such tensors one day; files do
        odd.append(torch.quantize_per_tensor(value.float(), 0.1, 0, torch.quint8))
    changed = {**values, name: rng.choice(odd)}
    if rng.random() < 0.2:
        changed[rng.choice(["", "nosuch.weight", "_Qs", f"{name}.x", name * 50])] = changed.pop(
            name
        )
    return changed
