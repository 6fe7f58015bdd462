"""Data sets on disk: what many runs collected on many tasks, in chunks that are memory-mapped.

A data set is a folder with `dataset.json` and one folder per chunk. A chunk is of one task and has
a row per step, in time order: `obs.npy`, `action.npy`, `reward.npy` and `flags.npy`, whose bits are
those of the replay: 1 terminated, 2 cut (the next row is another episode's, or another world's),
4 nothing was done in this row (an episode's last observation). Sizes are the task's own: padding is
a matter of whoever reads.
"""

from mjxwm.data.dataset import Chunk, DataSet, TaskInfo, open_data
from mjxwm.data.ends import terminated
from mjxwm.data.spread import Spread, spreads
from mjxwm.data.stream import Stream, Windows
from mjxwm.data.writer import Rows, Writer, sources

__all__ = [
    "Chunk",
    "DataSet",
    "Rows",
    "Spread",
    "Stream",
    "TaskInfo",
    "Windows",
    "Writer",
    "open_data",
    "sources",
    "spreads",
    "terminated",
]
