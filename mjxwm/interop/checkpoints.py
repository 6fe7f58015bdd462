"""TD-MPC2's state dicts, and those of PWM's multi-task models, as our networks.

Several layouts are in use, see `layouts`; PWM's files are of the released one. All sizes are read
from the shapes.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.algos.tdmpc2 import config as tdmpc2_config
from mjxwm.algos.tdmpc2.networks import Networks, init
from mjxwm.interop import layouts
from mjxwm.interop.files import load
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import WorldModel

_PLACES = {
    ("layers", "kernel"): "weight",
    ("layers", "bias"): "bias",
    ("norms", "scale"): "ln.weight",
    ("norms", "bias"): "ln.bias",
}


class Imported(NamedTuple):
    """What a checkpoint holds."""

    config: tdmpc2_config.NetworkConfig
    networks: Networks
    target: MLP
    obs_size: int
    action_size: int
    tasks: int
    action_masks: np.ndarray | None = None
    """[tasks, a]: which actions each task has, where the file says it."""


def read_checkpoint(path: Path, tasks: int | None = None) -> Imported:
    """Reads a checkpoint of TD-MPC2's.

    Args:
        path: the file.
        tasks: how many tasks it must be of; any number by default.

    Raises:
        ValueError: it is not one, or not of so many tasks; the message says what was found.
    """
    layers, others = layouts.read(path, load(path))
    _check_norms(path, layers)
    embedding = others.get(layouts.EMBEDDING)
    config, obs_size, action_size = _sizes(path, layers, embedding)
    count = 1 if embedding is None else len(embedding)
    if tasks is not None and count != tasks:
        raise ValueError(f"{path}: a model of {count} tasks; {tasks} were expected")
    masks = others.get("_action_masks")
    _check_others(path, others, (count, action_size))
    try:
        abstract = jax.eval_shape(
            lambda key: init(config, obs_size, action_size, count, key=key), jax.random.key(0)
        )
    except ValueError as error:  # sizes that no model has
        raise ValueError(f"{path}: {error}") from error

    def part(name: str, net: MLP, otherwise: str = "") -> MLP:
        return _filled(path, name, net, layers.get(name) or layers[otherwise])

    ends = abstract.model.continue_head
    model = WorldModel(
        encoder=part("_encoder", abstract.model.encoder),
        dynamics=part("_dynamics", abstract.model.dynamics),
        reward_head=part("_reward", abstract.model.reward_head),
        continue_head=None if ends is None else _going_on(part("_termination", ends)),
    )
    rows = np.zeros((1, 0), np.float32) if embedding is None else embedding
    networks = Networks(
        model, part("_Qs", abstract.q), part("_pi", abstract.policy), jnp.asarray(rows)
    )
    target = part("_target_Qs", abstract.q, "_Qs")
    return Imported(config, networks, target, obs_size, action_size, count, masks)


_Layers = dict[str, list[layouts.Layer]]


def _check_norms(path: Path, layers: _Layers) -> None:
    """Refuses networks that are normalised at other places than TD-MPC2's are."""
    for part, net in layers.items():
        normed = len(net) if part in ("_encoder", "_dynamics") else len(net) - 1
        for number, layer in enumerate(net):
            if ("ln.weight" in layer) != (number < normed):
                some = "a" if "ln.weight" in layer else "no"
                where = "each layer" if normed == len(net) else "each layer but the last"
                raise ValueError(
                    f"{path}: {layer['weight'].name} is followed by {some} LayerNorm; in TD-MPC2's "
                    f"{part} {where} is followed by one"
                )


def _check_others(path: Path, others: dict[str, np.ndarray], sizes: tuple[int, int]) -> None:
    """Refuses what the file says besides its networks and what would be otherwise here."""
    for name, expected in (("log_std_min", -10.0), ("log_std_dif", 12.0)):
        value = others.get(name)
        if value is not None and not np.allclose(value, expected):
            raise ValueError(f"{path}: {name} is {float(value):g}; here it is {expected:g}")
    masks = others.get("_action_masks")
    if masks is not None and masks.shape != sizes:
        raise ValueError(
            f"{path}: _action_masks has the shape {masks.shape}; {sizes} was expected, of tasks "
            "and actions"
        )


def _sizes(
    path: Path, layers: _Layers, embedding: np.ndarray | None
) -> tuple[tdmpc2_config.NetworkConfig, int, int]:
    """Settings, observation size and action size."""

    def out(part: str) -> list[int]:
        return [layer["weight"].array.shape[-2] for layer in layers[part]]

    def into(part: str) -> int:
        return layers[part][0]["weight"].array.shape[-1]

    task_size = 0 if embedding is None else embedding.shape[1]
    *encoder, latent = out("_encoder")
    *hidden, bins = out("_reward")
    *q_hidden, _ = out("_Qs")
    action_size, odd = divmod(out("_pi")[-1], 2)
    if odd:
        raise ValueError(f"{path}: _pi gives {out('_pi')[-1]} numbers: no means and deviations")
    if bins < 2:
        raise ValueError(f"{path}: _reward gives {bins} number: a regression, where bins are read")
    rest = into("_dynamics") - latent - action_size
    if rest != task_size:
        embedded = f"of {task_size}" if task_size else "missing"
        raise ValueError(
            f"{path}: _dynamics takes {into('_dynamics')} numbers, of which {latent} latent and "
            f"{action_size} action leave {rest} for a task's embedding; _task_emb is {embedded}"
        )
    obs_size = into("_encoder") - task_size
    num_q = layers["_Qs"][0]["weight"].array.shape[0]
    plain = tdmpc2_config.NetworkConfig()
    model = dataclasses.replace(
        plain.model,
        latent=latent,
        encoder=tuple(encoder),
        hidden=tuple(hidden),
        num_bins=bins,
        continuation=1.0 if "_termination" in layers else 0.0,
        ends=tuple(out("_termination")[:-1]) if "_termination" in layers else None,
    )
    config = dataclasses.replace(
        plain, model=model, q_hidden=tuple(q_hidden), num_q=num_q, task_size=task_size
    )
    return config, obs_size, action_size


def _going_on(ending: MLP) -> MLP:
    """The head of the opposite: its logit negated, less the 4 that ours adds (`continue_logit`)."""
    *layers, last = ending.layers
    turned = dataclasses.replace(last, kernel=-last.kernel, bias=-last.bias - 4.0)
    return dataclasses.replace(ending, layers=(*layers, turned))


def _filled(path: Path, name: str, net: MLP, layers: list[layouts.Layer]) -> MLP:
    """The part `net`, of which only shapes are known, with the file's arrays."""

    def value(place: Any, expected: jax.ShapeDtypeStruct) -> jax.Array:
        group, parameter = place[0].name, place[2].name
        number: int = place[1].idx
        field = _PLACES[group, parameter]
        if number >= len(layers):
            raise ValueError(
                f"{path}: {name} has {len(layers)} layers; more were expected beside the other "
                "parts of this file"
            )
        tensor = layers[number][field]
        array = np.swapaxes(tensor.array, -1, -2) if field == "weight" else tensor.array
        if array.shape != expected.shape:
            raise ValueError(
                f"{path}: {tensor.name} has the shape {array.shape}; {expected.shape} was expected "
                "beside the other parts of this file"
            )
        return jnp.asarray(array)

    if len(layers) > len(net.layers):
        raise ValueError(
            f"{path}: {name} has {len(layers)} layers; {len(net.layers)} were expected beside the "
            "other parts of this file"
        )
    return jax.tree_util.tree_map_with_path(value, net)
