"""Weights & Biases: online where it can be reached, else kept in the run's folder `wandb`."""

import contextlib
import importlib
import io
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from mjxwm.runs import folders, progress
from mjxwm.runs.trackers import Start

wandb: Any = importlib.import_module("wandb")  # not installed where types are checked
_PATIENCE = 5.0
"""Time in which the server answers, or the run is kept offline [s]."""
_CONNECTING, _UPLOADING = 30.0, 60.0
"""Time for what comes before the first row, and after the last [s]."""


class WandB:
    """One run of W&B's; rows are handed to a process of its own, which uploads them."""

    def __init__(self, start: Start):
        """Begins a run, or goes on with the one of the same id."""
        self._last, offline = start.last, _why_offline()
        with progress.step("connects to Weights & Biases"), _silent():
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT") or "mjxwm",
                id=start.id,
                name=start.run.path.name,
                group=start.group,
                config=start.config,
                dir=str(start.run.path),
                mode="offline" if offline else None,
                resume="allow",
                reinit="create_new",  # beside the runs of other seeds
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    init_timeout=_CONNECTING,
                    finish_timeout=_UPLOADING,
                ),
            )
            self._run.define_metric("*", step_metric="env_steps")
        if offline or os.environ.get("WANDB_MODE") == "offline":
            place = folders.quoted(Path(self._run.dir).parent)
            self.where = f"offline{offline}; later `wandb sync {place}`"
        else:
            self.where = str(self._run.url)

    def log(self, row: dict[str, float], position: int) -> None:
        """See `Tracker`; a row that comes again is there already."""
        if row["iteration"] > self._last:
            self._run.log(row, step=int(row["iteration"]))

    def close(self) -> None:
        """See `Tracker`."""
        with progress.step("uploads to Weights & Biases"), _silent():
            self._run.finish()


def _why_offline() -> str:
    """Why a run is kept offline that is not said to be; empty where it need not be."""
    if os.environ.get("WANDB_MODE"):  # the user has said
        return ""
    with _silent():
        if not wandb.login(prompt=False):
            return ", as there is no API key (`wandb login`)"
    address = wandb.Settings().base_url
    try:
        urllib.request.urlopen(address, timeout=_PATIENCE).close()
    except urllib.error.HTTPError:
        return ""  # it answers
    except (OSError, ValueError) as error:
        return f", as {address} cannot be reached ({getattr(error, 'reason', error)})"
    return ""


@contextlib.contextmanager
def _silent() -> Any:
    """Until it ends, what W&B prints goes nowhere; what matters of it is in one line of ours."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


start = WandB
