"""`mjxwm envs`: what there is, and whether it is sound."""

import json

import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs import check, registry
from mjxwm_envs.check import episodes
from mjxwm_envs.registry import listing
from mjxwm_envs.tasks.dm_control.pendulum import Pendulum

from mjxwm import cli


def test_a_listing_has_sizes_engines_and_why_not(tmp_path, capsys):
    target = tmp_path / "rows.json"
    assert cli.main(["envs", "pendulum-swingup", "dog-walk", "--json", str(target)]) == 0
    said = capsys.readouterr().out
    assert "pendulum-swingup (-fast)" in said
    assert "noslip" in said
    rows = {row["name"]: row for row in json.loads(target.read_text())}
    assert rows["pendulum-swingup"]["obs_size"] == 3
    assert rows["pendulum-swingup"]["engines"] == ["native", "mjx", "warp"]
    assert rows["dog-walk"]["engines"] == ["native"]
    assert set(rows["dog-walk"]["refused"]) == {"mjx", "warp"}


def test_a_row_is_made_once_for_the_versions_that_it_depends_on(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (first,) = listing.rows(("dog-walk",))
    with monkeypatch.context() as patch:
        patch.setattr(listing, "describe", None)
        assert list(listing.rows(("dog-walk",))) == [first]
    with monkeypatch.context() as patch:  # another version, or values for the task's fields
        patch.setattr(listing, "fingerprint", lambda: "another")
        patch.setattr(listing, "describe", lambda *_, **__: first._replace(missing="a package"))
        assert next(listing.rows(("dog-walk",))).missing == "a package"
        assert not (tmp_path / "mjxwm" / "tasks" / "another").exists(), "it may be installed"
        assert next(listing.rows(("dog-walk",), episode_length=5)).missing == "a package"


def test_suites_and_variants_stand_for_their_tasks():
    names = [name for _, name in listing.expand("dm_control")]
    assert len(names) == 37 + 4
    assert not any(name.endswith("-fast") for name in names)
    assert listing.expand("hopper-hop-fast") == [("dm_control", "hopper-hop-fast")]
    assert len(listing.expand("metaworld")) == 50
    assert ("playground", "playground/CheetahRun") in listing.expand("playground")


def test_a_suite_whose_package_is_missing_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(listing.PACKAGES, "dm_control", (("no-such-package", "suites"),))
    assert "pip install 'mjxwm[suites]'" in listing.sources("dm_control")
    assert listing.sources("locomotion") == "this project"


def test_an_unknown_name_is_one_line_with_the_nearest(capsys):
    assert cli.main(["envs", "dm_controll"]) == 2
    assert "did you mean 'dm_control'" in capsys.readouterr().err
    assert cli.main(["envs", "check", "hoper"]) == 2


SMALL = check.Config(worlds=4, steps=8)


def test_a_sound_task_is_found_sound_on_two_engines(tmp_path):
    target = tmp_path / "found.json"
    options = ["--worlds", "4", "--steps", "8", "--engines", "mjx", "--json", str(target)]
    assert cli.main(["envs", "check", "pendulum-swingup", *options]) == 0
    found = {f["what"]: f["ok"] for f in json.loads(target.read_text())["pendulum-swingup"]}
    assert found == {
        **dict.fromkeys(("runs", "shapes", "finite", "repeats", "mjx = native"), True),
        **dict.fromkeys(("speed", "contacts", "doing nothing", "random actions"), None),
    }


class Wild(Pendulum):
    """Its reward has no bound."""

    def reward(self, before, action, after):
        return jnp.log(0 * after.qvel[0]), {}


def test_a_task_of_your_own_that_is_not_sound_is_found_out(monkeypatch):
    monkeypatch.setitem(registry.SUITES, "registered", {"wild": Wild})
    found = {f.what: f for f in check.check("wild", SMALL, episode_length=5)}
    assert found["finite"].ok is False
    assert found["finite"].text == "0.0% of steps; not finite: reward"


class Falls(Pendulum):
    """Each step is worth 2, and the third is the last."""

    def reward(self, before, action, after):
        return after.time * 0 + 2.0, {"alive": after.time * 0 + 2.0}

    def terminated(self, physics):
        return physics.time > 2.5 * self.ctrl_dt


def test_it_says_what_doing_nothing_returns_and_how_episodes_end(monkeypatch):
    monkeypatch.setitem(registry.SUITES, "registered", {"falls": Falls})
    env = envs.make_task("falls", "native", episode_length=5)
    text = episodes.describe(env, scale=0.0, seed=0)
    assert text == (
        "return 6.0; episodes end after 3 of 5 steps, 100% of them by terminated; terms of a "
        "step: alive 2"
    )


def test_a_refused_engine_is_no_fault():
    config = check.Config(worlds=2, steps=2, engines=("mjx",))
    last = check.check("dog-stand", config, episode_length=4)[-1]
    assert (last.what, last.ok) == ("mjx = native", None)
    assert "noslip" in last.text


def test_a_foreign_environment_is_checked_too():
    found = {f.what: f.ok for f in check.check("gymnasium/InvertedPendulum-v5", SMALL)}
    assert found["runs"]
    assert found["repeats"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mjx", "warp"])
@pytest.mark.parametrize(
    "name",
    [
        *("acrobot-swingup", "cheetah-run", "cup-catch", "finger-spin", "fish-swim", "hopper-hop"),
        *("humanoid-walk", "pendulum-swingup", "quadruped-walk", "reacher-easy", "walker-walk"),
        *("reacher-three-easy", "dog-walk-fast", "finger-spin-fast"),
    ],
)
def test_engines_agree_on_every_body_of_the_suite(name, engine):
    if (name, engine) == ("dog-walk-fast", "mjx"):
        pytest.skip("its contacts take XLA more than half an hour to compile on two cores")
    config = check.Config(worlds=32, steps=16, engines=(engine,))
    found = check.check(name, config)[-1]
    assert found.what == f"{engine} = native"
    assert found.ok is not False, found.text


def test_names_of_all_kinds_are_unique():
    assert len(set(envs.names())) == len(envs.names())
    assert np.all([name == name.lower() for name in envs.names()])
