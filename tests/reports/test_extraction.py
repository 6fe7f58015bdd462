"""What is measured of an extracted policy: its parts add up, and data are like themselves."""

import dataclasses

import jax
import numpy as np
import pytest

from mjxwm.algos import multitask
from mjxwm.algos.multitask import extract, task_set
from mjxwm.algos.multitask import model as models
from mjxwm.data import Rows, Writer
from mjxwm.reports import extraction
from mjxwm.runs import policies
from mjxwm.runs.config import Config
from mjxwm.runs.policies import Policy
from mjxwm.types import Sizes

TASK = "pendulum-swingup"
PRESET = multitask.Config(
    tasks=f"{TASK},",
    pretrain=multitask.Pretrain(size="1M", task_size=4, latent=16),
    extract=multitask.Extract(
        batch=8, horizon=2,
        policy=dataclasses.replace(multitask.Extract().policy, actor=(8,), critic=(8,), critics=2),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Of a policy that has learned nothing, beside data that are noise."""
    folder = tmp_path_factory.mktemp("extraction")
    rng = np.random.default_rng(0)
    (task,) = task_set(PRESET.tasks)
    with Writer(folder, task) as writer:
        action = rng.uniform(-1, 1, (400, task.action_size)).astype(np.float32)
        obs = rng.normal(0, 1, (400, task.obs_size)).astype(np.float32)
        writer.add(Rows(obs, action, action[:, 0].copy(), np.zeros(400, np.uint8)))
    card = models.card_of(PRESET, (task,), str(folder))
    algo = extract.Config(data=str(folder), settings=PRESET.extract)
    sizes = Sizes(task.obs_size, task.action_size, 40)
    agent = extract.agent(algo, sizes, card)
    config = Config(
        task=TASK, engine="native", action_repeat=2, algorithm="extract", algo=algo,
        task_fields={"episode_length": 80},
    )  # fmt: skip
    policy = Policy(config, sizes, 0, agent, jax.jit(agent.init)(jax.random.key(0)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(policies, "of_run", lambda path: policy)
        return extraction.measure(folder, episodes=2)


def test_errors_are_by_steps_from_the_start(measured):
    for place in ("policy", "data"):
        assert {len(errors) for errors in measured[place].values()} == {extraction.HORIZON}
        assert np.isfinite(list(measured[place].values())).all()


def test_the_parts_of_what_was_expected_too_much_add_up(measured):
    for place in ("everywhere", "at_start"):
        x = measured["expected"][place]
        parts = x["rewards"] + x["imagined_states"] + x["values_of_states"]
        np.testing.assert_allclose(x["imagined"] - x["real"], parts, rtol=1e-2, atol=1e-3)


def test_distances_are_those_to_the_nearest(measured):
    assert all(distance >= 0 for distance in measured["distance"].values())
    points, among = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 1.0], [9.0, 0.0]])
    assert extraction._nearest(points, among) == pytest.approx((1 + 10**0.5) / 2)
