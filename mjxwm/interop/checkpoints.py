"""TD-MPC2's state dicts, and those of PWM's multi-task models, as our networks.

Two layouts are in use. In the released files the Qs' tensors are numbered, `_Qs.params.7`; files
since January 2025 name them, `_Qs.params.1.ln.bias`, and hold metadata beside them. All sizes are
read from the shapes. PWM's files are of the first kind.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.algos.tdmpc2 import config as settings
from mjxwm.algos.tdmpc2.networks import Networks, init
from mjxwm.interop.files import load
from mjxwm.nets import MLP

_PLACES = {
    ("layers", "kernel"): "weight",
    ("layers", "bias"): "bias",
    ("norms", "scale"): "ln.weight",
    ("norms", "bias"): "ln.bias",
}
_FIELDS = ("weight", "bias", "ln.weight", "ln.bias")
_PARTS = ("_encoder", "_dynamics", "_reward", "_termination", "_pi", "_Qs", "_target_Qs")


class Imported(NamedTuple):
    """What a checkpoint holds."""

    config: settings.NetworkConfig
    networks: Networks
    target: MLP
    obs_size: int
    action_size: int
    tasks: int


def read_checkpoint(path: Path, tasks: int | None = None) -> Imported:
    """Reads a checkpoint of TD-MPC2's.

    Args:
        path: the file.
        tasks: how many tasks it must be of; any number by default.

    Raises:
        ValueError: it is not one, or not of so many tasks; the message says what was found.
    """
    state = load(path)
    state = state.get("model", state) if isinstance(state, dict) else state
    layers = _layers(path, state)
    for name in ("_encoder", "_dynamics", "_reward", "_pi", "_Qs"):
        if name not in layers:
            raise ValueError(
                f"{path}: no {name}.* in it; a checkpoint of TD-MPC2's has them. "
                f"Found: {', '.join(sorted(layers)) or 'no networks'}"
            )
    embedding = _array(state.get("_task_emb.weight"))
    config, obs_size, action_size = _sizes(path, layers, embedding)
    count = 1 if embedding is None else len(embedding)
    if tasks is not None and count != tasks:
        raise ValueError(f"{path}: a model of {count} tasks; {tasks} were expected")
    abstract = jax.eval_shape(
        lambda key: init(config, obs_size, action_size, count, key=key), jax.random.key(0)
    )

    def part(name: str, net: MLP, otherwise: str = "") -> MLP:
        return _filled(path, name, net, layers.get(name) or layers[otherwise])

    # A model is a value: its parts are put into a copy of its structure.
    model = jax.tree.map(lambda x: x, abstract.model)
    model.encoder = part("_encoder", model.encoder)
    model.dynamics = part("_dynamics", model.dynamics)
    model.reward_head = part("_reward", model.reward_head)
    if model.continue_head is not None:
        model.continue_head = _going_on(part("_termination", model.continue_head))
    rows = np.zeros((1, 0), np.float32) if embedding is None else embedding
    networks = Networks(
        model, part("_Qs", abstract.q), part("_pi", abstract.policy), jnp.asarray(rows)
    )
    target = part("_target_Qs", abstract.q, "_Qs")
    return Imported(config, networks, target, obs_size, action_size, count)


_Layers = dict[str, dict[int, dict[str, np.ndarray]]]


def _layers(path: Path, state: Any) -> _Layers:
    """Part -> layer -> field -> array, whichever the layout."""
    if not isinstance(state, dict):
        raise ValueError(f"{path}: expected a state dict, found {type(state).__name__}")
    found: _Layers = {}
    for key, value in state.items():
        name = str(key).removeprefix("module.")
        name = name.replace("_target_Qs_params.", "_target_Qs.params.")
        name = name.replace("_terminated.", "_termination.")
        match = re.fullmatch(r"(\w+)\.(?:state\.|params\.)?(\d+)(?:\.([\w.]+))?", name)
        if match is None or match[1] not in _PARTS or not hasattr(value, "numpy"):
            continue
        part, number, field = match[1], int(match[2]), match[3]
        if field is None:  # the released files number layers and fields through
            number, index = divmod(number, len(_FIELDS))
            field = _FIELDS[index]
        if field in _FIELDS:
            found.setdefault(part, {}).setdefault(number, {})[field] = _array(value)  # type: ignore[assignment]
    return found


def _array(tensor: Any) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().cpu().float().numpy()


def _sizes(
    path: Path, layers: _Layers, embedding: np.ndarray | None
) -> tuple[settings.NetworkConfig, int, int]:
    """Settings, observation size and action size."""

    def out(part: str) -> list[int]:
        return [layer["weight"].shape[-2] for _, layer in sorted(layers[part].items())]

    def into(part: str) -> int:
        return layers[part][0]["weight"].shape[-1]

    try:
        task_size = 0 if embedding is None else embedding.shape[1]
        *encoder, latent = out("_encoder")
        *hidden, bins = out("_reward")
        *q_hidden, _ = out("_Qs")
        action_size = out("_pi")[-1] // 2
        obs_size = into("_encoder") - task_size
        num_q = layers["_Qs"][0]["weight"].shape[0]
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: not a checkpoint of TD-MPC2's, {error!r} is missing") from error
    plain = settings.NetworkConfig()
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
    last = len(ending.layers) - 1

    def turned(path: Any, x: jax.Array) -> jax.Array:
        if path[0].name != "layers" or path[1].idx != last:
            return x
        return -x - 4.0 if path[2].name == "bias" else -x

    return jax.tree_util.tree_map_with_path(turned, ending)


def _filled(path: Path, name: str, net: MLP, layers: dict[int, dict[str, np.ndarray]]) -> MLP:
    """The part `net`, of which only shapes are known, with the file's arrays."""

    def value(place: Any, expected: jax.ShapeDtypeStruct) -> jax.Array:
        group, parameter = place[0].name, place[2].name
        number: int = place[1].idx
        field = _PLACES[group, parameter]
        array = layers.get(number, {}).get(field)
        where = f"{path}: {name}.{number}.{field}"
        if array is None:
            raise ValueError(f"{where} is missing")
        if field == "weight":
            array = np.swapaxes(array, -1, -2)
        if array.shape != expected.shape:
            raise ValueError(
                f"{where} has the shape {array.shape}; {expected.shape} was expected beside the "
                "other parts of this file"
            )
        return jnp.asarray(array)

    return jax.tree_util.tree_map_with_path(value, net)
