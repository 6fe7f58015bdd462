"""Why a multi-task model's own policy fails: how much its Q depends on the action at all.

    python scripts/prior_values.py MODEL [TASK...] [--json FILE]

MODEL is the run of `mjxwm pretrain`, with its data set where it was. At states of the data: the
ensemble's mean Q for the data's action, the policy's mean action and a uniform random one; the
ensemble's deviation; the share of the policy's actions beyond 0.97; and the data's discounted
return over the next 200 steps. The policy ascends Q: it follows what is between the three, not
their size.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mjxwm import data
from mjxwm.algos.multitask import Model
from mjxwm.data import replay
from mjxwm.runs import pretrained

STATES, STEPS = 1024, 200


@jax.jit
def q_values(nets: Any, obs: Array, action: Array) -> dict[str, Array]:
    """Mean Q of three actions at observations [N, o], and what is said of it above."""
    z = nets.model.encode(obs)
    policy = nets.act(z, None)
    size = action.shape[-1]
    taken = jnp.pad(action, ((0, 0), (0, policy.shape[-1] - size)))
    random = jax.random.uniform(jax.random.key(0), policy.shape, minval=-1.0)
    values = nets.values(z, policy)
    return {
        "q_of_data": nets.values(z, taken).mean(),
        "q_of_policy": values.mean(),
        "q_of_random": nets.values(z, random).mean(),
        "deviation": values.std(axis=0).mean(),
        "saturated": (jnp.abs(policy[:, :size]) > 0.97).mean(),
    }


def measure(model: Model, name: str) -> dict[str, float]:
    """The row of one task."""
    nets = model.for_task(name)
    task = next(task for task in model.card.tasks if task.name == name)
    dataset = data.open_data(Path(model.card.source)).matching((task,))
    with data.Stream(dataset, 1, STATES, STEPS + 1, seed=0, total=1) as stream:
        rows = jax.device_get(next(stream))
    drawn = replay.from_flags(rows.obs[0], rows.action[0], rows.reward[0], rows.flags[0])
    whole = np.asarray(drawn.mask[:-1]).all(axis=0)
    powers = float(nets.discount) ** np.arange(STEPS)
    returns = (powers[:, None] * rows.reward[0][:-1]).sum(axis=0)[whole]
    action = rows.action[0][0][whole][:, : task.action_size]
    values = q_values(nets, jnp.asarray(rows.obs[0][0][whole]), jnp.asarray(action))
    row = {"data_return": returns.mean(), **values}
    return {key: float(f"{float(value):.5g}") for key, value in row.items()}


def main() -> None:
    """Measures and prints a row per task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = pretrained.load(options.model)
    rows = {}
    for name in options.tasks or [task.name for task in model.card.tasks]:
        rows[name] = measure(model, name)
        print(name, *(f"{key} {value:g}" for key, value in rows[name].items()), flush=True)
    if options.json:
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows[name])}" for name in rows)
        options.json.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
