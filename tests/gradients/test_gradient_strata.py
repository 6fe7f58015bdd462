"""Start states: what is about to happen decides where they belong."""

import jax
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial

from mjxwm.gradients import strata

BALL = mujoco.MjModel.from_xml_string("""
    <mujoco>
      <worldbody>
        <geom type="plane" size="0 0 1"/>
        <body><joint type="slide" axis="0 0 1"/><geom size=".1"/></body>
      </worldbody>
    </mujoco>""")
STEPS, HORIZON = 20, 3


def episode(height, terminated=(), cut=()):
    """One world whose ball is at `height[t]`; a height below 0.1 touches the floor."""
    qpos = np.asarray(height, float)[:, None, None]
    flags = [np.isin(np.arange(len(height)), ends)[:, None] for ends in (terminated, cut)]
    return strata.Episode(Initial(qpos, 0 * qpos, 0 * qpos[..., :0]), *flags)


def names(**kwargs):
    height = kwargs.pop("height", [1.0] * 8 + [0.09] * 4 + [1.0] * 8)
    played = episode(height, **kwargs)
    return strata.label(strata.touching(BALL, played.initial), played, HORIZON)[:, 0].tolist()


def test_flight_impact_and_stance():
    expected = ["flight"] * 5 + ["impact"] * 3 + ["stance"] * 4 + ["flight"] * 5 + [""] * 3
    assert names() == expected


def test_states_that_end_soon_are_apart_and_what_is_cut_is_left_out():
    found = names(terminated=(15,))
    assert found[10:16] == ["ending"] * 6  # twice the horizon ahead
    assert names(cut=(4,))[2:5] == [""] * 3
    # Steps 5 and 6 end elsewhere, and a fall after a cut is another episode's.
    assert names(cut=(0,))[1] == "flight"
    assert names(cut=(12,), terminated=(13,))[10:14] == ["", "", "", "ending"]


def test_a_task_without_contacts_has_one_stratum():
    assert set(names(height=[1.0] * STEPS)) == {"free", ""}


def test_starts_are_drawn_from_every_stratum_each_of_another_world():
    heights = [1.0] * 8 + [0.09] * 4 + [1.0] * 8
    one = episode(heights)
    four = strata.Episode(
        jax.tree.map(lambda x: np.repeat(x, 4, axis=1), one.initial),
        *(np.repeat(x, 4, axis=1) for x in one[1:]),
    )
    four.initial.qpos[:, :, 0] += 1e-3 * np.arange(4)  # to know them by
    starts = strata.choose(BALL, four, HORIZON, number=3)
    assert starts.stratum == ("flight",) * 3 + ("impact",) * 3 + ("stance",) * 3
    assert jax.tree.map(len, starts.initial) == Initial(9, 9, 9)
    height = starts.initial.qpos[:, 0]
    np.testing.assert_array_equal(height[6:] < 0.1, [True] * 3)
    worlds = np.round(1e3 * (height - np.where(height < 0.5, 0.09, 1))).reshape(3, 3)
    assert all(len(set(row)) == 3 for row in worlds)


def test_too_long_a_horizon_is_refused():
    with pytest.raises(ValueError, match="horizon=30"):
        strata.choose(BALL, episode([1.0] * STEPS), 30, number=3)
