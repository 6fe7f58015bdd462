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
        actual = [np.nan] * len(kept)
        if self.gamma is None or not kept:
            return value, np.array(actual)
        reward, done, terminated = (x.tolist() for x in self._steps(world))
        actual[-1] = total = float(value[-1])
        for t in range(len(kept) - 2, -1, -1):
            if done[t]:
                total = 0.0 if terminated[t] else np.nan
            actual[t] = total = reward[t] + self.gamma * total
        return value, np.array(actual)

    def sums(self, world: int) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
        """The sum of the next H rewards: as imagined before each step, and as it was.

        That of the newest H - 1 steps is not known yet (NaN), nor that of episodes that were cut
        off within H steps.
        """
        imagined = np.array([m.imagined[world] for m in self._moments], float)
        actual = np.full(len(imagined), np.nan)
        number = max(0, len(imagined) - self.horizon + 1)
        if not self.horizon or not number:
            return imagined, actual
        reward, done, terminated = self._steps(world)
        start = np.arange(number)
        last = start + self.horizon - 1
        ends = np.append(np.flatnonzero(done), len(done))  # and one after all steps
        end = ends[np.searchsorted(ends, start)]  # the first end of an episode from each step on
        until = np.minimum(end, last)
        summed = np.append(0.0, np.cumsum(reward))
        actual[:number] = summed[until + 1] - summed[start]
        actual[:number][(end < last) & ~terminated[until]] = np.nan
        return imagined, actual

    def _steps(self, world: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rewards, ends and terminations of a world's steps."""
        kept = list(self._moments)
        names = ("reward", "done", "terminated")
        reward, done, terminated = (np.array([getattr(m, n)[world] for m in kept]) for n in names)
        return reward.astype(float), done, terminated
