"""What tests of SHAC share."""

import dataclasses

import jax.numpy as jnp

from mjxwm.algos import shac
from mjxwm.models import actor_critic

GAMMA = 0.8
NETS = actor_critic.Config(actor=(16,), critic=(16,), critics=1, init_std=0.2, min_std=0.05)
TINY = shac.Config(
    env_steps=3 * 4 * 5, worlds=3, unroll=4, gamma=GAMMA, critic_batches=2, policy=NETS
)


def tweak(**changes) -> shac.Config:
    return dataclasses.replace(TINY, **changes)


def column(*values):
    return jnp.array(values, float)[:, None]
