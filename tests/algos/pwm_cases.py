"""A tiny PWM configuration that the tests share."""

import dataclasses

import jax
from jax.flatten_util import ravel_pytree

from mjxwm.algos import pwm
from mjxwm.models import actor_critic, world_model

# A capacity that nothing else has, so that the buffer is recognisable in a compiled program.
BLOCKS = 24_683
TINY = pwm.Config(
    env_steps=10 * 3 * 4,
    worlds=3,
    unroll=4,
    warmup=2,
    capacity=3 * 4 * BLOCKS,
    update_ratio=2.0,
    batch=4,
    horizon=3,
    imagine_batch=5,
    imagine_horizon=3,
    critic_steps=2,
    gamma=0.9,
    model=world_model.Config(latent=8, simnorm_group=4, encoder=(6,), hidden=(7,)),
    policy=actor_critic.Config(actor=(6,), critic=(6,), critics=2),
)


def tweak(**changes) -> pwm.Config:
    return dataclasses.replace(TINY, **changes)


def noisy(tree, key):
    """Weights of size 0.5: no zeros, nothing so small that a gradient through it is noise."""
    flat, unravel = ravel_pytree(tree)
    return unravel(flat + 0.5 * jax.random.normal(key, flat.shape))
