"""Run by test_devices.py in a process of its own, which has eight CPU devices.

`compare ALGORITHM` trains the same tiny learner on 1 and on 8 of them, in float64, and prints as
JSON how far the results are apart; `collectives ALGORITHM` prints which the program for 8 contains.
"""

import dataclasses
import json
import re
import sys
import tempfile
from pathlib import Path

import jax
import mjxwm_envs as envs
import numpy as np

from mjxwm.algos import pwm, reppo, shac, tdmpc2
from mjxwm.models import actor_critic, world_model
from mjxwm.runs import checkpoint, devices

sys.path.insert(0, str(Path(__file__).parents[1]))
import probes

POLICY = actor_critic.Config(actor=(16,), critic=(16,), critics=2)
PWM = pwm.Config(
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
    policy=POLICY,
)
TDMPC2 = tdmpc2.Config(
    env_steps=4096,
    worlds=16,
    unroll=4,
    warmup=2,
    capacity=256,
    update_ratio=2.0,
    batch=16,
    networks=tdmpc2.NetworkConfig(
        model=dataclasses.replace(
            tdmpc2.NetworkConfig().model, latent=16, encoder=(16,), hidden=(16,), continuation=1.0
        ),
        q_hidden=(16,),
        dropout=0.1,
    ),
    planning=tdmpc2.Planning(samples=16, policy_samples=4, elites=4, iterations=2),
)
SHAC = shac.Config(
    env_steps=4096, worlds=16, unroll=4, critic_epochs=2, entropy=0.1, tune_entropy=True,
    world_clip=0.05, policy=POLICY,
)  # fmt: skip
REPPO = reppo.Config(
    env_steps=4096, worlds=16, unroll=4, minibatches=2, epochs=2, min_value=-5,
    networks=reppo.NetworkConfig(actor=(16,), encoder=(16,), features=16, head=(16,), bins=41),
)  # fmt: skip
PROBE = probes.Numbers(sign=1, clock=1, steps=2, at_end=1, cost=1, goal_by_sign=0.5)
ITERATIONS = 4


def programs(name: str, number: int) -> devices.Programs:
    """Those of an algorithm's learner on so many devices."""
    if name == "pwm":
        config, algorithm = (
            PWM,
            pwm.make(PWM, envs.make("cartpole-swingup", "native", episode_length=10)),
        )
    elif name == "reppo":
        config, algorithm = REPPO, reppo.make(REPPO, probes.make(PROBE))
    elif name == "shac":
        config, algorithm = SHAC, shac.make(SHAC, probes.make(PROBE))
    else:
        config, algorithm = TDMPC2, tdmpc2.make(TDMPC2, probes.make(PROBE))
    return devices.programs(algorithm, name, config, jax.devices()[:number])


def learned(name: str, number: int) -> tuple:
    """The learner, its worlds and data, and the last metrics; and the whole state."""
    made = programs(name, number)
    state = made.init(jax.random.key(0))
    for _ in range(ITERATIONS):
        state, metrics = made.iterate(state)
    rest = numbers(state)._replace(learner=())
    # The bits of C's own numbers, of which the last one is rounding.
    sim = rest.worlds.state.sim._replace(hidden=())
    rest = rest._replace(worlds=rest.worlds._replace(state=rest.worlds.state._replace(sim=sim)))
    return jax.device_get({"learner": state.learner, "rest": rest, "metrics": metrics}), state


def difference(one, other) -> float:
    """The largest difference of any leaf, relative to its largest value."""
    apart = 0.0
    for pair in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = (np.asarray(x, float) for x in pair)
        if a.size:
            apart = max(apart, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-3)))
    return apart


def moved(name, state) -> float:
    """How far apart a state is from what its checkpoint gives on 2 devices, saved on 8."""
    two = programs(name, 2)
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
    what, name = sys.argv[1:]
    if what == "compare":
        jax.config.update("jax_enable_x64", True)
        (one, _), (several, state) = learned(name, 1), learned(name, 8)
        found = {k: difference(one[k], several[k]) for k in one}
        found["restored"] = moved(name, state)
    else:
        made = programs(name, 8)
        state = made.place(jax.eval_shape(made.init, jax.random.key(0)))
        found = collectives(made.iterate.lower(state).compile().as_text())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
