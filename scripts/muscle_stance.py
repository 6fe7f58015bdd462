"""How well the stance of the 152 muscles can be held: the table of docs/results, 152 muscles.

    python scripts/muscle_stance.py --json docs/results/muscle-stance.json

The body of `muscle-humanoid-walk` in C MuJoCo, without learning. With the stance's activations and
no feedback, with and without the muscles' short-range stiffness; and, without it, under a
linear-quadratic regulator of all activations, made of finite differences of a control step. Actions
get noise as a policy's do: a = tanh(u + std x noise), new in every step or correlated in time.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.muscle_walk import TASKS
from numpy.typing import NDArray

SUBSTEPS = 4
STEPS = 600  # control steps of 1/60 s
EPISODES = 10
ACTIVATION = 1.0  # weight of a squared change of activation
STATE = {"angle": 1.0, "upright": 10.0, "velocity": 0.05, "activation": 1e-6}
COLUMNS = ((1, 0.0), (1, 0.1), (1, 0.2), (1, 0.5), (2, 0.0), (2, 0.1), (2, 0.2), (2, 0.5))


class Body:
    """One world near the stance; `repeat` control steps per action."""

    def __init__(self, task: str, repeat: int, stiff: bool = False) -> None:
        """`task` is one of `TASKS`; `stiff` with the short-range stiffness that it has."""
        walk = TASKS[task]()
        walk = walk if stiff else dataclasses.replace(walk, stiffness=0.0)
        self.model, self.reach = load_model(walk), walk.reach
        self.data = mujoco.MjData(self.model)
        self.repeat = repeat
        self.stance = self.model.key_qpos[0].copy()
        self.held = self.model.key_ctrl[0].copy()
        self.nx = 2 * self.model.nv + self.model.na

    def state(self) -> NDArray:
        """Difference from the stance: positions, velocities, activations."""
        moved = np.zeros(self.model.nv)
        mujoco.mj_differentiatePos(self.model, moved, 1, self.stance, self.data.qpos)
        return np.concatenate([moved, self.data.qvel, self.data.act - self.held[: self.model.na]])

    def place(self, x: NDArray) -> None:
        """Sets the state to the stance + x."""
        nv = self.model.nv
        mujoco.mj_resetDataKeyframe(self.model, self.data, 0)
        mujoco.mj_integratePos(self.model, self.data.qpos, x[:nv], 1)
        self.data.qvel[:] = x[nv : 2 * nv]
        self.data.act[:] += x[2 * nv :]

    def step(self, ctrl: NDArray) -> NDArray:
        """One action; the state after it."""
        self.data.ctrl[:] = ctrl
        mujoco.mj_step(self.model, self.data, nstep=SUBSTEPS * self.repeat)
        return self.state()

    def fallen(self) -> bool:
        """As `MuscleWalk.terminated` says."""
        _, x, y, _ = self.data.qpos[3:7]
        return bool(self.data.qpos[2] < 0.7 or 1 - 2 * (x * x + y * y) < 0.7)


def regulator(body: Body) -> NDArray:
    """Gains K of the regulator: activations = the stance's - K x."""
    a = np.zeros((body.nx, body.nx))
    b = np.zeros((body.nx, body.model.nu))
    for i in range(body.nx):
        a[:, i] = _slope(body, i, 1e-5, lambda e: (e, body.held))
    zero = np.zeros(body.nx)
    for i in range(body.model.nu):
        b[:, i] = _slope(body, i, 1e-4, lambda e: (zero, body.held + e), body.model.nu)
    nv = body.model.nv
    weights = np.full(nv, STATE["angle"])
    weights[2:5] = STATE["upright"]
    q = np.concatenate([weights, np.full(nv, STATE["velocity"])])
    q = np.diag(np.concatenate([q, np.full(body.model.na, STATE["activation"])]))
    spread, cost, through = b @ b.T / ACTIVATION, q.copy(), q
    for _ in range(500):
        through = np.linalg.solve(np.eye(body.nx) + cost @ spread, cost @ a)
        cost = q + a.T @ through
        cost = (cost + cost.T) / 2
    return b.T @ through / ACTIVATION


def _slope(
    body: Body,
    i: int,
    size: float,
    at: Callable[[NDArray], tuple[NDArray, NDArray]],
    among: int | None = None,
) -> NDArray:
    ends = []
    for sign in (1, -1):
        x, ctrl = at(sign * size * np.eye(among or body.nx)[i])
        body.place(x)
        ends.append(body.step(ctrl))
    return (ends[0] - ends[1]) / (2 * size)


def episode(
    body: Body, gains: NDArray, std: float, correlation: float, rng: np.random.Generator
) -> int:
    """Control steps until a fall, at most `STEPS`."""
    x = np.zeros(body.nx)
    x[6 : body.model.nv] = rng.uniform(-0.02, 0.02, body.model.nv - 6)  # as the task's starts
    x[body.model.nv : 2 * body.model.nv] = rng.uniform(-0.025, 0.025, body.model.nv)
    body.place(x)
    noise = rng.normal(size=body.model.nu)
    for t in range(0, STEPS, body.repeat):
        action = np.clip(-gains @ body.state() / body.reach, -0.99, 0.99)
        action = np.tanh(np.arctanh(action) + std * noise)
        body.step(np.clip(body.held + body.reach * action, 0, 1))
        if body.fallen():
            return t
        fresh = rng.normal(size=body.model.nu)
        noise = correlation * noise + np.sqrt(1 - correlation**2) * fresh
    return STEPS


def measure(task: str) -> dict[str, Any]:
    """All rows of one body."""
    row: dict[str, Any] = {"task": task}
    rng = np.random.default_rng(0)

    def add(name: str, repeat: int, gain: float, std: float, correlation: float = 0.0) -> None:
        setting = bodies[repeat], gain * gains[repeat], std, correlation
        row[name] = sorted(episode(*setting, rng) for _ in range(EPISODES))
        print(task, name, row[name], flush=True)

    bodies = {repeat: Body(task, repeat) for repeat in (1, 2)}
    gains = {repeat: regulator(body) for repeat, body in bodies.items()}
    add("no feedback", 1, 0.0, 0.0)
    bodies[0], gains[0] = Body(task, 1, stiff=True), gains[1]
    for std in (0.0, 0.2, 0.5):
        add(f"no feedback, stiff muscles, std {std}", 0, 0.0, std)
    for repeat, std in COLUMNS:
        add(f"regulator, {60 // repeat} Hz, std {std}", repeat, 1.0, std)
    for correlation in (0.5, 0.9, 0.97):
        add(f"regulator, 30 Hz, std 0.1, correlation {correlation}", 2, 1.0, 0.1, correlation)
    return row


def main() -> None:
    """Measures all bodies and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(task) for task in TASKS]
    path = options.json
    if path:
        lines = ",\n".join(json.dumps(row) for row in rows)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
