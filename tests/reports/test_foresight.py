"""How far model and critics see: measured on episodes, kept in the run's folder, drawn."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from test_run_report import recorded

from mjxwm import ConfigError
from mjxwm.reports import one_run, outcome
from mjxwm.reports.one_run import foresight
from mjxwm.runs import policies
from mjxwm.runs.config import Config
from mjxwm.runs.policies import Policy
from mjxwm.types import Agent, Followed, Outlook, Sizes

GAMMA = 0.5
CONFIG = Config(engine="native", task_fields={"episode_length": 24})


def looking(outlook: Outlook | None) -> Policy:
    """A policy that does nothing, and sees what this outlook sees."""
    agent = Agent(
        lambda key: (), lambda policy, obs, key: jnp.zeros((len(obs), 1)), outlook=outlook
    )
    return Policy(CONFIG, Sizes(5, 1, 24), 7, agent, ())


EXACT = Outlook(
    GAMMA,
    value=lambda policy, obs: jnp.full(len(obs), 0.25),
    imagine=lambda policy, obs: jnp.ones((8, len(obs))),
    follow=lambda policy, obs, action: Followed(obs, obs, jnp.zeros(action.shape[:2])),
)


def test_a_model_that_is_right_has_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "of_run", lambda path: looking(EXACT))
    run = recorded(tmp_path / "run")
    foresight.measure(run)
    values = json.loads((run.path / foresight.FILE).read_text())
    assert values["iteration"] == 7
    assert values["latent"]["mean"] == [0.0] * 16
    assert min(values["latent_unchanged"]["mean"][1:]) > 0
    np.testing.assert_allclose(values["imagined"]["mean"], np.arange(1, 9))
    assert len(values["real"]["mean"]) == 8
    assert np.all(np.diff(values["real"]["mean"]) >= 0), "rewards of this task are not negative"
    pairs = values["values"]
    assert set(pairs["value"]) == {0.25}
    assert all(0 <= real <= 1 / (1 - GAMMA) for real in pairs["real"])
    page = one_run.render(run)
    for title in ("Open-loop error of the model, latents", "Imagined against real return",
                  "Value of the critics"):  # fmt: skip
        assert title in page


def test_returns_that_are_compared_with_values_do_not_depend_on_how_episodes_end():
    steps, gamma = 40, 0.9
    terminated = np.zeros((steps, 2), bool)
    terminated[19::20, 1] = True  # the second world falls after 20 steps, the first never
    done = terminated.copy()
    done[-1] = True
    obs = np.zeros((steps, 2, 5))
    episodes = foresight.Episodes(
        obs, obs, np.zeros((steps, 2, 1)), np.ones((steps, 2)), terminated, done
    )
    exact = 1 / (1 - gamma)
    outlook = EXACT._replace(gamma=gamma, value=lambda policy, obs: jnp.full(len(obs), exact))
    pairs = foresight._value(looking(outlook), episodes)["values"]
    real, never = np.array(pairs["real"]), np.isclose(pairs["real"], exact, rtol=1e-3)
    assert real[~never].max() == pytest.approx((1 - gamma**20) / (1 - gamma), rel=1e-3)
    assert never.sum() == 34, "the states of the first world with 7 steps or more before them"
    assert (~never).sum() == 40, "none of the other world's is near its time limit of 40 steps"


def test_a_policy_without_model_and_critics_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "of_run", lambda path: looking(None))
    run = recorded(tmp_path / "run")
    assert "not measured yet; `mjxwm report" in one_run.render(run)
    foresight.measure(run)
    assert "pwm keeps neither a model nor critics" in one_run.render(run)


def test_what_cannot_be_measured_is_no_obstacle(tmp_path, monkeypatch, capsys):
    def of_run(path):
        raise ConfigError("it is damaged")

    monkeypatch.setattr(policies, "of_run", of_run)
    outcome.look_ahead(recorded(tmp_path / "run"))
    assert "no look at its model: ConfigError: it is damaged" in capsys.readouterr().out


@pytest.mark.parametrize(("rows", "long"), [(2, False), (500, True)])
def test_a_short_run_does_not_measure_at_its_end(rows, long, tmp_path):
    assert foresight.worthwhile(recorded(tmp_path / "run", rows=rows)) == long
