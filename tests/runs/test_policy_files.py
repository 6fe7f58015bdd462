"""Policies on disk: what is written is read, and what is damaged or foreign is refused by name."""

import contextlib
import dataclasses
import hashlib
import io
import os
import shutil
from types import SimpleNamespace
from typing import Any

import damage
import jax
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.models.actor_critic import Config as Policy
from mjxwm.models.world_model import Config as Model
from mjxwm.runs import checksums, policies, policy_files
from mjxwm.runs.config import Config
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Sizes

CONFIG = Config(
    algo=pwm.Config(
        model=Model(latent=8, encoder=(4,), hidden=(4,)), policy=Policy((4,), (4,), critics=1)
    )
)
SIZES = Sizes(3, 2, 100)
AGENT = pwm.agent(CONFIG.algo, SIZES)


def header(iteration=5):
    return dataclasses.replace(policy_files.describe(CONFIG, iteration), sizes=SIZES)


@pytest.fixture(scope="module")
def arrays():
    return jax.device_get(jax.jit(AGENT.init)(jax.random.key(0)))


@pytest.fixture
def place(arrays, tmp_path):
    policy_files.write(tmp_path / "last", header(), arrays)
    return tmp_path / "last"


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_policy_of_a_share_of_the_run_is_found_or_those_that_there_are_are_named(
    arrays, tmp_path
):
    for name, iteration in (("at-2.5", 3), ("at-20", 20), ("at-100", 100), ("last", 100)):
        policy_files.write(tmp_path / "policy" / name, header(iteration), arrays)
    assert policies.of_run(tmp_path, at=0.025).iteration == 3
    assert policies.of_run(tmp_path / "policy", at=0.2).iteration == 20
    with pytest.raises(ConfigError, match=r"no policy of 0.8 of .* There are: 0.025, 0.2, 1$"):
        policies.of_run(tmp_path, at=0.8)
    with pytest.raises(ConfigError, match="of --stages, and has none"):
        policies.of_run(tmp_path / "nothing", at=0.8)


def test_a_policy_comes_back_and_acts_as_before(place, arrays):
    policy = policies.load(place)
    same(policy.arrays, arrays)
    assert (policy.config, policy.sizes, policy.iteration) == (CONFIG, SIZES, 5)
    obs = np.ones((4, 3), np.float32)
    np.testing.assert_array_equal(policy.agent.act(policy.arrays, obs), AGENT.act(arrays, obs))
    names = np.load(next(place.glob("arrays-*.npz")), allow_pickle=False).files
    assert "actor.mean_net.layers.0.kernel" in names
    assert not any("opt" in name for name in names)


def test_the_best_policy_is_one_of_whole_episodes(arrays, tmp_path, monkeypatch):
    def described(trainer, index, iteration, eval_return):
        return dataclasses.replace(header(iteration), eval_return=eval_return)

    monkeypatch.setattr(policies, "_header", described)
    trainer: Any = SimpleNamespace(
        config=CONFIG,
        seeds=None,
        env=None,
        algorithm=SimpleNamespace(policy=jax.device_put),
    )
    run = RunFolder(tmp_path)
    for iteration, (each, diverged) in enumerate([(1.0, 0), (9.0, 1), (2.0, 0), (1.5, 0)], 1):
        cut: Any = np.arange(3) < diverged
        returns: Any = np.full(3, each)
        evaluation = Evaluation(returns, 0 * returns + 10, returns, None, diverged=cut)
        policies.save(trainer, [run], arrays, iteration, [evaluation])
        kept = policy_files.read_header(run.policy / "best").iteration
        assert kept == {1: 1, 2: 1, 3: 3, 4: 3}[iteration]
        assert policy_files.read_header(run.policy / "last").iteration == iteration


def test_stages_keep_the_policy_of_the_first_evaluation_from_there_on(
    arrays, tmp_path, monkeypatch
):
    monkeypatch.setattr(policies, "_header", lambda trainer, index, i, mean: header(i))
    trainer: Any = SimpleNamespace(
        config=dataclasses.replace(CONFIG, stages=(0.1, 0.35, 1.0)),
        seeds=None,
        env=None,
        algorithm=SimpleNamespace(policy=jax.device_put, iterations=10),
    )
    returns: Any = np.ones(3)
    evaluation = Evaluation(returns, returns, returns, None, diverged=returns < 0)
    for iteration in range(1, 11):
        evaluated = [evaluation] if iteration % 2 == 0 else None
        policies.save(trainer, [RunFolder(tmp_path)], arrays, iteration, evaluated)
    names = {share: policy_files.stage_folder(share) for share in trainer.config.stages}
    assert list(names.values()) == ["at-10", "at-35", "at-100"]
    kept = {s: policy_files.read_header(tmp_path / "policy" / n) for s, n in names.items()}
    assert {share: one.iteration for share, one in kept.items()} == {0.1: 2, 0.35: 4, 1.0: 10}
    assert policy_files.folder(tmp_path / "policy" / "at-10") == tmp_path / "policy" / "at-10"


def test_each_of_50_damages_is_one_line_that_names_the_file(place):
    for file, what in damage.damages(place, 50):
        with pytest.raises(ConfigError) as refusal:
            policies.load(place)
        message = str(refusal.value)
        assert str(file) in message or file.name == policy_files.NAME, (what, message)
        assert str(place) in message, (what, message)
        assert "\n" not in message, what
    policies.load(place)


def test_missing_files_are_named(place):
    for file in list(place.iterdir()):
        kept = file.rename(place.parent / file.name)
        with pytest.raises(ConfigError, match=rf"{file.name} is missing"):
            policies.load(place)
        kept.rename(file)


def foreign(place, data):
    """Puts another file of arrays in, with a `policy.yaml` whose sums are right."""
    (file,) = place.glob("arrays-*.npz")
    file.write_bytes(data)
    kept = policy_files.ArrayFile(file.name, len(data), hashlib.sha256(data).hexdigest())
    text = policy_files._text(dataclasses.replace(policy_files.read_header(place), arrays=kept))
    (place / policy_files.NAME).write_text(text)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_foreign_arrays_are_refused(place, arrays):
    from mjxwm.runs import arrays as files

    own = {name: np.asarray(x) for name, x in files.named(arrays).items()}
    some = "actor.log_std"
    header_alone = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header_alone, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    )
    huge = npz(**{**own, some: np.frombuffer(header_alone.getvalue(), np.uint8)})
    for data, words in (
        (b"", "no file of arrays"),
        (b"not a zip", "no file of arrays"),
        (npz(weights=np.zeros(3)), "is not of these networks|is missing"),
        (npz(**{**own, some: np.zeros(3, np.float32)}), r"log_std is float32\[3\] there, expected"),
        (npz(**{**own, some: np.zeros(2)}), r"log_std is float64\[2\] there, expected float32"),
        (npz(**{**own, some: np.array([print, print])}), "object"),
        (huge, "does not fit"),
    ):
        foreign(place, data)
        with pytest.raises(ConfigError, match=words) as refusal:
            policies.load(place)
        assert "\n" not in str(refusal.value)


def test_another_format_and_fields_that_are_unknown_are_refused(place):
    def changed(old, new):
        text = (place / policy_files.NAME).read_text().rpartition(policy_files._SUM)[0]
        assert old in text
        text = text.replace(old, new)
        (place / policy_files.NAME).write_text(
            f"{text}{policy_files._SUM}{checksums.text_sum(text)}\n"
        )

    changed("format: 1", "format: 2")
    with pytest.raises(ConfigError, match="is of format 2, this version of mjxwm reads 1"):
        policies.load(place)
    changed("format: 2", "format: 1")
    changed("gamma:", "gammma:")
    with pytest.raises(ConfigError, match=r"policy.yaml: config: algo: field 'gammma' is unknown"):
        policies.load(place)
    changed("gammma:", "gamma:")
    changed("iteration: 5\n", "")
    with pytest.raises(ConfigError, match=r"policy.yaml is incomplete: .*'iteration'"):
        policies.load(place)


@pytest.mark.parametrize("at", range(4))
def test_a_process_that_dies_while_it_writes_leaves_the_policy_before(
    place, arrays, at, monkeypatch
):
    calls, real = [], os.replace

    def dying(*paths):
        calls.append(paths)
        if len(calls) > at:
            raise KeyboardInterrupt
        real(*paths)

    later = jax.tree.map(lambda x: x + 1, arrays)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with contextlib.suppress(KeyboardInterrupt):
            policy_files.write(place, header(6), later)
    policy = policies.load(place)
    same(policy.arrays, later if at >= 2 else arrays)
    assert policy.iteration == (6 if at >= 2 else 5)
    policy_files.write(place, header(7), arrays)
    assert len(list(place.iterdir())) == 2, "nothing is left of what was half written"
    assert policies.load(place).iteration == 7


def test_a_policy_is_found_by_its_run_its_copy_or_itself(place, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(place, run / "policy" / "last")
    for path in (place, tmp_path, run, run / "policy", run / "policy" / "last"):
        assert policies.of_run(path).iteration == 5
    with pytest.raises(ConfigError, match=r"policy/best is missing: no evaluation"):
        policies.of_run(run, best=True)
    (run / "policy" / "last").rename(run / "policy" / "best")
    assert policies.of_run(run, best=True).iteration == 5
    with pytest.raises(ConfigError, match=r"policy/last is missing: `mjxwm eval --best`"):
        policies.of_run(run)
    (tmp_path / "runs" / "last").mkdir(parents=True)
    assert policy_files.folder(tmp_path / "runs") is None, "a folder of runs, one of them `last`"
