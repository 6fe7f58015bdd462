"""Evaluates PWM's policy beside running averages of its weights, at the same moments of one run.

    python scripts/averaged_policies.py --seed 1 --env-steps 540_000 --json averaged.json

Averages do not act in training: only what is evaluated differs. With a decay of 0.95 per iteration
an average spans some 20 iterations. `actor` averages the actor alone, `policy` the actor and the
world model, through whose encoder it acts. A row has, by name, the mean and the least return of 20
episodes and how many of them ended early.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mjxwm_envs as envs

from mjxwm.algos import pwm
from mjxwm.algos.pwm import learner
from mjxwm.runs import evaluate, presets
from mjxwm.runs.config import Config

DECAYS = (0.8, 0.9, 0.95, 0.98)
EPISODES = 20

parser = argparse.ArgumentParser()
parser.add_argument("--preset", default="pwm-hopper-cpu")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--env-steps", type=int, default=540_000)
parser.add_argument("--every", type=int, default=20, help="iterations between evaluations")
parser.add_argument("--json", type=Path, required=True)


@jax.jit
def averaged(average: Any, new: Any, decay: float) -> Any:
    """A running average of weights, in the weights' own types."""
    return jax.tree.map(lambda a, b: (decay * a + (1 - decay) * b).astype(b.dtype), average, new)


def evaluator(task: str) -> Any:
    """A function (networks, key) -> returns and lengths [EPISODES]."""
    env = envs.make(task)

    @jax.jit
    def run(networks: pwm.Networks, key: Any) -> tuple[Any, Any]:
        episodes = evaluate.evaluate(
            env, lambda obs: learner.act(networks, obs, None), key, EPISODES
        )
        return episodes.episode_return, episodes.length

    return run


def rows(config: Config, env_steps: int, seed: int, every: int) -> Any:
    """Yields a row for each evaluation."""
    env, run = envs.make(config.task), evaluator(config.task)
    algorithm = pwm.make(config.algo, env)
    iterate = jax.jit(algorithm.iterate, donate_argnums=0)
    state, iteration = algorithm.init(jax.random.key(seed)), 0
    copied = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))  # the state is donated
    averages: dict[float, Any] = {}
    while algorithm.env_steps(iteration) < env_steps:
        state, _ = iterate(state)
        iteration += 1
        now = (state.learner.actor, state.learner.model)
        for decay in DECAYS:
            early = min(decay, iteration / (iteration + 9))  # of few iterations a shorter average
            before = averages.get(decay)
            averages[decay] = copied(now) if before is None else averaged(before, now, early)
        if iteration % every == 0:
            networks = copied(learner.networks(state.learner))
            policies = {"weights": networks}
            for decay, (actor, model) in averages.items():
                policies[f"actor {decay}"] = networks._replace(actor=actor)
                policies[f"policy {decay}"] = networks._replace(actor=actor, model=model)
            row: dict[str, Any] = {"env_steps": algorithm.env_steps(iteration)}
            for name, policy in policies.items():
                returns, lengths = run(policy, jax.random.key(10**6 + iteration))
                early_ends = int((lengths < env.spec.episode_length).sum())
                row[name] = [
                    round(float(returns.mean()), 1),
                    round(float(returns.min()), 1),
                    early_ends,
                ]
            yield row


if __name__ == "__main__":
    options = parser.parse_args()
    config = presets.load_preset(Config, options.preset)
    lines = []
    for row in rows(config, options.env_steps, options.seed, options.every):
        lines.append(json.dumps(row))
        print(lines[-1], flush=True)
        options.json.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
