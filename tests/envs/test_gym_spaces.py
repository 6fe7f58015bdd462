"""Gymnasium's spaces both ways, as gymnasium itself flattens and steps them."""

import gymnasium
import mjxwm_envs as envs
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from mjxwm_envs.adapters import spaces as forms

BOX = spaces.Box(-1, 1, (2,))
FLAT = {
    "multi-discrete": spaces.MultiDiscrete([3, 2, 4]),
    "multi-discrete from a start, in rows": spaces.MultiDiscrete(
        [[2, 3], [4, 2]], start=[[5, 0], [-1, 7]]
    ),
    "discrete from a start": spaces.Discrete(5, start=-2),
    "switches in rows": spaces.MultiBinary((2, 3)),
    "bytes": spaces.Box(0, 255, (4,), np.uint8),
    "one number": spaces.Box(-1, 1, ()),
    "keys in their order": spaces.Dict({"z": BOX, "a": spaces.Dict(k=spaces.Discrete(3), b=BOX)}),
    "a tuple": spaces.Tuple([spaces.MultiDiscrete([2, 2]), spaces.Dict(x=BOX)]),
}


@pytest.mark.parametrize("case", FLAT)
def test_observations_are_flattened_as_gymnasium_does(case):
    space = FLAT[case]
    space.seed(0)
    assert forms.obs_size(space) == spaces.flatdim(space)
    for _ in range(20):
        sample = space.sample()
        np.testing.assert_array_equal(forms.flat_obs(space, sample), spaces.flatten(space, sample))


@pytest.mark.parametrize(
    ("space", "obs", "words"),
    [
        (spaces.Discrete(3), 3, "is not in Discrete"),
        (spaces.Discrete(3), -1, "is not in Discrete"),  # numpy would count from the end
        (spaces.Discrete(3, start=1), 0, "is not in Discrete"),
        (spaces.MultiDiscrete([3, 2]), [0, 2], "is not in MultiDiscrete"),
        (spaces.MultiBinary(2), [0, 2], "is not in MultiBinary"),
        (spaces.Dict(a=BOX, b=BOX), {"a": [0, 0]}, r"of \['a'\], where \['a', 'b'\]"),
        (spaces.Dict(a=BOX, b=BOX), {"a": [0, 0, 0], "b": [0]}, r"shape \(3,\), where \(2,\)"),
        (spaces.Tuple([BOX, BOX]), ([0, 0],), "2 parts"),
        (BOX, 0.5, r"shape \(\), where \(2,\)"),
    ],
)
def test_an_observation_outside_of_its_space_is_refused(space, obs, words):
    with pytest.raises(ValueError, match=words):
        forms.flat_obs(space, obs)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Text(5),
        spaces.Sequence(BOX),
        spaces.Graph(BOX, None),
        spaces.OneOf([BOX, spaces.Discrete(2)]),
        spaces.Dict(a=spaces.Tuple([spaces.Text(3)])),
    ],
)
def test_spaces_whose_flat_form_says_nothing_are_refused_by_name(space):
    with pytest.raises(ValueError, match=r"(Text|Sequence|Graph|OneOf) has no flat form"):
        forms.obs_size(space)


LARGEST = {dtype: np.finfo(dtype).max for dtype in (np.float16, np.float32, np.float64)}


@pytest.mark.parametrize("dtype", LARGEST)
def test_the_largest_number_of_a_type_is_no_bound(dtype):
    """Actions reach from -1 to 1 there, as in a box without bounds."""
    both = spaces.Box(-LARGEST[dtype], LARGEST[dtype], (2,), dtype)
    low, high = forms.action_bounds(both)
    np.testing.assert_array_equal([low, high], [[-1, -1], [1, 1]])
    above = spaces.Box(np.array([0, -3], dtype), np.array([LARGEST[dtype], 5], dtype), dtype=dtype)
    low, high = forms.action_bounds(above)
    np.testing.assert_array_equal([low, high], [[0, -3], [2, 5]])


def test_rounding_never_leaves_the_bounds():
    rng = np.random.default_rng(0)
    for _ in range(200):
        low, high = np.sort(rng.uniform(-1, 1, (2, 3)), axis=0)
        box = spaces.Box(low, high, dtype=np.float64)
        for corner in (np.ones(3), -np.ones(3)):
            assert forms.to_action(box, corner) in box
    box = spaces.Box(-0.1, 0.3, (1,), np.float64)  # -0.1 + (0.3 - -0.1) is above 0.3
    assert forms.to_action(box, np.ones(1)) in box


class Arm(gymnasium.Env):
    """Rewards say which action arrived; one and the same array is written into at every step."""

    action_space = spaces.Dict(
        grip=spaces.Box(0, 4, (1,), np.float32),
        at=spaces.Tuple([spaces.Box(-2, 2, (2,), np.float64), spaces.Box(0, 1, (1, 1))]),
    )
    observation_space = spaces.Dict(
        x=spaces.Box(-np.inf, np.inf, (1,), np.float64), mode=spaces.Discrete(2, start=3)
    )
    copies = True

    def __init__(self):
        self.x = np.zeros(1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x[:] = 0
        return self._obs(), {}

    def step(self, action):
        assert action in self.action_space
        self.x += 1
        reward = action["grip"][0] + 10 * action["at"][0][1] + 100 * action["at"][1][0, 0]
        return self._obs(), np.asarray(reward), bool(self.x[0] == 3), False, {}

    def _obs(self):
        return {"x": self.x.copy() if self.copies else self.x, "mode": 3 + int(self.x[0] > 1)}


class Shared(Arm):
    """It hands out the array that it goes on to write into."""

    copies = False


def steps(source, count=7):
    on_host = source.make(2)
    on_host.reset(0, False)
    action = np.array([[-1, 1, 0.5, -1], [0, 0, -0.5, 1]])
    return [on_host.step(action.copy()) for _ in range(count)]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_a_vector_env_takes_dictionaries_of_actions(mode):
    """As the same environments one by one; and the first action's reward by hand."""
    one_by_one = steps(envs.from_gymnasium(Arm, "arm", 5))
    source = envs.from_gymnasium(SyncVectorEnv([Arm] * 2, autoreset_mode=mode), "arm", 5)
    for ours, theirs in zip(steps(source), one_by_one, strict=True):
        for got, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(got, expected)
    # [-1, 1, 0.5, -1] in [0, 4], [-2, 2], [-2, 2] and [0, 1]
    assert one_by_one[0].reward[0] == pytest.approx(0 + 10 * 1 + 100 * 0)


@pytest.mark.parametrize("vector", [False, True])
def test_an_array_that_is_written_into_again_keeps_its_place_in_time(vector):
    env = SyncVectorEnv([Shared] * 2, autoreset_mode=AutoresetMode.DISABLED) if vector else Shared
    taken = steps(envs.from_gymnasium(env, "shared", 5))
    np.testing.assert_array_equal([s.next_obs[0, 0] for s in taken], [1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal([s.obs[0, 0] for s in taken], [1, 2, 0, 1, 2, 0, 1])


def test_a_last_observation_that_gymnasium_s_own_reset_wrote_over_is_on_record():
    source = envs.from_gymnasium(
        SyncVectorEnv([Shared] * 2, autoreset_mode=AutoresetMode.SAME_STEP), "shared", 5
    )
    on_host = source.make(2)
    on_host.reset(0, False)
    taken = [on_host.step(np.zeros((2, 4))) for _ in range(3)]
    assert not taken[2].valid.any()
    assert "one and the same array" in str(on_host.failures[0])


def with_step(*returned):
    return type("Odd", (Arm,), {"step": lambda self, action: returned})


OBS = {"x": np.zeros(1), "mode": 3}
BEFORE_1_0 = {
    "four things": (with_step(OBS, 1.0, False, {}), "step does not return five things"),
    "no seed": (
        type("Odd", (Arm,), {"reset": lambda self: (OBS, {})}),
        r"its reset fails: .*'seed'; gymnasium's is reset\(seed, options\)",
    ),
    "no infos": (
        type("Odd", (Arm,), {"reset": lambda self, seed=None, options=None: OBS}),
        "its reset returns no pair",
    ),
    "no reward": (with_step(OBS, None, False, False, {}), "reward None is not a finite number"),
    "two rewards": (with_step(OBS, [1, 2], False, False, {}), r"reward \[1, 2\] is not"),
    "another shape": (with_step({**OBS, "x": 0.0}, 1, False, False, {}), r"of shape \(\)"),
    "nothing finite": (
        with_step({**OBS, "x": np.full(1, np.inf)}, 1, False, False, {}),
        "is not finite",
    ),
    "an error": (type("Odd", (Arm,), {"step": lambda self, a: {}[0]}), "fails at once: KeyError"),
}


@pytest.mark.parametrize("case", BEFORE_1_0)
def test_another_interface_is_said_when_the_environment_is_made(case):
    make, words = BEFORE_1_0[case]
    with pytest.raises(ValueError, match=f"odd.*{words}"):
        envs.from_gymnasium(make, "odd", 5)


@pytest.mark.parametrize("reward", [2, 2.0, np.float32(2), np.array(2), np.array([2.0]), [2]])
def test_a_reward_is_a_number_in_any_form(reward):
    source = envs.from_gymnasium(with_step(OBS, reward, False, np.bool_(True), {}), "odd", 5)
    step = steps(source, 1)[0]
    np.testing.assert_array_equal(step.reward, 2)
    assert step.truncated.all()


def test_an_environment_that_resets_itself_is_reset_once():
    """Gymnasium's Autoreset would spend a step on it; the step after an end is an action here."""
    around = gymnasium.wrappers.Autoreset
    ours = steps(envs.from_gymnasium(lambda: around(Arm()), "around", 9))
    for got, expected in zip(ours, steps(envs.from_gymnasium(Arm, "arm", 9)), strict=True):
        np.testing.assert_array_equal(got.next_obs, expected.next_obs)
        np.testing.assert_array_equal(got.terminated, expected.terminated)
