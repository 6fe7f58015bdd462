"""Worlds for torch: the numbers of our own batch, in the same memory."""

import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import pytest

torch = pytest.importorskip("torch")

from mjxwm_envs.adapters.to_torch import array  # noqa: E402  after the skip

B, LIMIT = 4, 6
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def env():
    return envs.make("hopper", engine="native", episode_length=LIMIT)


@pytest.fixture(scope="module")
def worlds(env):
    return envs.to_torch(env, B, seed=3)


def actions(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(B, 3, generator=generator) * 2 - 1


def test_observations_and_rewards_are_those_of_our_batch(env, worlds):
    """Two episodes long, over the resets between them."""
    batch = env.batch(B)
    ours, step = jax.jit(batch.reset)(jax.random.key(5)), jax.jit(batch.step)
    obs, info = worlds.reset(seed=5)
    assert info == {}
    assert (obs.numpy() == ours.obs).all()
    ends = 0
    for t in range(2 * LIMIT):
        action = actions(t)
        ours, result = step(ours, jnp.asarray(action.numpy()))
        obs, reward, terminated, truncated, info = worlds.step(action)
        pairs = (
            (obs, ours.obs),
            (reward, result.reward),
            (terminated, result.terminated),
            (truncated, result.truncated),
            (info["final_obs"], result.next_obs),
            (info["episode"]["r"], result.episode_return),
            (info["episode"]["l"], result.episode_length),
            (info["_episode"], result.terminated | result.truncated),
        )
        for theirs, expected in pairs:
            assert (theirs.numpy() == expected).all()
        ends += int(info["_episode"].sum())
    assert ends >= 2 * B


def test_nothing_is_copied(worlds):
    action = actions(0)
    ours = array(action, (B, 3), worlds.device, jnp.float32)
    assert ours.unsafe_buffer_pointer() == action.data_ptr()
    obs, *_ = worlds.step(action)
    assert obs.data_ptr() == worlds._obs.unsafe_buffer_pointer()


def test_tensors_that_are_kept_stay_as_they_are(worlds):
    obs, reward, *_, info = worlds.step(actions(1))
    kept = [x.clone() for x in (obs, reward, info["final_obs"])]
    action = actions(2)
    after, *_ = worlds.step(action)
    action.zero_()  # neither does the caller's tensor have to stay as it is
    assert not torch.equal(obs, after)
    for now, before in zip((obs, reward, info["final_obs"]), kept, strict=True):
        assert torch.equal(now, before)


def test_actions_are_clipped_and_may_come_from_a_network(worlds):
    far = torch.full((B, 3), 7.0, requires_grad=True)
    first = worlds.reset(seed=1) and worlds.step(far)[0]
    worlds.reset(seed=1)
    assert torch.equal(first, worlds.step(torch.ones(B, 3))[0])


def test_time_limits_can_be_moved_apart(worlds):
    worlds.reset(seed=2)
    worlds.episode_length_buf = torch.arange(B)
    assert worlds.episode_length_buf.tolist() == [0, 1, 2, 3]
    ends = [worlds.step(torch.zeros(B, 3))[3].tolist() for _ in range(3)]
    assert ends[-1] == [False, False, False, True]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (torch.zeros(B, 2), r"a tensor of float32 \[4, 2\] on cpu; .* take float32 \[4, 3\]"),
        (torch.zeros(B, 3, dtype=torch.float64), "a tensor of float64"),
        (torch.zeros(B, 3, device="meta"), "on meta; the worlds take float32"),
    ],
)
def test_other_actions_are_refused(worlds, action, message):
    with pytest.raises(ValueError, match=message):
        worlds.step(action)


def test_rows_that_do_not_lie_one_after_the_other_are_copied(worlds):
    worlds.reset(seed=1)
    wide = torch.rand(B, 6)
    first = worlds.step(wide[:, ::2])[0].clone()
    worlds.reset(seed=1)
    assert torch.equal(first, worlds.step(wide[:, ::2].contiguous())[0])


def test_the_example_of_ppo_runs(monkeypatch, capsys):
    """Two iterations; docs/results/README.md has what it learns in whole runs."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    ppo = importlib.import_module("ppo_torch")
    words = "--task pendulum-swingup --engine native --worlds 4 --unroll 8 --env-steps 64"
    threads = torch.get_num_threads()
    try:
        ppo.main(ppo.parser.parse_args(words.split()))
    finally:
        torch.set_num_threads(threads)
        torch.set_default_device("cpu")
    assert "64 steps" in capsys.readouterr().out


def test_rsl_rl_sees_the_same(env):
    pytest.importorskip("rsl_rl", reason="rsl-rl-lib is not installed")
    theirs, ours = envs.to_rsl_rl(env, B, seed=3), envs.to_torch(env, B, seed=3)
    assert torch.equal(theirs.get_observations()["policy"], ours.obs)
    obs, reward, done, extras = theirs.step(actions(0))
    expected = ours.step(actions(0))
    assert torch.equal(obs["policy"], expected[0])
    assert torch.equal(reward, expected[1])
    assert torch.equal(done.bool(), expected[2] | expected[3])
    assert torch.equal(extras["time_outs"], expected[3])
