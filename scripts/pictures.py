"""Pictures of tasks for docs/tasks.md: each in its start pose.

python scripts/pictures.py [TASK ...]
"""

import sys
from pathlib import Path

from mjxwm import system

system.choose_rendering()

import jax  # noqa: E402
import numpy as np  # noqa: E402

import envs  # noqa: E402
from mjxwm import view  # noqa: E402

for name in sys.argv[1:] or ("hopper", "ant", "anymal", "humanoid", "muscle-humanoid"):
    env = envs.make(name, engine="native")
    qpos = np.asarray(env.reset(jax.random.key(0)).sim.physics.qpos)
    folder = Path(__file__).parents[1] / "docs" / "images"
    folder.mkdir(exist_ok=True)
    print(view.picture(env.engine.model, qpos, folder / f"{name}.png"))
