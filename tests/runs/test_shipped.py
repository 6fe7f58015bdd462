"""Policies that come with the package: small, sound, and as good as is written beside them."""

import jax
import numpy as np
import pytest

from mjxwm import ConfigError, cli
from mjxwm.reports import outcome
from mjxwm.runs import policies, policy_files, shipped
from mjxwm.runs.folders import RunFolder

NAMES = shipped.names()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_acts(name):
    place, about = shipped.find(name), shipped.about(name)
    assert sum(file.stat().st_size for file in place.iterdir()) < 1_000_000
    policy = policies.load(place)
    assert policy.config.seed == about.seed
    assert policy_files.read_header(place).versions["commit"] == about.commit
    assert about.command.startswith("mjxwm train ")
    obs = np.zeros((2, policy.sizes.obs_size), np.float32)
    action = policy.agent.act(policy.arrays, obs)
    assert action.shape == (2, policy.sizes.action_size)
    assert np.isfinite(action).all()
    leaves = jax.tree.leaves(policy.arrays)
    assert all(leaf.dtype != np.float16 for leaf in leaves)  # rounded on disk alone


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_return_is_the_one_that_is_written(name):
    about = shipped.about(name)
    _, evaluation, _ = outcome.evaluate_run(RunFolder(shipped.find(name)), about.episodes)
    # Other processors round otherwise, and bodies with contacts make the most of that.
    assert evaluation.mean_return == pytest.approx(about.eval_return, rel=0.1)


def test_cartpole_is_evaluated_by_its_name(capsys, tmp_path):
    command = ["eval", "--pretrained", "cartpole-swingup", "--episodes", "2"]
    assert cli.main([*command, "--json", str(tmp_path / "result.json")]) == 0
    value = float(capsys.readouterr().out.split("return ")[1].split()[0])
    assert value == pytest.approx(shipped.about("cartpole-swingup").eval_return, rel=0.05)


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(ConfigError, match=r"'cartpole' is unknown.*There are: .*cartpole-swingup"):
        shipped.find("cartpole")
    with pytest.raises(ConfigError, match="eval needs a run's folder, or --pretrained NAME"):
        shipped.choose(None, None, "eval")
    with pytest.raises(ConfigError, match="not both"):
        shipped.choose(RunFolder(shipped.folder()).path, "cartpole-swingup", "eval")


def test_an_export_of_one_does_not_write_into_the_package(capsys):
    assert cli.main(["export", "--pretrained", "cartpole-swingup", "--to", "numpy"]) == 2
    assert "--pretrained needs --out FILE" in capsys.readouterr().err
