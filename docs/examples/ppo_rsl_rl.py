"""PPO of rsl_rl 5 on mjxwm's worlds: its own runner, log and checkpoints.

pip install rsl-rl-lib
python docs/examples/ppo_rsl_rl.py
"""

import mjxwm_envs as envs
import torch
from rsl_rl.runners import OnPolicyRunner  # pyright: ignore[reportMissingImports]

NETWORK = {"class_name": "MLPModel", "hidden_dims": [64, 64], "obs_normalization": True}
NOISE = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}
CONFIG = {
    "num_steps_per_env": 24,
    "save_interval": 100,
    "seed": 0,
    "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
    "actor": {**NETWORK, "activation": "elu", "distribution_cfg": NOISE},
    "critic": {**NETWORK, "activation": "elu"},
    "algorithm": {
        "class_name": "PPO",
        "num_learning_epochs": 5,
        "num_mini_batches": 4,
        "gamma": 0.99,
        "lam": 0.95,
        "learning_rate": 1e-3,
        "schedule": "adaptive",
        "desired_kl": 0.01,
        "entropy_coef": 0.01,
        "clip_param": 0.2,
        "value_loss_coef": 1.0,
        "use_clipped_value_loss": True,
        "max_grad_norm": 1.0,
    },
}
"""rsl_rl's fields and names."""


if __name__ == "__main__":
    torch.set_num_threads(1)  # for networks this small more threads wait for one another
    worlds = envs.to_rsl_rl("cartpole-swingup", 64, action_repeat=4)
    runner = OnPolicyRunner(worlds, CONFIG, log_dir="runs/rsl-rl", device=str(worlds.device))
    runner.learn(300, init_at_random_ep_len=True)
