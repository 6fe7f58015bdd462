"""Writes a run's policy in a format of others, and compares it with the run's own before."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.interop.export import about, chains, numpy_format, onnx_format, torch_format
from mjxwm.interop.export.layers import Chain, finite, parameters
from mjxwm.runs import build, policies

SAME = 1e-5
"""Largest difference between actions that are the same but for rounding."""
_OTHER = 1e-3
"""A larger one is no rounding."""
_OBSERVATIONS = 256


class Format(NamedTuple):
    """A kind of file."""

    suffix: str
    packages: tuple[str, ...]
    """What writes and runs it."""
    extra: str
    """The extra of this project that installs them."""
    write: Callable[[Path, Chain, dict[str, Any]], None]
    """(file, policy, what is to be known of it) -> the file."""
    act: Callable[[Path, np.ndarray], np.ndarray]
    """(file, observations [B, o]) -> actions [B, a]."""


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxruntime"), "onnx", onnx_format.write, onnx_format.act),
    "numpy": Format(".npz", (), "", numpy_format.write, numpy_format.act),
    "torch": Format(".pt2", ("torch",), "torch", torch_format.write, torch_format.act),
}
"""Formats by name."""


class Exported(NamedTuple):
    """A policy that was written."""

    file: Path
    about: dict[str, Any]
    """What is to be known of it, as the file says."""
    parameters: int
    difference: float
    """Largest difference between its actions, read back from the file, and the run's own."""


def export(run: Path, to: str, out: Path | None = None, best: bool = False) -> Exported:
    """Writes the policy of a run.

    Args:
        run: the run's folder, or a copy of its folder `policy`.
        to: one of `FORMATS`.
        out: the file; by default `policy` with the format's suffix in the folder.
        best: whether the policy of the best evaluation is meant, not the last.

    Raises:
        ConfigError: the format is unknown or its packages are missing, the file exists or cannot
            be written, or the folder has no policy that can be exported.
    """
    form = _format(to)
    file = run / f"policy{form.suffix}" if out is None else out
    if file.suffix != form.suffix:
        raise ConfigError(f"--out {file}: the suffix of a file of {to} is {form.suffix}")
    policy = policies.of_run(run, best)
    if file.exists() or file.is_symlink():
        raise ConfigError(f"{file} exists and is never overwritten; give another file with --out")
    chain = _chain(run, policy)
    env = build.make_env(build.on_engine(policy.config, "auto"))
    policies.check_sizes(policy, env.spec)
    facts = about.of_task(policy.config, env) | about.of_training(run, best, policy)
    obs = _observations(chain, policy.sizes.obs_size)
    with jax.default_matmul_precision("highest"):  # a GPU would round the inputs of products
        actions = np.asarray(jax.jit(policy.agent.act)(policy.arrays, obs))
    return Exported(file, facts, parameters(chain), _write(form, file, chain, facts, obs, actions))


def _format(name: str) -> Format:
    names = f"There are: {', '.join(FORMATS)}"
    if not name:
        raise ConfigError(f"export needs a format: --to NAME. {names}")
    if name not in FORMATS:
        raise ConfigError(f"format {name!r} is unknown{nearest(name, FORMATS)}. {names}")
    form = FORMATS[name]
    missing = [each for each in form.packages if importlib.util.find_spec(each) is None]
    if missing:
        raise ConfigError(
            f"--to {name} needs {' and '.join(form.packages)}; {missing[0]} is not installed: "
            f"pip install 'mjxwm[{form.extra}]'"
        )
    return form


def _chain(run: Path, policy: policies.Policy) -> Chain:
    if policy.iteration == 0:
        raise ConfigError(f"{run} has learned nothing yet: its policy is of iteration 0")
    chain = chains.of(policy.config.algo, policy.sizes, policy.arrays)
    if not finite(chain):
        raise ConfigError(
            f"the policy of {run} has numbers that are not finite: its training diverged"
        )
    return chain


def _observations(chain: Chain, size: int) -> np.ndarray:
    """Observations [B, o] as they were in training, and 0."""
    rng = np.random.default_rng(0)
    obs = rng.standard_normal((_OBSERVATIONS, size)).astype(np.float32)
    if chain[0].op == "normalize":
        obs = obs * chain[0].arrays["std"] + chain[0].arrays["mean"]
    return np.concatenate([obs, np.zeros((1, size), np.float32)])


def _write(
    form: Format,
    file: Path,
    chain: Chain,
    facts: dict[str, Any],
    obs: np.ndarray,
    actions: np.ndarray,
) -> float:
    """Writes the file, once actions by it are those of the run; returns how much they differ."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}.partial{form.suffix}")
    try:
        form.write(partial, chain, facts)
        difference = float(np.abs(form.act(partial, obs) - actions).max())
        if not difference < _OTHER:
            raise RuntimeError(f"actions by the file differ by {difference:.1e} from the run's own")
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return difference
