"""The controls and the plots beside the body."""

import html
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
import viser
from viser import uplot

PLAY, PAUSE, STEP, RESTART, KICK = "Play", "Pause", "Step", "New episodes", "Kick"
SPEEDS = ("1/8x", "1/4x", "1/2x", "1x", "2x", "4x", "8x")
_COLORS = ("#3b6fd4", "#e07b39", "#3c9d5b", "#a457b8", "#c9484f", "#8a6d3b", "#3aa6b0", "#7f7f7f")
_MOST = 6
"""Terms of the reward that are plotted: those that change most."""


class Panel:
    """Buttons, choices, words and plots; the loop reads what is chosen and what was pressed."""

    def __init__(
        self, server: viser.ViserServer, worlds: int, names: Sequence[str], pushable: bool
    ):
        """Args:
        server: of the browser's page.
        worlds: number of worlds to choose from.
        names: policies to choose from, the first chosen.
        pushable: whether bodies can be pushed.
        """
        self.playing, self.speed = True, 1.0
        self._pressed: SimpleQueue[str] = SimpleQueue()
        gui = server.gui
        self._gui = gui
        self._words = gui.add_html("")
        time = gui.add_button_group("Time", (PLAY, PAUSE, STEP))
        time.on_click(lambda event: self._press(event.target.value))
        kick = (KICK,) if pushable else ()
        others = gui.add_button_group("Worlds", (RESTART, *kick))
        others.on_click(lambda event: self._press(event.target.value))
        if pushable:
            others.hint = "Or drag a body with the mouse"
        speed = gui.add_dropdown("Speed", SPEEDS, initial_value="1x")
        speed.on_update(lambda _: setattr(self, "speed", _times(speed.value)))
        self._world = gui.add_dropdown("World", [str(i) for i in range(worlds)])
        self._world.visible = worlds > 1
        self._policy = gui.add_dropdown("Policy", list(names), initial_value=names[0])
        self._policy.on_update(lambda event: event.client and self._press(event.target.value))
        self._follow = gui.add_checkbox("Newer policies", True)
        self._follow.hint = "Take them over as the run saves them"
        self._plots: dict[str, Any] = {}

    @property
    def world(self) -> int:
        """The world that is looked at."""
        return int(self._world.value)

    @property
    def follows(self) -> bool:
        """Whether newer policies of the same name are taken over."""
        return self._follow.value

    def presses(self) -> Iterator[str]:
        """What was pressed since the last call: STEP, RESTART, KICK, or the name of a policy."""
        while not self._pressed.empty():
            yield self._pressed.get()

    def _press(self, button: str) -> None:
        if button in (PLAY, PAUSE, STEP):
            self.playing = button == PLAY
        if button not in (PLAY, PAUSE):
            self._pressed.put(button)

    def offer(self, names: Sequence[str], choose: str) -> None:
        """Offers these policies, with this one chosen."""
        if tuple(self._policy.options) != tuple(names):
            self._policy.options = tuple(names)
        if self._policy.value != choose:
            self._policy.value = choose

    def say(self, rows: dict[str, str], note: str = "") -> None:
        """Shows named values, and a note that stands out."""
        cells = "".join(
            f"<tr><td style='opacity:.65;padding-right:1em'>{html.escape(name)}</td>"
            f"<td>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        shown = f"<div style='color:#c9484f'>{html.escape(note)}</div>" if note else ""
        self._words.content = (
            "<div style='padding:.2em .9em .6em;font-size:.85em;line-height:1.4'>"
            f"<table>{cells}</table>{shown}</div>"
        )

    def plot(self, title: str, time: np.ndarray, series: dict[str, np.ndarray]) -> None:
        """Draws series [T] over time [T] in the plot of this title; its series stay the same."""
        if title not in self._plots:
            chosen = _chosen(series)
            self._plots[title] = chosen, self._new_plot(title, chosen)
        names, handle = self._plots[title]
        handle.data = (time, *(series[name] for name in names))

    def _new_plot(self, title: str, names: Sequence[str]) -> Any:
        lines = [
            uplot.Series(label=name, stroke=_COLORS[i % len(_COLORS)], width=2 if i == 0 else 1.2)
            for i, name in enumerate(names)
        ]
        empty = np.zeros(1)
        return self._gui.add_uplot(
            (empty, *(empty for _ in names)),
            (uplot.Series(label="seconds"), *lines),
            title=title,
            scales={"x": uplot.Scale(time=False, auto=True), "y": uplot.Scale(auto=True)},
            legend=uplot.Legend(show=True, live=False),
            height=170,
        )


def _chosen(series: dict[str, np.ndarray]) -> list[str]:
    names = list(series)
    spread = {
        name: float(np.ptp(np.nan_to_num(x))) if len(x) else 0.0 for name, x in series.items()
    }
    kept = sorted(names[1:], key=lambda name: -spread[name])[:_MOST]
    return [names[0], *(name for name in names[1:] if name in kept)]


def _times(speed: str) -> float:
    top, _, bottom = speed.removesuffix("x").partition("/")
    return int(top) / int(bottom or 1)
