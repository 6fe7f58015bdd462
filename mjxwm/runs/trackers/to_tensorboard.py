"""TensorBoard: event files in the run's folder `tensorboard`."""

import importlib
import os
import time
from typing import Any

import yaml
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.summary import text

from mjxwm.runs import folders
from mjxwm.runs.trackers import Start

# Their classes are made at import, so that nobody can read their types.
_events: Any = importlib.import_module("tensorboardX.proto.event_pb2")
_summaries: Any = importlib.import_module("tensorboardX.proto.summary_pb2")


class TensorBoard:
    """Writes event files, each row at once: a disk that is full is noticed, and nothing waits."""

    def __init__(self, start: Start):
        """Begins a file; rows of earlier ones from where the run goes on are not shown."""
        folder = start.run.path / "tensorboard"
        folder.mkdir(exist_ok=True)
        self.where = f"tensorboard --logdir {folders.quoted(start.run.path.parent)}"
        suffix = f".{os.getpid()}.{time.monotonic_ns()}"  # a file of this second is kept
        self._writer = EventsWriter(str(folder / "events"), suffix)
        if start.resumed_at is None:
            config = yaml.safe_dump(start.config, sort_keys=False)
            self._write(text("config", f"```yaml\n{config}```"), 0)
        else:
            began = _events.SessionLog(status=_events.SessionLog.SessionStatus.Value("START"))
            event = _events.Event(
                wall_time=time.time(), step=start.resumed_at + 1, session_log=began
            )
            self._writer.write_event(event)
        self._writer.flush()

    def log(self, row: dict[str, float], position: int) -> None:
        """See `Tracker`."""
        values = [_summaries.Summary.Value(tag=name, simple_value=x) for name, x in row.items()]
        self._write(_summaries.Summary(value=values), position)
        self._writer.flush()

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()

    def _write(self, summary: Any, step: int) -> None:
        self._writer.write_event(_events.Event(wall_time=time.time(), step=step, summary=summary))


start = TensorBoard
