"""trackio: a database of this machine, or a Space where TRACKIO_SPACE_ID names one."""

import contextlib
import contextvars
import importlib
import io
from typing import Any

from mjxwm.runs.trackers import Start

trackio: Any = importlib.import_module("trackio")  # not installed where types are checked
_PROJECT = "mjxwm"


class Trackio:
    """One run of trackio's; a thread of it writes the rows."""

    def __init__(self, start: Start):
        """Begins a run, or goes on with the one of the same name."""
        self._last = start.last
        # In a context of its own: in one that has a run already, `init` would end that one.
        context = contextvars.copy_context()
        with _silent():
            self._run: Any = context.run(
                trackio.init,
                project=_PROJECT,
                name=start.id,
                group=start.group,
                config=start.config,
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        self.where = f"trackio show --project {_PROJECT}"

    def log(self, row: dict[str, float], position: int) -> None:
        """See `Tracker`; a row that comes again is there already."""
        if row["iteration"] > self._last:
            self._run.log(row, step=int(row["iteration"]))

    def close(self) -> None:
        """See `Tracker`."""
        with _silent():
            self._run.finish()


def _silent() -> Any:
    """Until it ends, what trackio prints goes nowhere; what matters is in one line of ours."""
    return contextlib.redirect_stdout(io.StringIO())


start = Trackio
