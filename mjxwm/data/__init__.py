"""Experience from worlds to training batches: rollouts, the replay buffer, data sets on disk.

`rollout` collects trajectories and `replay` stores them on the device. The names exported here are
those of data sets: folders with `dataset.json` and one folder per chunk, memory-mapped when read.
A chunk holds consecutive steps of one task, one row per step: `obs.npy` [R, o], `action.npy`
[R, a], `reward.npy` [R] and `flags.npy` [R], whose bits are: 1 terminated; 2 cut (the next row
belongs to another episode or world); 4 no action was taken (the row is an episode's last
observation). Observations and actions have the task's own sizes; readers pad them.
"""

from mjxwm.data.dataset import Chunk, DataSet, TaskInfo, open_data
from mjxwm.data.obs_moments import ObsMoments, observation_moments
from mjxwm.data.stream import Stream, Windows
from mjxwm.data.terminations import tasks_with_terminations
from mjxwm.data.writer import Rows, Writer, sources

__all__ = [
    "Chunk",
    "DataSet",
    "ObsMoments",
    "Rows",
    "Stream",
    "TaskInfo",
    "Windows",
    "Writer",
    "observation_moments",
    "open_data",
    "sources",
    "tasks_with_terminations",
]
