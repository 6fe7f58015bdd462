"""Cells of kind `train`: ordinary run folders, of one seed or of several in one program."""

import contextlib
import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

from mjxwm import ConfigError
from mjxwm.reports.comparison import finished
from mjxwm.runs import begun, build, folders, locks, policy_files, presets, record
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.studies.cells import Cost, Standing

_SMALL = 4 * 2**20
"""Bytes that a run takes beside its replay: record, policies, networks of its checkpoints, page."""


@dataclasses.dataclass(frozen=True)
class TrainCell:
    """Training runs of one configuration, of one process."""

    name: str
    task: str
    algorithm: str
    """Its name in the study."""
    variant: str
    seeds: tuple[int, ...]
    """Seeds of its program, mostly one."""
    config: Config
    """The configuration of the first seed's run."""
    folder: Path
    """The study's."""
    keep_checkpoints: bool = True
    needs: tuple[str, ...] = ()
    kind = "train"

    @property
    def seed(self) -> int:
        """The first seed."""
        return self.seeds[0]

    @property
    def runs(self) -> list[RunFolder]:
        """The run folder of each seed."""
        base = self._base()
        return [RunFolder(self.folder / "runs" / f"{base}-seed{seed}") for seed in self.seeds]

    def standing(self) -> Standing:
        """See `cells.Cell`."""
        learned = [folders.learned(run.path) for run in self.runs]
        if not any(learned):
            return Standing("waiting")
        pairs = zip(self.runs, self.configs, learned, strict=True)
        edits = [text for run, config, has in pairs if has and (text := _edits(run, config))]
        if edits:
            return Standing("changed", "; ".join(edits))
        whole = all(map(done, self.runs, self.configs))
        return Standing("done" if whole else "stopped")

    def cost(self) -> Cost:
        """See `cells.Cell`."""
        pairs = list(zip(self.runs, self.configs, strict=True))
        steps = sum(max(0, config.algo.env_steps - taken(run)[0]) for run, config in pairs)
        minutes = self.config.minutes
        if minutes is not None:
            minutes = max(0.0, minutes - max(taken(run)[1] for run in self.runs))
        peak = len(self.seeds) * _bytes(self.config)
        left = peak if self.keep_checkpoints else len(self.seeds) * _SMALL
        return Cost(steps, minutes, left, peak)

    def command(self) -> list[str]:
        """See `cells.Cell`; writes the preset that it is trained with."""
        preset = self.folder / "presets" / f"{self.name}.yaml"
        preset.parent.mkdir(parents=True, exist_ok=True)
        presets.save_yaml(self.config, preset)
        one = len(self.seeds) == 1
        run = self.runs[0].path.name if one else self._base()
        options = ["--run", run, "--folder", str(self.folder / "runs"), "--go-on"]
        return ["train", str(preset), *options, *([] if one else ["--seeds", str(len(self.seeds))])]

    def finish(self) -> None:
        """See `cells.Cell`."""
        if not self.keep_checkpoints:
            for run in self.runs:
                with contextlib.suppress(OSError):
                    shutil.rmtree(run.checkpoints)

    def busy(self) -> bool:
        """See `cells.Cell`."""
        return any(locks.busy(run.path) for run in self.runs)

    def _base(self) -> str:
        return self.name if len(self.seeds) > 1 else self.name.removesuffix(f"-seed{self.seed}")

    @property
    def configs(self) -> list[Config]:
        """The configuration of each seed's run."""
        return [dataclasses.replace(self.config, seed=seed) for seed in self.seeds]


def _edits(run: RunFolder, config: Config) -> str:
    """How a run is configured otherwise, in words, with the way out; else empty."""
    away = f"move {folders.quoted(run.path)} away, and the study trains it anew"
    try:
        edits = begun.edits(run, config)
    except ConfigError as error:
        return f"{error}; {away}"
    if not edits:
        return ""
    if begun.of_budget(edits):
        way = f"go on with it by `{begun.way_to_budget(run, config)}`"
    else:
        way = f"put the study's file back, or {away}"
    return f"{'; '.join(edits)} (the study's value is the second): {way}"


def done(run: RunFolder, config: Config) -> bool:
    """Whether a run has come to its end and is kept whole: its last row and that policy."""
    if not folders.learned(run.path) or not finished(run, config):
        return False
    try:
        header = policy_files.read_header(run.policy / "last")
    except ConfigError:
        return False
    return header.iteration == record.read(run.metrics)[-1]["iteration"]


def taken(run: RunFolder) -> tuple[int, float]:
    """Env steps and minutes that a run has taken."""
    rows = record.read(run.metrics) if run.metrics.is_file() else []
    last: dict[str, Any] = rows[-1] if rows else {}
    steps, minutes = last.get("env_steps", 0), last.get("minutes", 0.0)
    return int(steps), float(minutes) if record.is_number(minutes) else 0.0


def _bytes(config: Config) -> int:
    """Bytes on disk of a run, about: two checkpoints with the replay in each."""
    algo = config.algo
    rows = getattr(algo, "capacity", None) or getattr(algo, "rows", 0)
    row = _row(config.task, json.dumps(config.task_fields, sort_keys=True), config.task_folder)
    return 2 * rows * 4 * row + _SMALL


@functools.cache
def _row(task: str, fields: str, folder: str | None) -> int:
    """Numbers of a row of a task's replay: observation, action, reward and two flags.

    Raises:
        ConfigError: there is no such task, or no such field of it.
    """
    config = Config(task=task, task_fields=json.loads(fields), task_folder=folder)
    spec = build.make_env(config).spec
    return spec.obs_size + spec.action_size + 3
