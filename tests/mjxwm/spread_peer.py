"""Run by test_devices.py in a process of its own, which has eight CPU devices.

`compare` trains the same tiny learner on 1 and on 8 of them, in float64, and prints as JSON how far
the results are apart; `collectives` prints which the program for 8 contains.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

import envs
from mjxwm import actor_critic, checkpoint, devices, world_model
from mjxwm.algos import pwm

CONFIG = pwm.Config(
    env_steps=4096,
    worlds=16,
    unroll=4,
    warmup=2,
    capacity=256,  # the replay goes round
    update_ratio=2.0,
    batch=16,
    horizon=4,
    imagine_batch=16,
    imagine_horizon=3,
    critic_steps=2,
    critic_replay=0.1,
    model=world_model.Config(latent=16, encoder=(16,), hidden=(16,)),
    policy=actor_critic.Config(actor=(16,), critic=(16,), critics=2),
)
ITERATIONS = 4


def programs(number: int) -> devices.Programs:
    """Those of the learner on so many devices."""
    env = envs.make("cartpole-swingup", "native", episode_length=10)
    return devices.programs(pwm.make(CONFIG, env), "pwm", jax.devices()[:number])


def learned(number: int) -> tuple:
    """The learner, the replay and the last metrics; and the whole state."""
    made = programs(number)
    state = made.init(jax.random.key(0))
    for _ in range(ITERATIONS):
        state, metrics = made.iterate(state)
    found = {"learner": state.learner, "replay": state.replay, "metrics": metrics}
    return jax.device_get(found), state


def difference(one, other) -> float:
    """The largest difference of any leaf, relative to its largest value."""
    apart = 0.0
    for pair in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = (np.asarray(x, float) for x in pair)
        if a.size:
            apart = max(apart, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-3)))
    return apart


def moved(state) -> float:
    """How far apart a state is from what its checkpoint gives on 2 devices, saved on 8."""
    two = programs(2)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder), 1, state)
        abstract = two.place(jax.eval_shape(lambda: state))
        restored = checkpoint.restore(Path(folder), abstract)
    places = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(restored)}
    assert places == {2}, places
    return difference(numbers(state), numbers(restored))


def numbers(state):
    """Its numbers, without the random keys."""
    return jax.device_get(state._replace(key=0, worlds=state.worlds._replace(key=0)))


def collectives(text: str) -> list[str]:
    """The source of every collective operation of a program."""
    pattern = (
        r"= .*? (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(-start)?\("
    )
    lines = [line for line in text.splitlines() if re.search(pattern, line)]
    return [re.search(r'op_name="([^"]*)"', line).group(1) for line in lines]


def main() -> None:
    """Prints what is asked for."""
    assert len(jax.devices()) == 8, jax.devices()
    if sys.argv[1] == "compare":
        jax.config.update("jax_enable_x64", True)
        (one, _), (several, state) = learned(1), learned(8)
        found = {k: difference(one[k], several[k]) for k in one}
        found["restored"] = moved(state)
    else:
        made = programs(8)
        state = made.place(jax.eval_shape(made.init, jax.random.key(0)))
        found = collectives(made.iterate.lower(state).compile().as_text())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
