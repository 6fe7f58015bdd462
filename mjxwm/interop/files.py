"""Files that torch wrote, read without running anything that they contain."""

import pickle
from pathlib import Path
from typing import Any


def load(path: Path) -> Any:
    """What a file of torch's holds: tensors in dictionaries, and what names them.

    Raises:
        ValueError: there is no such file, it is broken or of another kind, or torch is missing.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{path} is a file of torch's, and torch is not installed: pip install 'mjxwm[torch]'"
        ) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} holds more than tensors, which is not run here ({reason})"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is broken, or not a file of torch's: {reason}") from error
