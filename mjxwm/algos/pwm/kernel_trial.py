"""Kernels of Pallas against the plain form, on the device that is to learn with them."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mjxwm.algos.pwm.config import Config
from mjxwm.algos.pwm.updates import actor_loss
from mjxwm.maths import platform
from mjxwm.models import actor_critic, world_model
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.nets import Compute, computing_in
from mjxwm.models.world_model import WorldModel
from mjxwm.types import Sizes

_TOLERANCE = 0.05
"""Largest difference, in units of an array's largest number: bfloat16 keeps some 0.4 %, and sums
over layers and steps add up what it leaves out."""
_TURNS = 3
"""Runs of the kernels: threads that do not wait for one another go wrong now and then."""
_MULTIPLE = 16
"""Rows that a block of a kernel takes at least."""
_OPTIONS: dict[str, Any] = {"xla_gpu_autotune_level": 0}
"""Each form runs a few times: XLA need not try out which tilings of its products are fastest."""


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
    inputs = _inputs(config, sizes, seeds)

    def gradients(*inputs: Any) -> Any:
        return _gradients(config, *inputs)

    function = jax.jit(gradients if seeds == 1 else jax.vmap(gradients))
    try:
        with platform.compiling_for("cpu"):  # which has no kernels of Pallas, wherever it runs
            plain = function.lower(*inputs)
        fast = function.lower(*inputs)
        with ThreadPoolExecutor() as both:
            plain, fast = both.map(_compiled, (plain, fast))
        right = jax.block_until_ready(plain(*inputs))
        results = [difference(right, jax.block_until_ready(fast(*inputs))) for _ in range(_TURNS)]
    except Exception as error:  # of a compiler or a driver: of any kind
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return next(filter(None, results), "")


def _compiled(form: jax.stages.Lowered) -> jax.stages.Compiled:
    try:
        return form.compile(compiler_options=_OPTIONS)
    except jax.errors.JaxRuntimeError:  # for some small products XLA has a tiling only by trying
        return form.compile()


def _inputs(config: Config, sizes: Sizes, seeds: int) -> tuple[Any, Any, Any]:
    """Networks of which no weight is 0, windows of random steps, and noise for the policy.

    Drawn on the host: a GPU's program that draws them takes longer to compile than the gradients.
    """
    rng, latent, actions = np.random.default_rng(0), config.model.latent, sizes.action_size
    several = (seeds,) if seeds > 1 else ()

    def normal(*shape: int) -> Any:
        return rng.standard_normal((*several, *shape), np.float32)

    def networks() -> Any:
        keys = jax.random.split(jax.random.key(0), 3)
        return (
            WorldModel.create(config.model, sizes.obs_size, actions, key=keys[0]),
            Actor.create(config.policy, latent, actions, key=keys[1]),
            actor_critic.make_critics(config.policy, latent, key=keys[2]),
        )

    def weights(path: Any, leaf: Any) -> Any:
        mean = 1.0 if jax.tree_util.keystr(path[-1:]) == ".scale" else 0.0  # of a normalisation
        return np.asarray(mean + 0.1 * normal(*leaf.shape), leaf.dtype)

    steps, number = config.horizon, config.batch
    ones: Any = np.ones((*several, steps, number), np.float32)
    windows = world_model.Batch(
        obs=normal(steps + 1, number, sizes.obs_size),
        action=np.tanh(normal(steps, number, actions)),
        reward=ones,
        terminated=np.zeros_like(ones),
        mask=ones,
        next_mask=ones,
    )
    drawn = jax.tree_util.tree_map_with_path(weights, jax.eval_shape(networks))
    return drawn, windows, normal(config.imagine_horizon, config.imagine_batch, actions)


def _in_order(critics: Critic) -> Critic:
    """Critics with values so far apart that the lowest is always the same one.

    The actor ascends the lowest value: where two are nearly equal, rounding decides whose gradient
    that is, and two right forms differ by as much as the critics do.
    """
    *layers, last = critics.net.layers
    bias = last.bias + 10 * jnp.arange(len(last.bias), dtype=last.bias.dtype)[:, None]
    last = dataclasses.replace(last, bias=bias)
    return Critic(net=dataclasses.replace(critics.net, layers=(*layers, last)))


def _gradients(
    config: Config,
    networks: Any,
    windows: world_model.Batch,
    noise: Array,
    dtype: Compute = "bfloat16",
) -> Any:
    """The gradients of the three updates, and the latents and rewards that they come from."""
    model, actor, critics = networks
    cast = computing_in(dtype, networks)

    def of_model(model: WorldModel) -> tuple[Array, Any]:
        return world_model.loss(computing_in(dtype, model), config.model, windows)

    def of_actor(actor: Actor, noise: Array) -> tuple[Array, Any]:
        z = cast[0].encode(jnp.resize(windows.obs, (config.imagine_batch, windows.obs.shape[-1])))
        actor = computing_in(dtype, actor)
        loss, (imagined, _) = actor_loss(config, actor, cast[0], _in_order(cast[2]), z, noise)
        return loss, imagined

    def of_critics(critics: Critic, z: Array) -> Array:
        values = actor_critic.values_of_each(computing_in(dtype, critics), z)
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
