"""Policies of a run that trains, is damaged, or is taken away, as the viewer meets them."""

import dataclasses
import shutil

import jax
import pytest

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.models.actor_critic import Config as Policy
from mjxwm.models.world_model import Config as Model
from mjxwm.reports.viewer import following, opening
from mjxwm.reports.viewer.policies import UNTRAINED, OfRun
from mjxwm.runs import policy_files, presets
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Sizes

CONFIG = Config(
    algo=pwm.Config(
        model=Model(latent=8, encoder=(4,), hidden=(4,)), policy=Policy((4,), (4,), critics=1)
    )
)
SIZES = Sizes(5, 1, 1000)
AGENT = pwm.agent(CONFIG.algo, SIZES)


@pytest.fixture(scope="module")
def arrays():
    return jax.device_get(jax.jit(AGENT.init)(jax.random.key(0)))


@pytest.fixture
def run(tmp_path):
    presets.save_yaml(CONFIG, tmp_path / "config.yaml")
    return RunFolder(tmp_path)


def save(run, name, iteration, arrays):
    header = dataclasses.replace(policy_files.describe(CONFIG, iteration), sizes=SIZES)
    policy_files.write(run.policy / name, header, arrays)


@pytest.fixture
def follow(monkeypatch):
    """Makes a follower that looks when a test says so."""
    monkeypatch.setattr(following, "_EVERY", 1e6)
    followers = []

    def make(policies):
        followers.append(following.Follower(policies, policies.names()[0]))
        return followers[-1]

    yield make
    for follower in followers:
        follower.close()


def test_a_run_that_has_just_begun_is_looked_at_and_its_first_policy_taken(run, arrays, follow):
    policies = OfRun(run.path)
    assert policies.names() == [UNTRAINED]
    opened = opening.of_target(str(run.path), None, {})
    assert jax.tree.structure(opened.agent.init(jax.random.key(0))) == jax.tree.structure(arrays)
    follower = follow(policies)
    follower.look()
    assert follower.take() is None
    save(run, "last", 7, arrays)
    follower.look()
    assert (follower.choice, follower.take().about) == ("last", "iteration 7")


def test_a_newer_policy_is_taken_over_once_and_only_where_that_is_wanted(run, arrays, follow):
    save(run, "last", 1, arrays)
    follower = follow(OfRun(run.path))
    save(run, "last", 2, arrays)
    follower.look()
    assert follower.take().about == "iteration 2"
    follower.look()
    assert follower.take() is None
    follower.follows = False
    save(run, "last", 3, arrays)
    follower.look()
    assert follower.take() is None
    save(run, "best", 1, arrays)
    follower.choice = "best"
    follower.look()
    assert follower.names == ["last", "best"]
    assert follower.take().about == "iteration 1"


def test_a_policy_that_vanishes_or_is_damaged_acts_on_and_is_named(run, arrays, follow):
    save(run, "last", 1, arrays)
    follower = follow(OfRun(run.path))
    shutil.rmtree(run.policy)
    follower.look()
    assert "last is gone" in follower.note
    assert follower.take() is None
    save(run, "last", 2, arrays)
    next((run.policy / "last").glob("arrays-*.npz")).write_bytes(b"")
    follower.look()
    assert "damaged" in follower.note
    save(run, "last", 3, jax.tree.map(lambda x: x + 1, arrays))
    follower.look()
    assert (follower.note, follower.take().about) == ("", "iteration 3")


def test_a_copy_of_the_folder_of_policies_will_do(run, arrays, tmp_path):
    save(run, "last", 4, arrays)
    copied = tmp_path / "copied"
    shutil.copytree(run.policy, copied)
    assert OfRun(copied).names() == ["last"]
    assert OfRun(copied / "last").names() == ["policy"]
    assert OfRun(copied / "last").load("policy").about == "iteration 4"
    with pytest.raises(ConfigError, match="not a run folder"):
        OfRun(tmp_path / "nothing")
