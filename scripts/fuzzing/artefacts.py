"""What a run keeps, after changes: its policies, its checkpoints, its dump.

Half of the changed policies have their sums made anew, as by someone who means it.
"""

import dataclasses
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fuzzing.data import Harm
from fuzzing.texts import mutated
from fuzzing.watch import Action
from mjxwm.algos import pwm
from mjxwm.models import actor_critic, world_model
from mjxwm.runs import checkpoint, checksums, dump, policies, policy_files
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Sizes

CONFIG = Config(
    algo=pwm.Config(
        model=world_model.Config(latent=8, encoder=(4,), hidden=(4,)),
        policy=actor_critic.Config((4,), (4,), critics=1),
    )
)
SIZES = Sizes(5, 1, 100)
WORDS = (
    *("name: ../../etc/passwd", "name: /dev/zero", "bytes: -1", "format: 2", "algorithm: extract"),
    *("obs_size: 0", "action_size: -3", "obs_size: 99999999", "iteration: .nan", "latent: 0"),
    *("latent: 2000000000", "config: 3", "card: {}", "sizes: null", "critics: 0"),
)


def _policy() -> Any:
    shapes = jax.eval_shape(pwm.agent(CONFIG.algo, SIZES).init, jax.random.key(0))
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)


def _policy_in(base: Path) -> Path:
    header = dataclasses.replace(policy_files.describe(CONFIG, 5), sizes=SIZES)
    policy_files.write(base / "run" / "policy" / "last", header, _policy())
    return base / "run"


def policy(base: Path, rng: Random) -> Iterator[Action]:
    """Policies, of which one file was changed."""
    run = _policy_in(base)
    while True:
        shutil.copytree(run, "run")
        place = Path("run/policy/last")
        (arrays,) = place.glob("arrays-*.npz")
        file = rng.choice([arrays, place / policy_files.NAME])
        content = file.read_bytes()
        if file == arrays and rng.random() < 0.3:
            file.write_bytes(_odd_arrays(rng, content))
        else:
            file.write_bytes(mutated(rng, content, WORDS, most=2))
        if rng.random() < 0.5:
            _sum_anew(place, arrays)
        yield lambda: policies.of_run(Path("run"))


def _odd_arrays(rng: Random, content: bytes) -> bytes:
    """Arrays one of which is another thing, or compressed to nothing."""
    with np.load(io.BytesIO(content)) as loaded:
        arrays = dict(loaded)
    name = rng.choice(list(arrays))
    if rng.random() < 0.2:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for key in arrays:
                data = pickle.dumps(Harm(rng.randrange(9))) if key == name else b"\0" * 10**6
                archive.writestr(f"{key}.npy", data)
        return made.getvalue()
    arrays[name] = rng.choice(
        [
            np.array([Harm(0)], object),
            np.zeros((3, 3, 3)),
            arrays[name].astype(np.float64),
            np.asfortranarray(np.ones(arrays[name].shape, np.float32)),
            np.zeros(0, np.float32),
        ]
    )
    if rng.random() < 0.3:
        arrays[rng.choice(["../../escaped", "/escaped", "x" * 300, ""])] = arrays.pop(name)
    made = io.BytesIO()
    np.savez(made, allow_pickle=True, **arrays)
    return made.getvalue()


def _sum_anew(place: Path, arrays: Path) -> None:
    """Makes the sums of a policy fit its files again."""
    file = place / policy_files.NAME
    text = file.read_bytes().decode("utf-8", "replace")
    lines, mark, _ = text.rpartition("sha256 of the lines above: ")
    if not mark:
        return
    with np.errstate(all="ignore"):
        before = [line for line in lines.split("\n") if line.strip().startswith("sha256: ")]
    if before:
        lines = lines.replace(before[-1], f"  sha256: {checksums.sha256(arrays)}")
    sizes = [line for line in lines.split("\n") if line.strip().startswith("bytes: ")]
    if sizes and len(sizes[-1]) < 40 and arrays.exists():
        lines = lines.replace(sizes[-1], f"  bytes: {arrays.stat().st_size}")
    total = checksums.text_sum(lines)
    file.write_text(f"{lines}{mark}{total}\n", encoding="utf-8")


def checkpoints(base: Path, rng: Random) -> Iterator[Action]:
    """Checkpoints: of two, files of the newer one were changed; the older one is whole."""
    state = {"weights": jnp.arange(300.0), "count": jnp.ones((), jnp.int32)}
    for step in (1, 2):
        checkpoint.save(base / "kept", step, {**state, "count": state["count"] * step})
    shapes = jax.eval_shape(lambda: state)
    while True:
        shutil.copytree(base / "kept", "kept")
        files = sorted(p for p in Path("kept/2").rglob("*") if p.is_file())
        for file in rng.sample(files, rng.choice([1, 1, 2])):
            if rng.random() < 0.15:
                file.unlink()
            else:
                file.write_bytes(mutated(rng, file.read_bytes(), most=2))
        if rng.random() < 0.2:
            (Path("kept") / rng.choice(["3", "99999999999999999999", "-1", "x"])).mkdir()
        yield lambda: _restored(shapes, state)


def _restored(shapes: Any, state: Any) -> None:
    restored = checkpoint.restore(Path("kept"), shapes)
    assert int(restored["count"]) in (1, 2)
    assert np.array_equal(restored["weights"], state["weights"])


def dumps(base: Path, rng: Random) -> Iterator[Action]:
    """Dumps of runs that the guard stopped: what `mjxwm replay` reads first."""
    metrics = {"3": {"model/loss": "NaN", "guard/model": 1.0}}
    values = {"what": "the loss", "began": 0, "checkpoint": None, "first": 3, "stopped": 3}
    values |= {"stage": "model", "metrics": metrics}
    content = json.dumps(values, indent=1).encode()
    words = (
        '"metrics": []',
        '"metrics": {"x": {}}',
        '"checkpoint": "1"',
        '"first": null',
        "[" * 9999,
    )
    while True:
        Path("run/dump").mkdir(parents=True)
        Path("run/config.yaml").write_bytes(b"task: cartpole-swingup\n")
        made = mutated(rng, b"task: cartpole-swingup\nseed: 1\n")
        Path("run/dump/config.yaml").write_bytes(made if rng.random() < 0.3 else b"seed: 1\n")
        Path("run/dump/event.json").write_bytes(mutated(rng, content, words))
        yield _read_dump


def _read_dump() -> None:
    _, event = dump.read(RunFolder(Path("run")))
    assert event.began + event.first + event.stopped + (event.checkpoint or 0) is not None
    assert dump.same(event.metrics[event.first], event.metrics[event.first])
    assert event.stage + event.what is not None
