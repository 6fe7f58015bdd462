"""PPO and SAC at sizes that learn a probe within seconds."""

from mjxwm.algos.baselines import PPO, SAC

GAMMA = 0.8
SMALL_PPO = PPO(
    env_steps=40 * 16 * 24,
    worlds=16,
    unroll=6,
    batch=16,
    minibatches=4,
    epochs=4,
    gamma=GAMMA,
    lr=5e-3,
    entropy=0.0,
    reward_scaling=1.0,
    policy_layers=(16,),
    value_layers=(32,),
)
SMALL_SAC = SAC(
    env_steps=4096,
    worlds=16,
    unroll=8,
    updates_per_round=4,
    warmup=256,
    batch=64,
    gamma=GAMMA,
    tau=0.05,
    lr=1e-2,
    reward_scaling=20.0,
    layers=(32,),
    layer_norm=False,
)
