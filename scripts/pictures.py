"""Pictures of tasks for docs/tasks.md: each in its start pose.

python scripts/pictures.py [TASK ...]
"""

import sys
from pathlib import Path

import jax
import mjxwm_envs as envs
import numpy as np
from mjxwm_envs import rendering

from mjxwm.reports import video

for name in sys.argv[1:] or ("hopper", "ant", "anymal", "humanoid", "muscle-humanoid"):
    env = envs.make(name, engine="native")
    sim = env.reset(jax.random.key(0)).sim
    scene = rendering.scene_of(env, sim.fields, sim.physics.goal)
    folder = Path(__file__).parents[1] / "docs" / "images"
    folder.mkdir(exist_ok=True)
    print(video.picture(scene, np.asarray(sim.physics.qpos), folder / f"{name}.png"))
