"""The training state of algorithms that learn from what they have just collected: SHAC, REPPO."""

from typing import Any, NamedTuple

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray
from mjxwm_envs.core import Worlds

from mjxwm.data.replay import Replay


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    learner: Any
    """The algorithm's `Learner`."""
    worlds: Worlds
    key: PRNGKeyArray

    @property
    def replay(self) -> Replay:
        """The latest steps, of worlds that remember them (`mjxwm.data.recording`)."""
        return self.worlds.replay  # pyright: ignore[reportAttributeAccessIssue]

    def layout(self) -> "TrainState":
        """How leaves are split over devices: along the axis of worlds; networks are copied."""
        whole = jax.tree.map(lambda x: PartitionSpec(), self)
        return whole._replace(worlds=self.worlds.layout())
