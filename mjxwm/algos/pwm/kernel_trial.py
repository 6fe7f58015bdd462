"""Kernels of Pallas against the plain form, on the device that is to learn with them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from mjxwm.algos.pwm.config import Config
from mjxwm.algos.pwm.updates import actor_loss
from mjxwm.maths import platform
from mjxwm.models import actor_critic, world_model
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.nets import computing_in
from mjxwm.models.world_model import WorldModel
from mjxwm.types import Sizes

_TOLERANCE = 0.05
"""Largest difference, in units of an array's largest number: bfloat16 keeps some 0.4 %, and sums
over layers and steps add up what it leaves out."""
_TURNS = 3
"""Runs of the kernels: threads that do not wait for one another go wrong now and then."""
_MULTIPLE = 16
"""Rows that a block of a kernel takes at least."""


def trial(config: Config, sizes: Sizes, seeds: int = 1) -> str:
    """Why kernels of Pallas are not to be used on this device; empty if they do, or serve nowhere.

    The gradients of all three updates (the model's loss on windows, the actor's on imagined
    rollouts, the critics' on imagined latents) are computed at the run's sizes with the kernels
    and layer by layer. A compiler that refuses them, too little memory, or other numbers are a
    reason: drivers, compilers and GPUs differ, and a wrong kernel would learn something wrong in
    silence.

    Args:
        config: of the run.
        sizes: of the task.
        seeds: how many learners are in one program.
    """
    if "bfloat16" not in (config.compute, config.act_in) or not platform.takes_pallas():
        return ""
    odd = [name for name in ("batch", "imagine_batch") if getattr(config, name) % _MULTIPLE]
    if odd and config.compute == "bfloat16":
        sized = ", ".join(f"{name}={getattr(config, name)}" for name in odd)
        return f"{sized} is no multiple of {_MULTIPLE}, the rows of a block"
    key = jax.random.key(0)
    several = seeds > 1
    keys = jax.random.split(key, seeds) if several else key

    def gradients(key: PRNGKeyArray) -> Any:
        return _gradients(config, *_inputs(config, sizes, key))

    # One function: each form is traced and compiled once, at its first call.
    function = jax.jit(jax.vmap(gradients) if several else gradients)

    def run() -> Any:
        return jax.block_until_ready(function(keys))

    try:
        with platform.compiling_for("cpu"):  # which has no kernels of Pallas, wherever it runs
            plain = run()
        results = [difference(plain, run()) for _ in range(_TURNS)]
    except Exception as error:  # of a compiler or a driver: of any kind
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return next(filter(None, results), "")


def _inputs(config: Config, sizes: Sizes, key: PRNGKeyArray) -> tuple[Any, Any, Array]:
    """Networks of which no weight is 0, windows of random steps, and noise for the policy."""
    keys = jax.random.split(key, 7)
    latent, actions = config.model.latent, sizes.action_size
    networks = (
        WorldModel.create(config.model, sizes.obs_size, actions, key=keys[0]),
        Actor.create(config.policy, latent, actions, key=keys[1]),
        actor_critic.make_critics(config.policy, latent, key=keys[2]),
    )
    leaves, structure = jax.tree.flatten(networks)
    draws = jax.random.split(keys[3], len(leaves))
    noisy = [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, draws, strict=True)]
    steps, number = config.horizon, config.batch
    ones = jnp.ones((steps, number))
    windows = world_model.Batch(
        obs=jax.random.normal(keys[4], (steps + 1, number, sizes.obs_size)),
        action=jax.random.uniform(keys[5], (steps, number, actions), minval=-1.0),
        reward=ones,
        terminated=jnp.zeros_like(ones),
        mask=ones,
        next_mask=ones,
    )
    shape = (config.imagine_horizon, config.imagine_batch, actions)
    return jax.tree.unflatten(structure, noisy), windows, jax.random.normal(keys[6], shape)


def _gradients(config: Config, networks: Any, windows: world_model.Batch, noise: Array) -> Any:
    """The gradients of the three updates, and the latents and rewards that they come from."""
    model, actor, critics = networks
    cast = computing_in("bfloat16", networks)

    def of_model(model: WorldModel) -> tuple[Array, Any]:
        return world_model.loss(computing_in("bfloat16", model), config.model, windows)

    def of_actor(actor: Actor, noise: Array) -> tuple[Array, Any]:
        z = cast[0].encode(jnp.resize(windows.obs, (config.imagine_batch, windows.obs.shape[-1])))
        actor = computing_in("bfloat16", actor)
        loss, (imagined, _) = actor_loss(config, actor, cast[0], cast[2], z, noise)
        return loss, imagined

    def of_critics(critics: Critic, z: Array) -> Array:
        values = actor_critic.values_of_each(computing_in("bfloat16", critics), z)
        return ((values - 1.0) ** 2).mean()

    model_gradient, (_, z) = jax.grad(of_model, has_aux=True)(model)
    gradients, imagined = jax.grad(of_actor, (0, 1), has_aux=True)(actor, noise)
    inputs = actor_critic.for_each(cast[2], imagined.z[:-1])
    critics_gradient = jax.grad(of_critics)(critics, inputs)
    return {
        "model": model_gradient,
        "latents": z,
        "actor": gradients[0].mean_net,
        # That of the std is a sum over these, in which most of them cancel.
        "noise": gradients[1],
        "imagined": (imagined.z, imagined.reward, imagined.going_on),
        "critics": critics_gradient,
    }


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
