"""NaN at every stage: the step or the update is left out and counted, and all else stays as it was.

One small program of PWM, fed with states that are broken in one place each.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from mjxwm_envs.batch import FAULTS
from mjxwm_envs.env import Env

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.maths import finite
from mjxwm.models import actor_critic, world_model
from mjxwm.runs import build, guard
from mjxwm.runs.config import Config, check

NO_REWARD, NO_OBS = 5.0, 6.0
"""Positions at which the task gives NaN."""


@dataclasses.dataclass(frozen=True)
class Faulty(probes.Probe):
    """A probe whose reward or observation is NaN in some positions."""

    def reward(self, before, action, after):
        reward, terms = super().reward(before, action, after)
        return jnp.where(before.qpos[0] == NO_REWARD, jnp.nan, reward), terms

    def observe(self, physics):
        return jnp.where(physics.qpos[0] == NO_OBS, jnp.nan, super().observe(physics))


ALGO = pwm.Config(
    env_steps=400,
    worlds=4,
    unroll=1,
    warmup=3,
    batch=4,
    horizon=2,
    imagine_batch=4,
    imagine_horizon=2,
    update_ratio=4.0,
    critic_steps=2,
    target_tau=0.5,  # targets are critics of their own
    model=world_model.Config(latent=8, encoder=(4,), hidden=(4,)),
    policy=actor_critic.Config(actor=(4,), critic=(4,), critics=2),
)
CONFIG = Config(task="probe", algo=ALGO, evaluations=0, episodes=1, video=False)


@pytest.fixture(scope="module")
def program():
    """One iteration that does not consume its state, and a state before it."""
    env = Env("probe", Faulty(numbers=probes.OBSERVATION), probes.Analytic())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "make_env", lambda *_: env)
        trainer = build.build(CONFIG)
    state = trainer.programs.init(jax.random.key(0))

    def iterate(state):
        return trainer.programs.iterate(jax.tree.map(jnp.copy, state))

    return iterate, iterate(state)[0]


def everywhere(tree, value):
    return jax.tree.map(
        lambda x: jnp.full_like(x, value) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


def at_position(state, position):
    worlds = state.worlds.state
    physics = worlds.sim.physics._replace(qpos=jnp.full((4, 1), position))
    return state._replace(
        worlds=state.worlds._replace(
            state=worlds._replace(sim=worlds.sim._replace(physics=physics))
        )
    )


def learner(name, change):
    def broken(state):
        part = change(getattr(state.learner, name))
        return state._replace(learner=state.learner._replace(**{name: part}))

    return broken


def rewards(state):
    rows = state.replay.rows.at[..., -1].set(jnp.nan)
    return state._replace(replay=dataclasses.replace(state.replay, rows=rows))


def nan(tree):
    return everywhere(tree, math.nan)


CASES = {
    "physics": (lambda state: at_position(state, math.nan), "physics"),
    "physics beyond bounds": (lambda state: at_position(state, 1e11), "physics"),
    "observation": (lambda state: at_position(state, NO_OBS), "obs"),
    "reward": (lambda state: at_position(state, NO_REWARD), "reward"),
    "moments of observations": (
        learner("obs", lambda m: m._replace(var=m.var + math.inf)),
        "moments",
    ),
    "model's loss": (rewards, "model"),
    "model's optimiser": (learner("model_opt", nan), "model"),
    "actor's gradient": (
        learner("returns", lambda m: m._replace(mean=m.mean + math.nan)),
        "actor",
    ),
    "actor's optimiser": (learner("actor_opt", nan), "actor"),
    "moments of returns": (learner("returns", lambda m: m._replace(mean=m.mean + 1e30)), "returns"),
    "critics' target": (learner("target", lambda x: everywhere(x, 1e30)), "actor"),
    "critics' optimiser": (learner("critic_opt", nan), "critic"),
    "actor's parameters": (learner("actor", nan), "action"),
    "critics' parameters": (learner("critic", nan), "critic"),
}


@pytest.mark.parametrize(("breaking", "stage"), CASES.values(), ids=CASES)
def test_what_is_not_finite_is_left_out_and_counted(program, breaking, stage):
    iterate, sound = program
    state = breaking(sound)
    after, metrics = iterate(state)
    assert guard.stage(metrics) == stage
    assert metrics[f"guard/{stage}"] > 0
    assert metrics[finite.UNSOUND] >= 1
    if stage in finite.COLLECTION:
        assert metrics[f"guard/{stage}"] == 4
        assert np.isfinite(after.worlds.obs).all(), "the worlds are reset"
    pairs = {"model": ("model", "model_opt"), "critic": ("critic", "critic_opt", "target")}
    for name in pairs.get(stage, (stage, f"{stage}_opt") if stage == "actor" else ()):
        before, now = (jax.tree.leaves(getattr(s.learner, name)) for s in (state, after))
        for x, y in zip(before, now, strict=True):
            np.testing.assert_array_equal(x, y, err_msg=name)
    lost = metrics["guard/parameters"] > 0
    assert lost == (breaking in (CASES["actor's parameters"][0], CASES["critics' parameters"][0]))
    assert lost == (metrics[finite.UNSOUND] == 2)


def test_a_sound_iteration_counts_nothing(program):
    iterate, sound = program
    after, metrics = iterate(sound)
    counts = {name: float(x) for name, x in metrics.items() if name.startswith("guard/")}
    assert set(counts.values()) == {0.0}
    assert guard.stage(metrics) == ""
    assert finite.all_finite((after.learner, after.worlds, after.replay))


def test_stages_of_collection_are_the_faults_of_steps():
    assert (*reversed(FAULTS), "step") == finite.COLLECTION


def test_how_many_skips_stop_a_run_is_in_range():
    with pytest.raises(ConfigError, match="stop_after_skips=0 is out of range"):
        check(dataclasses.replace(CONFIG, stop_after_skips=0))
