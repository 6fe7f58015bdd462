"""When a run logs, evaluates and saves: evenly over its iterations."""

import dataclasses

_ROWS = 500
"""Rows of the record that a run has, about; those of its evaluations and its stops come on top."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """After which iterations something is due."""

    iterations: int
    """Iterations of the run."""
    evaluations: int
    """Evaluations, evenly over the iterations, the last one at the end; at least that one."""
    checkpoints: int
    """Checkpoints on the way, evenly, beside those at the first evaluation and at the end."""

    def logs(self, iteration: int) -> bool:
        """Whether a row of the record is due after this iteration."""
        return iteration % max(1, self.iterations // _ROWS) == 0

    def evaluates(self, iteration: int) -> bool:
        """Whether an evaluation is due after this iteration."""
        return due(iteration, self.iterations, max(1, self.evaluations))

    def saves(self, iteration: int) -> bool:
        """Whether a checkpoint is due after this iteration.

        One more than the configuration has is due with the first evaluation, of which a policy is
        kept: soon after it a run in which something was learned can go on, too. The checkpoint is
        written while training goes on, and may be whole after the policy.
        """
        first = -(-self.iterations // max(1, self.evaluations))
        return iteration == first or due(iteration, self.iterations, self.checkpoints + 1)


def due(iteration: int, total: int, times: int) -> bool:
    """Whether something that happens `times` times in `total` iterations does after this one.

    As evenly as whole iterations allow, the last time after iteration `total`; once after each
    where there are fewer iterations than times.
    """
    return iteration * times // total > (iteration - 1) * times // total
