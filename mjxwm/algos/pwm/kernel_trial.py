"""Kernels of Pallas against the plain form, on the device that is to learn with them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.algos.pwm.config import Config
from mjxwm.maths import platform
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Sampling
from mjxwm.models.nets import computing_in
from mjxwm.models.world_model import WorldModel, imagine
from mjxwm.types import Sizes

_STEPS = 2
"""Imagined steps: enough for a gradient from one step to the one before."""
_TOLERANCE = 0.05
"""Largest difference, in units of an array's largest number: bfloat16 keeps some 0.4 %, and sums
over layers and steps add up what it leaves out."""


def trial(config: Config, sizes: Sizes) -> str:
    """Why kernels of Pallas are not to be used on this device; empty if they do, or serve nowhere.

    Values and gradients of imagined rollouts, with networks of the run's sizes, are computed with
    the kernels and layer by layer. A compiler that refuses them, or other numbers, are a reason:
    drivers, compilers and GPUs differ, and a wrong kernel would learn something wrong in silence.
    """
    if "bfloat16" not in (config.compute, config.act_in) or not platform.takes_pallas():
        return ""
    inputs = _inputs(config, sizes, jax.random.key(0))

    def run(*inputs: Any) -> Any:
        return jax.jit(jax.grad(_earned, 1, has_aux=True), static_argnums=0)(config, *inputs)

    with platform.compiling_for("cpu"):  # which has no kernels of Pallas, wherever it runs
        plain = run(*inputs)
    try:
        fast = jax.block_until_ready(run(*inputs))
    except Exception as error:  # of a compiler or a driver: of any kind
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return difference(plain, fast)


def _inputs(config: Config, sizes: Sizes, key: PRNGKeyArray) -> tuple[Any, Array, Array]:
    """Networks of which no weight is 0, observations and noise."""
    keys = jax.random.split(key, 6)
    latent, actions = config.model.latent, sizes.action_size
    networks = (
        WorldModel.create(config.model, sizes.obs_size, actions, key=keys[0]),
        Actor.create(config.policy, latent, actions, key=keys[1]),
        actor_critic.make_critics(config.policy, latent, key=keys[2]),
    )
    leaves, structure = jax.tree.flatten(networks)
    draws = jax.random.split(keys[3], len(leaves))
    noisy = [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, draws, strict=True)]
    obs = jax.random.normal(keys[4], (config.imagine_batch, sizes.obs_size))
    noise = jax.random.normal(keys[5], (_STEPS, config.imagine_batch, actions))
    return jax.tree.unflatten(structure, noisy), obs, noise


def _earned(
    config: Config, networks: Any, obs: Float[Array, "N o"], noise: Float[Array, "H N a"]
) -> tuple[Array, Any]:
    model, actor, critic = computing_in("bfloat16", networks)
    policy = Sampling(actor=actor, detach=config.detach)
    imagined = imagine(model, policy, model.encode(obs), noise)
    value = actor_critic.value(critic, imagined.z)
    total = imagined.reward.mean() + value.mean() + (imagined.z**2).sum(-1).mean()
    return total, (imagined.z, imagined.reward, value)


def difference(plain: Any, fast: Any) -> str:
    """Where the results of two forms differ by more than rounding; empty if they do nowhere."""
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(plain), jax.tree.leaves(fast), strict=True
    ):
        largest = float(jnp.abs(a).max(initial=0.0))
        apart = float(jnp.abs(a.astype(jnp.float32) - b).max(initial=0.0))
        # Written so that a difference that is not a number is one, too.
        if not apart <= _TOLERANCE * largest + 1e-6:
            name = jax.tree_util.keystr(path)
            return f"{name} differs by {apart:.3g} from the plain form's, at most {largest:.3g}"
    return ""
