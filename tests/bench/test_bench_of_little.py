"""Benchmarks at their smallest sizes run, and sizes that do not go together are refused by name."""

import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import cli
from mjxwm.bench import gradients, learner, scaling


@pytest.mark.parametrize("batch", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_critics_are_measured_on_as_many_rollouts_at_any_batch(batch, monkeypatch):
    """An actor step imagines 64 rollouts: fewer windows start several of them."""
    seen = {}
    monkeypatch.setattr(
        learner, "_compiled", lambda config, update, state, batch: seen.update(batch=batch)
    )
    learner._pwm_critic(learner.Config(batch=batch, pwm_horizon=1))
    imagined, windows = seen["batch"]
    assert imagined.reward.shape == (16, 64)
    assert windows.reward.shape == (1, batch)
    starts = np.asarray(imagined.z[0])
    np.testing.assert_allclose(starts[:1], starts[batch : batch + 1] if batch < 64 else starts[:1])


@pytest.mark.parametrize(
    "args",
    [
        "replay --worlds 1 --capacity 1 --unroll 1 --batch 1 --length 1 --batches 1 --samples 1 "
        "--seconds 0",
    ],
)
def test_the_smallest_sizes_run(args, capsys):
    assert cli.main(["bench", *args.split()]) == 0
    assert "nan" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        "replay --worlds 3 --capacity 7 --unroll 5 --batch 2 --length 11 --samples 1 --seconds 0",
        "planner --size 1M --task-set cup-catch --worlds 1 --turns 1 --seconds 0 --no-peer "
        "--samples 1 --policy-samples 1 --elites 1 --iterations 1 --plan-horizon 1",
        "train --preset debug --worlds 1 --iterations 1 --samples 1",
        "sim --task cartpole-swingup --preset debug --worlds 1 --steps 1 --samples 1 --warmup 0",
        "learner --sizes 1M --task-set cup-catch --batch 1 --horizon 1 --pwm-horizon 1 "
        "--updates 1 --samples 1 --seconds 0",
        "learner --sizes 1M --task-set mt4 --batch 16 --samples 1 --seconds 0",
        "gradients --task cartpole-swingup --worlds 1 --steps 1 --warmup 0 --samples 1 "
        "--iterations 1",
        "scaling --preset debug --worlds 1 --devices 1 --worlds-per-device 1 --samples 1",
    ],
)
def test_the_smallest_sizes_of_larger_programs_run(args, capsys):
    assert cli.main(["bench", *args.split()]) == 0
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("learner --batch 0", "batch=0 is out of range"),
        ("learner --pwm-horizon 0", "pwm_horizon=0 is out of range"),
        ("replay --capacity 0", "capacity=0 is out of range"),
        ("planner --turns 0", "turns=0 is out of range"),
        ("planner --samples 8", "elites=64 is out of range; it must be in 1..samples=8"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(args, message, capsys):
    assert cli.main(["bench", *args.split()]) == 2
    assert message in capsys.readouterr().err


def test_gradients_without_a_direction_have_no_cosine():
    one = jnp.array([[3.0, 4.0], [0.0, 0.0], [jnp.nan, 1.0]])
    other = jnp.array([[3.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert gradients._least_cosine(one, other) == pytest.approx(0.6)
    assert gradients._least_cosine(one[1:], other[1:]) is None


def test_devices_that_are_not_here_are_named():
    said = scaling._table(scaling.Config(devices=(512,)), [])
    assert said.startswith("devices: 512 asked for")
