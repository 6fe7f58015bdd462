"""Seeds and counts that arrays cannot hold are refused with their range; none begins anew."""

import dataclasses

import jax
import numpy as np
import pytest
from mjxwm_envs import check, seeds

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.algos.multitask import Config as Multitask
from mjxwm.algos.multitask import pretrain
from mjxwm.bench import buffers
from mjxwm.gradients import config as laboratory
from mjxwm.maths import ranges
from mjxwm.reports import outcome, suite
from mjxwm.runs import build, presets
from mjxwm.runs.config import Config as RunConfig

WRONG = [-1, 2**32, 2**40 + 3, -(2**31), 10**20, np.int64(2**33), np.uint64(2**63)]


def words(key):
    return np.asarray(jax.random.key_data(key))


def test_a_seed_is_jaxs_own():
    for seed in (0, 1, 2**31, seeds.LARGEST, np.int32(7), np.uint32(2**32 - 1)):
        with jax.enable_x64(True):  # with 64-bit types JAX keeps all bits
            wanted = words(jax.random.key(np.uint64(seed)))
        np.testing.assert_array_equal(words(seeds.key(seed)), wanted)


def test_what_comes_after_a_seed_is_one():
    assert [seeds.after(5, 3), seeds.after(seeds.LARGEST, 1), seeds.after(2**32 - 2, 77)] == [
        8,
        0,
        75,
    ]


@pytest.mark.parametrize("seed", WRONG)
def test_seeds_that_would_begin_anew_are_refused_everywhere(seed, tmp_path):
    said = f"seed={seed} is out of range; it must be from 0 to 4294967295"
    cfg = dataclasses.replace(presets.load_preset(RunConfig, "debug"), seed=seed)
    refusals = [
        lambda: seeds.key(seed),
        lambda: check.Config(seed=seed),
        lambda: build.build(cfg),
        lambda: outcome.evaluate_run(None, seed=seed),
        lambda: pretrain.card_of_preset(Multitask(seed=seed)),
        lambda: laboratory.validate(laboratory.Config(seed=seed)),
        lambda: suite.run(suite.Config("mt30", tmp_path, seed=seed), print),
    ]
    for refuse in refusals:
        with pytest.raises(ValueError, match="seed=") as caught:
            refuse()
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "args",
    [
        ["train", "debug", "--seed"],
        ["eval", "runs/none", "--seed"],
        ["pretrain", "mt4-cpu", "--seed"],
        ["compare", "--seeds", "0"],
        ["collect", "mt4-cpu", "--seed"],
        ["gradients", "hopper", "--seed"],
        ["bench", "sim", "--seed"],
    ],
)
def test_the_command_line_says_the_range_of_seeds(args, capsys):
    from mjxwm import cli

    for seed in ("4294967296", "-1"):
        assert cli.main([*args, seed]) == 2
        said = capsys.readouterr().err
        assert "out of range" in said
        assert "from 0 to 4294967295" in said
        assert len(said.splitlines()) == 1


@dataclasses.dataclass(frozen=True)
class Inner:
    layers: tuple[int, ...] = (64, 32)
    rate: float = 1e-3


@dataclasses.dataclass(frozen=True)
class Outer:
    seed: int = 0
    seeds: tuple[int, ...] = (0, 1)
    env_steps: int = 1000
    worlds: int | None = 8
    clip: float = 1.0
    name: str = "x"
    flag: bool = True
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"worlds": 2**31}, "worlds=2147483648 is out of range; it must be at most 2147483647"),
        ({"worlds": -(2**40)}, "it must be at least -2147483647"),
        ({"env_steps": 2**54}, "it must be at most 9007199254740992"),
        ({"seeds": (0, 2**32)}, "seeds=(0, 4294967296) is out of range; each must be from 0 to"),
        ({"clip": float("nan")}, "clip=nan is out of range; it must be a finite number"),
        ({"clip": float("-inf")}, "clip=-inf is out of range"),
        ({"inner": Inner(rate=float("inf"))}, "rate=inf is out of range"),
        ({"inner": Inner(rate=np.float32("nan"))}, "rate=nan is out of range"),
        ({"inner": Inner(layers=(8, 0))}, "layers=(8, 0) is out of range; each must be at least 1"),
        ({"inner": Inner(layers=(-16,))}, "layers=(-16,) is out of range; each must be at least 1"),
    ],
)
def test_numbers_that_nothing_is_computed_with_are_refused(values, words):
    with pytest.raises(ConfigError) as caught:
        ranges.sound(Outer(**values))
    assert words in str(caught.value)


def test_sound_numbers_pass():
    ranges.sound(Outer())
    ranges.sound(Outer(seed=ranges.LARGEST_SEED, env_steps=10**12, worlds=None, clip=float("inf")))
    ranges.sound(Outer(seeds=(), inner=Inner(layers=())))
    assert ranges.LARGEST_SEED == seeds.LARGEST


def test_more_updates_than_are_counted_are_refused():
    many = dataclasses.replace(pwm.Config(), env_steps=10**13)
    with pytest.raises(ConfigError, match=r"come to .* updates of a network, and no more"):
        pwm.validate(many)
    pwm.validate(dataclasses.replace(pwm.Config(), env_steps=10**9))


def test_numbers_of_numpy_are_written_as_yaml(tmp_path):
    presets.save_yaml(Outer(seed=np.uint32(3), clip=np.float64(0.5)), tmp_path / "c.yaml")
    assert presets.load_yaml(Outer, tmp_path / "c.yaml") == Outer(seed=3, clip=0.5)


def test_benchmarks_refuse_what_is_no_size(capsys):
    from mjxwm import cli

    assert buffers.Config().worlds > 0
    for args in (["sim", "--worlds", "0"], ["replay", "--worlds", "99999999999"]):
        assert cli.main(["bench", *args]) == 2
        assert "out of range" in capsys.readouterr().err


def test_sizes_of_tasks_and_evaluations_that_nothing_holds_are_refused():
    import mjxwm_envs as envs

    with pytest.raises(ValueError, match=r"episode_length=.* is out of range; it must be at most"):
        envs.make("pendulum-swingup", episode_length=1e20)
    with pytest.raises(ValueError, match=r"action_repeat=\d* is out of range"):
        envs.make("pendulum-swingup", action_repeat=2**40)
    cfg = dataclasses.replace(presets.load_preset(RunConfig, "debug"), episodes=2**31 - 1)
    with pytest.raises(ConfigError, match=r"episodes=2,147,483,647: their worlds take about"):
        build.build(cfg)
