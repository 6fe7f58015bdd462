"""Playground's own environments: loaded, with their bodies downloaded where they have to be."""

import contextlib
import functools
import sys
from typing import Any

import jax

from mjxwm_envs import engines
from mjxwm_envs.engines.buffer_sizes import largest_sizes
from mjxwm_envs.packages import not_imported

IMPLS = {"mjx": "jax", "warp": "warp"}
"""What Playground calls our engines."""
_SIZED_FOR = 2048
"""Worlds that Playground's own contact buffers are made for, at least."""


@functools.cache
def load(env: Any) -> Any:
    """Playground's own environment of a `playground.PlaygroundEnv`, once for equal ones.

    Raises:
        ValueError: it cannot be made, mostly as its body cannot be downloaded.
    """
    config = configuration(env)
    suites = registry()
    with_robots = suites.locomotion.ALL_ENVS + suites.manipulation.ALL_ENVS
    if env.engine_name == "warp":
        engines.quiet_warp()
    try:
        if env.env_id in with_robots and (reason := not_downloaded()):
            raise ConnectionError(reason)
        # The first call may be inside a traced program: its tracers must not stay in the cache.
        with jax.ensure_compile_time_eval():
            loaded = suites.load(env.env_id, config=config)
            if env.engine_name == "warp":
                config = _with_buffers(config, loaded, env.num_worlds)
                loaded = suites.load(env.env_id, config=config)
    except Exception as error:  # a download by git that failed, or missing files
        raise ValueError(
            f"playground/{env.env_id} cannot be made ({type(error).__name__}: {error}). Bodies of "
            "its locomotion and manipulation come from mujoco_menagerie, which Playground clones "
            "from GitHub at first use: run it once with a network"
        ) from error
    return loaded


@functools.cache
def not_downloaded() -> str:
    """Why the robots of mujoco_menagerie are not here; empty if they are. It is tried once."""
    from mujoco_playground._src import mjx_env

    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
            mjx_env.ensure_menagerie_exists()
    except Exception as error:  # no git, or no network
        return f"{type(error).__name__}: {error}"
    return ""


def configuration(env: Any) -> Any:
    """Playground's configuration of a `playground.PlaygroundEnv`."""
    config = registry().get_default_config(env.env_id)
    config.update(dict(env.config))
    config.impl = IMPLS[env.engine_name]
    return config


def _with_buffers(config: Any, env: Any, num_worlds: int) -> Any:
    """`config` with buffers that are large enough for all contacts of `num_worlds` worlds."""
    impl = env.mjx_model._impl
    try:
        bound = largest_sizes(
            env.mj_model, impl.nxn_geom_pair_filtered, impl.nxn_pairid_filtered[:, 0]
        )
        contacts, rows = bound.contacts, bound.rows
    except ValueError:
        contacts, rows = -(-config.naconmax // _SIZED_FOR), config.njmax
    with config.unlocked():
        config.naconmax = max(1, contacts * num_worlds)
        config.njmax = max(1, rows)
    return config


def registry() -> Any:
    """Playground's registry.

    Raises:
        ValueError: playground is not installed.
    """
    try:
        from mujoco_playground import registry
    except ImportError as error:
        raise not_imported("mujoco_playground", "mjxwm[playground]", error) from error
    return registry
