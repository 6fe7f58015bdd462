"""Files that torch wrote, read without running anything that they contain."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


class Inert(dict):
    """Stands for an object of tensordict's: what it was made of, and nothing that it could do."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Whatever the arguments, they are kept alone."""
        stand_in = super().__new__(cls)
        stand_in.parts = [*args, kwargs]
        return stand_in

    def __init__(self, *args: Any, **kwargs: Any):
        """Nothing: a dict would take the arguments for its items."""
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Keeps it."""
        self.parts.append(state)

    parts: list[Any]


def load(path: Path) -> Any:
    """What a file of torch's holds: tensors in dictionaries, and what names them.

    Objects of tensordict's are read as `Inert`; tensordict itself is not needed.

    Raises:
        ValueError: there is no such file, it is broken or of another kind, or torch is missing.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise ValueError(f"{path} is read by torch, which needs {error.name!r}") from error
        raise ValueError(
            f"{path} is a file of torch's, and torch is not installed: pip install 'mjxwm[torch]'"
        ) from error
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        inert: list[Any] = [(Inert, name) for name in unknown if name.startswith("tensordict.")]
        objects = sorted(name for name in unknown if not name.startswith("tensordict."))
        if objects:
            more = f" and {len(objects) - 4} more" if len(objects) > 4 else ""
            raise pickle.UnpicklingError(
                f"{', '.join(objects[:4])}{more}; save the model's state_dict() alone"
            )
        with torch.serialization.safe_globals(inert):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} holds more than tensors, which is not run here ({reason})"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is broken, or not a file of torch's: {reason}") from error


def array(path: Path, name: str, tensor: Any) -> np.ndarray:
    """A tensor as an array of the type that it has; small floating-point types as float32.

    Raises:
        ValueError: it does not hold plain numbers, as a quantised, sparse or complex one.
    """
    plain_kind = str(tensor.layout) == "torch.strided" and tensor.device.type != "meta"
    if not plain_kind or tensor.is_complex() or tensor.is_quantized:
        raise ValueError(
            f"{path}: {name} is a tensor of {tensor.dtype}, {tensor.layout} on {tensor.device}; "
            "plain numbers are read, dense and neither complex nor quantised"
        )
    plain = tensor.detach().cpu()
    small = plain.is_floating_point() and plain.element_size() < 4
    return (plain.float() if small else plain).numpy()


def mappings(loaded: Any) -> Iterator[dict]:
    """All dictionaries in what was loaded, the outermost first."""
    if isinstance(loaded, dict):
        yield loaded
        for value in loaded.values():
            yield from mappings(value)
    if isinstance(loaded, (list, tuple)):
        for value in loaded:
            yield from mappings(value)
    if isinstance(loaded, Inert):
        yield from mappings(loaded.parts)
