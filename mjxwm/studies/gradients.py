"""Cells of kind `gradients`: the laboratory of `mjxwm gradients` on a run's policy at a stage."""

import dataclasses
from pathlib import Path
from typing import Any

from mjxwm.gradients.config import Config
from mjxwm.runs import policy_files, presets
from mjxwm.runs.folders import RunFolder
from mjxwm.studies.cells import Cost, ResultFile, Standing

_SIZE = 2**20
"""Bytes of a report and its numbers."""


@dataclasses.dataclass(frozen=True)
class GradientCell:
    """A gradient report of the policy that a run had at a stage of its training."""

    name: str
    task: str
    """The task that gradients are measured on."""
    algorithm: str
    variant: str
    seed: int
    stage: str
    """Name of the stage."""
    share: float
    """Share of the run's iterations after which the policy is looked at."""
    run: RunFolder
    """The run that the policy is of."""
    trained: dict[str, Any]
    """The configuration of that run, as plain values."""
    fields: dict[str, Any]
    """Fields of the laboratory, as on its command line."""
    folder: Path
    """The study's."""
    needs: tuple[str, ...]
    kind = "gradients"

    @property
    def config(self) -> dict[str, Any]:
        """What the result is of: the task, the stage, the run's and the laboratory's fields."""
        lab = presets.to_dict(presets.from_dict(Config, self.fields, self.name))
        return {"task": self.task, "share": self.share, "laboratory": lab, "run": self.trained}

    @property
    def result(self) -> ResultFile:
        """Where its numbers are kept."""
        return ResultFile(self.folder / "gradients" / f"{self.name}.json")

    @property
    def page(self) -> Path:
        """Its own page."""
        return self.result.path.with_suffix(".html")

    def standing(self) -> Standing:
        """See `cells.Cell`."""
        kept = self.result.read()
        if kept is None:
            return Standing("waiting")
        edits = presets.differences(kept["config"], self.config)
        if not edits:
            return Standing("done")
        way = f"put the study's file back, or move {self.result.path} away"
        return Standing("changed", f"{'; '.join(edits)} (the study's value is the second): {way}")

    def cost(self) -> Cost:
        """See `cells.Cell`."""
        return Cost(size=_SIZE, peak=_SIZE)

    def command(self) -> list[str]:
        """See `cells.Cell`."""
        self.result.path.parent.mkdir(parents=True, exist_ok=True)
        policy = self.run.policy / policy_files.stage_folder(self.share)
        files = ["--html", str(self.page), "--json", str(self.result.partial)]
        return ["gradients", self.task, "--policy", str(policy), *files, *_options(self.fields)]

    def finish(self) -> None:
        """See `cells.Cell`."""
        self.result.keep(self.config)

    def busy(self) -> bool:
        """See `cells.Cell`."""
        return False


def _options(fields: dict[str, Any]) -> list[str]:
    """Fields as the command line has them."""
    options = []
    for name, value in fields.items():
        if isinstance(value, bool):
            options.append(f"--{name}" if value else f"--no-{name}")
        else:
            values = value if isinstance(value, list | tuple) else [value]
            options += [f"--{name}", *map(str, values)]
    return options
