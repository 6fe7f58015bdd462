"""Policies taken over while worlds are stepped: another choice, or a newer one that was saved."""

import threading

from mjxwm import ConfigError
from mjxwm.reports.viewer.policies import UNTRAINED, Loaded, Policies

_EVERY = 1.0
"""Time between two looks at a run's folder [s]."""


class Follower:
    """Looks at policies from a thread of its own, so that no step waits for a disk."""

    def __init__(self, policies: Policies, choice: str):
        """Args:
        policies: where they come from.
        choice: the one that acts now.
        """
        self._policies = policies
        self.choice, self.follows = choice, True
        self.names = policies.names()
        """Names of the policies that there are."""
        self.note = ""
        """What is wrong with the policy that is wanted; empty where nothing is."""
        self._acting = choice
        self._stamp = policies.stamp(choice)
        self._news: Loaded | None = None
        self._refused: tuple[str, object] | None = None
        self._end, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="policies")
        self._thread.start()

    def take(self) -> Loaded | None:
        """The policy that is to act from now on, once."""
        with self._lock:
            news, self._news = self._news, None
        return news

    def close(self) -> None:
        """Ends the thread."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_EVERY):
            try:
                self.look()
            except Exception as error:  # a folder that is taken away meanwhile, a disk that fails
                self.note = _first_line(error)

    def look(self) -> None:
        """Looks once."""
        self.names = names = self._policies.names()
        if self.choice == UNTRAINED and UNTRAINED not in names and self.follows:
            self.choice = names[0]  # the first that the run has saved
        choice = self.choice
        stamp = self._policies.stamp(choice)
        if stamp is None:
            self.note = f"{choice} is gone; what was read of it acts on"
            return
        same = choice == self._acting
        if same and (stamp == self._stamp or not self.follows):
            self.note = ""
        elif (choice, stamp) != self._refused:
            self._read(choice, stamp)

    def _read(self, choice: str, stamp: object) -> None:
        try:
            loaded = self._policies.load(choice)
        except ConfigError as error:
            self._refused, self.note = (choice, stamp), _first_line(error)
            return
        with self._lock:
            self._news = loaded
        self._acting, self._stamp, self._refused, self.note = choice, stamp, None, ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
