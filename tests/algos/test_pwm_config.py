"""PWM's settings: budgets, ranges, and how refusals are worded."""

import dataclasses

import jax.numpy as jnp
import probes
import pytest
from pwm_cases import TINY, tweak

from mjxwm.algos import pwm
from mjxwm.maths import moments


@pytest.mark.parametrize("field", ["worlds", "unroll", "update_ratio"])
def test_updates_follow_the_data(field):
    config = pwm.Config()
    assert config.updates == round(64 * 64 * 16 / (256 * 16))
    double = dataclasses.replace(config, **{field: 2 * getattr(config, field)})
    assert double.updates == 2 * config.updates
    # Larger updates are fewer.
    assert dataclasses.replace(config, batch=512).updates == config.updates // 2


def test_an_actor_that_changes_many_times_between_two_steps_is_said():
    config = tweak(worlds=4096, unroll=1, update_ratio=8, batch=64, horizon=8, model_steps=1)
    assert config.lag().startswith("64 actor updates per control step of a world: 4,096 worlds")
    assert dataclasses.replace(config, unroll=16).lag() == config.lag()  # as many per step
    for change in ({"worlds": 64}, {"update_ratio": 1}, {"model_steps": 8}):
        assert dataclasses.replace(config, **change).lag() == ""


def test_updates_that_do_not_divide_are_said():
    """Half an update per iteration is none: one in each is twice what was asked for."""
    config = tweak(worlds=32, unroll=16, update_ratio=0.5, batch=64, horizon=8, model_steps=1)
    assert config.updates == 1
    (remark,) = config.remarks()
    assert remark.startswith("update_ratio=0.5 comes to 1: ")
    assert "one for every 32 steps" in remark
    for change in ({"unroll": 32}, {"batch": 32}, {"update_ratio": 1}):
        assert dataclasses.replace(config, **change).remarks() == []


def test_the_budget_counts_every_env_step():
    algorithm = pwm.make(TINY, probes.make(probes.BOTH))
    assert algorithm.env_steps(0) == TINY.warmup * 12
    assert algorithm.env_steps(algorithm.iterations) == TINY.env_steps


def test_a_constant_reward_is_a_number_of_moderate_size():
    for reward in (1.0, -3.0, 100.0):
        rewards = moments.of(jnp.full(50, reward), 1)
        learner = pwm.Learner(*[None] * len(pwm.Learner._fields))._replace(reward=rewards)
        assert abs(reward / pwm.reward_scale(TINY, learner)) <= 10.001


def test_the_defaults_are_pwms():
    """Table 4 of Georgiev et al. 2024, and that they are in range."""
    config = pwm.Config()
    pwm.validate(config)
    assert (config.horizon, config.imagine_horizon) == (16, 16)
    assert (config.gamma, config.lam) == (0.99, 0.95)


ABOVE_ZERO = [
    *("env_steps", "worlds", "unroll", "warmup", "batch", "horizon", "imagine_batch"),
    *("imagine_horizon", "model_steps", "critic_steps", "update_ratio"),
    *("model_lr", "actor_lr", "critic_lr"),
]


@pytest.mark.parametrize("field", ABOVE_ZERO)
def test_what_must_be_positive_is_refused_by_name(field):
    with pytest.raises(ValueError, match=rf"^{field}=0 is out of range; it must be above 0$"):
        pwm.validate(tweak(**{field: 0}))


@pytest.mark.parametrize("field", ["gamma", "lam", "target_tau"])
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_what_must_be_a_share_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"{field}={value} is out of range; .* \[0, 1\]"):
        pwm.validate(tweak(**{field: value}))


def test_a_warmup_shorter_than_a_window_is_refused_with_both_remedies():
    with pytest.raises(ValueError, match=r"raise warmup or lower horizon"):
        pwm.validate(tweak(warmup=1, horizon=4))
    pwm.validate(tweak(warmup=1, horizon=3))


def test_a_capacity_below_one_window_is_refused_with_the_least():
    with pytest.raises(ValueError, match=r"capacity=11 is out of range; it must be at least 12"):
        pwm.validate(tweak(capacity=11))


@pytest.mark.parametrize("factors", [(2.0, 1.0), (-1.0, 1.0), (0.0, 1.0)])
def test_factors_of_the_noise_that_make_no_ladder_are_refused(factors):
    with pytest.raises(ValueError, match=r"noise_range=\(.*\) is out of range; it must be two"):
        pwm.validate(tweak(noise_range=factors))
    pwm.validate(tweak(noise_range=(0.0, 0.0)))
