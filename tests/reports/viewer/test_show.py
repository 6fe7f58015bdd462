"""The loop of `mjxwm view`, without a browser: what each control of the page does."""

import pytest

pytest.importorskip("mjviser", reason="the extra viewer is not installed")

from mjxwm.reports.viewer import opening, server
from mjxwm.reports.viewer.panel import KICK, PAUSE, PLAY, RESTART, STEP
from mjxwm.reports.viewer.show import Show


@pytest.fixture(scope="module")
def show():
    opened = opening.of_target("cartpole-swingup", None, {"episode_length": 50})
    page = server.serve("127.0.0.1", 0, "cartpole")
    shown = Show(*opening.start(opened, None, 2, 0), opened.policies, page)
    yield shown
    shown.end()
    shown.run()


@pytest.fixture
def watched(show, monkeypatch):
    """Somebody looks."""
    monkeypatch.setattr(show._server, "get_clients", lambda: {0: "a browser"})
    show._panel._press(PLAY)
    return show


def test_nobody_looks_and_nothing_moves(show):
    before = show.steps
    show._turn(0.0, 1.0)
    assert show.steps == before


def test_time_runs_stops_and_goes_on_by_single_steps(watched):
    dt, before = watched.simulation.dt, watched.steps
    watched._turn(1.0, 2.5 * dt)
    assert watched.steps == before + 2
    watched._panel.speed = 2.0
    watched._turn(2.0, dt)
    assert watched.steps == before + 4
    watched._panel.speed = 1.0
    watched._panel._press(PAUSE)
    watched._turn(3.0, 10 * dt)
    assert watched.steps == before + 4
    watched._panel._press(STEP)
    watched._turn(4.0, 10 * dt)
    assert watched.steps == before + 5


def test_a_slow_processor_leaves_time_out(watched, monkeypatch):
    before = watched.steps
    monkeypatch.setattr("mjxwm.reports.viewer.show._FRAME", -1.0)  # each step is too long
    watched._advance(1000 * watched.simulation.dt)
    assert watched.steps == before + 1
    assert watched._lag <= watched.simulation.dt


def test_another_world_is_drawn_and_episodes_begin_anew(watched):
    watched._panel._world.value = "1"
    watched._turn(10.0, 3 * watched.simulation.dt)
    assert watched._stage.mj_data.qpos[0] == pytest.approx(watched._before[1][0], abs=0.05)
    assert watched._world == 1
    watched._panel._press(KICK)
    watched._panel._press(RESTART)
    watched._answer()
    assert watched.simulation.moment is None
    assert len(watched._traces) == 0


def test_an_episode_that_ends_gives_its_return_and_plots_are_drawn(watched):
    for i in range(60):
        watched._turn(100.0 + i, 1.01 * watched.simulation.dt)
    assert len(watched._returns) >= 2
    assert "mean of the last" in watched._panel._words.content
    assert list(watched._panel._plots) == ["Reward and its terms"]  # random actions expect nothing


def test_a_choice_in_the_page_is_taken_over_and_shown(watched):
    watched._panel._press("zero")
    watched._answer()
    watched._follower.look()
    watched._answer()
    assert watched._panel._policy.value == "zero"
    watched._word()
    assert "zero actions" in watched._panel._words.content
