"""What is plotted of the worlds that are looked at: the last steps of each."""

from collections import deque

import numpy as np
from jaxtyping import Float

from mjxwm.reports.viewer.simulation import Moment


class Traces:
    """The last `length` steps of B worlds."""

    def __init__(self, length: int, gamma: float | None, horizon: int):
        """Args:
        length: steps that are kept.
        gamma: discount per action of the policy's critics; None without critics.
        horizon: steps that the policy's model imagines; 0 without a model.
        """
        self.length, self.gamma, self.horizon = length, gamma, horizon
        self._moments: deque[Moment] = deque(maxlen=length)
        self.steps = 0
        """Steps that were added."""

    def add(self, moment: Moment) -> None:
        """Adds a step."""
        self._moments.append(moment)
        self.steps += 1

    def clear(self) -> None:
        """Forgets all steps: the worlds begin anew."""
        self._moments.clear()

    def __len__(self) -> int:
        """Steps that are kept now."""
        return len(self._moments)

    def rewards(self, world: int) -> dict[str, Float[np.ndarray, " T"]]:
        """The reward of each step, and its terms by name."""
        kept = list(self._moments)
        terms = kept[0].terms if kept else {}
        series = {"reward": np.array([m.reward[world] for m in kept], float)}
        for name in terms:
            series[name] = np.array([m.terms[name][world] for m in kept], float)
        return series

    def values(self, world: int) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
        """The value before each step, and the discounted return that then followed.

        The return of steps whose episode has not ended has the newest value at its end; that of
        episodes that were cut off is not known (NaN).
        """
        kept = list(self._moments)
        value = np.array([m.value[world] for m in kept], float)
        actual = np.full(len(kept), np.nan)
        if self.gamma is None or not kept:
            return value, actual
        actual[-1] = total = value[-1]
        for t in range(len(kept) - 2, -1, -1):
            if kept[t].done[world]:
                total = 0.0 if kept[t].terminated[world] else np.nan
            actual[t] = total = kept[t].reward[world] + self.gamma * total
        return value, actual

    def sums(self, world: int) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
        """The sum of the next H rewards: as imagined before each step, and as it was.

        That of the newest H - 1 steps is not known yet (NaN), nor that of episodes that were cut
        off within H steps.
        """
        kept = list(self._moments)
        imagined = np.array([m.imagined[world] for m in kept], float)
        actual = np.full(len(kept), np.nan)
        reward = np.array([m.reward[world] for m in kept], float)
        for t in range(len(kept) - self.horizon + 1 if self.horizon else 0):
            total = 0.0
            for k in range(t, t + self.horizon):
                total += reward[k]
                if kept[k].done[world] and k < t + self.horizon - 1:
                    total = total if kept[k].terminated[world] else np.nan
                    break
            actual[t] = total
        return imagined, actual
