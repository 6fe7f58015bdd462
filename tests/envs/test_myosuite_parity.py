"""MyoSuite's tasks against MyoSuite 3.0.0 itself on C MuJoCo: states, episodes and starts."""

import numpy as np
import pytest

pytest.importorskip("myosuite")

import myosuite_parity as parity
import myosuite_peer as mp
from mjxwm_envs.tasks.myosuite import reach

QUICK = ["myo-hand-pose", "myo-hand-reach"]


@pytest.mark.parametrize("name", QUICK)
def test_a_few_states(name):
    check(parity.of_states(name, 6))


@pytest.mark.slow
@pytest.mark.parametrize("name", mp.PEERS)
def test_fifty_states(name):
    found = parity.of_states(name, 50)
    check(found)
    assert found.solved, "no state tests success"
    if "pose" not in name:  # nothing bends a finger by a whole turn
        assert found.ended, "no state tests the end"


@pytest.mark.slow
@pytest.mark.parametrize("name", mp.PEERS)
def test_fifteen_steps_under_the_same_actions(name):
    check(parity.of_steps(name, 15))


@pytest.mark.slow
@pytest.mark.parametrize("name", mp.PEERS)
def test_start_distributions(name):
    still, probability, varying = parity.of_starts(name, 200)
    assert still < 1e-5
    assert probability > 1e-3
    assert bool(varying) == ("random" in name or "elbow" in name)


@pytest.mark.slow
def test_reachable_points_are_the_peers_table():
    with mp.peer("myo-finger-reach-random") as there:
        np.testing.assert_array_equal(reach._reachable(), there._workspace_points[:, 0])


def check(found: parity.Agreement) -> None:
    assert found.obs < 1e-5
    assert found.reward < 1e-5
    assert found.flags == 0
