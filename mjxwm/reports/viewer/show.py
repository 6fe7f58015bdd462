"""The loop of `mjxwm view`: steps in time, pictures, plots, and what the panel asks."""

import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np
import viser

from mjxwm import ConfigError
from mjxwm.reports.viewer import server as servers
from mjxwm.reports.viewer.following import Follower
from mjxwm.reports.viewer.panel import KICK, RESTART, STEP, Panel
from mjxwm.reports.viewer.policies import Policies
from mjxwm.reports.viewer.simulation import Simulation
from mjxwm.reports.viewer.stage import Forces, Stage
from mjxwm.reports.viewer.traces import Traces

_FRAME = 1 / 60
"""Least time between two pictures [s]."""
_PLOTS = 1 / 3
"""Time between two states of words and plots [s]."""
_IDLE = 0.1
"""Time between two looks for a browser while there is none, or time stands still [s]."""
_KEPT = 10.0
"""Time that is plotted [s]."""
_LAST = 1e6
"""Place in the panel after the plots, which are made later."""


class Pace(NamedTuple):
    """How fast it went, while a browser looked and time ran."""

    seconds: float
    frames: int
    steps: int


class Show:
    """A simulation in the browser."""

    def __init__(
        self,
        simulation: Simulation,
        choice: str,
        about: str,
        policies: Policies,
        server: viser.ViserServer,
    ):
        """Args:
        simulation: the worlds.
        choice: the name of the policy that acts at first.
        about: that policy, in words.
        policies: what may act in them.
        server: the page.
        """
        self.simulation, self._server, self._about = simulation, server, about
        self._follower = Follower(policies, choice)
        self._end = threading.Event()
        names, pushable = self._follower.names, simulation.pushable
        self._panel = Panel(server, simulation.num_worlds, names, pushable)
        self._panel.offer(names, choice)
        self._world = 0
        self._stage = Stage(server, simulation.scene(0))
        self._stage.set_refresh_handler(lambda: None)  # the next picture has it
        self._more_controls()
        server.on_client_connect(self._look_at_it)
        self._before = simulation.positions
        outlook = simulation.outlook
        length = max(2, round(_KEPT / simulation.dt))
        self._traces = Traces(length, outlook and outlook.gamma, simulation.horizon)
        self._returns: deque[float] = deque(maxlen=20)
        self._note = ""
        self._lag, self._drawn, self._worded = 0.0, -np.inf, -np.inf
        self._seconds, self._frames, self._stepped = 0.0, 0, 0
        self._paces: deque[Pace] = deque(maxlen=round(2 / _PLOTS))

    def run(self, seconds: float | None = None) -> Pace:
        """Shows it.

        Args:
            seconds: ends after this time; by default never.
        """
        begin = last = time.perf_counter()
        try:
            while not self._end.is_set() and (seconds is None or last - begin < seconds):
                now = time.perf_counter()
                self._turn(now, now - last)
                last = now
        finally:
            self._follower.close()
            servers.close(self._server)
        return Pace(self._seconds, self._frames, self._stepped)

    def end(self) -> None:
        """Ends `run`, from another thread."""
        self._end.set()

    @property
    def port(self) -> int:
        """The page's port."""
        return self._server.get_port()

    @property
    def playing(self) -> bool:
        """Whether time runs."""
        return self._panel.playing

    @property
    def pulls(self) -> bool:
        """Whether somebody drags a body."""
        return self._stage.pull is not None

    @property
    def steps(self) -> int:
        """Steps that were taken."""
        return self._stepped

    def _turn(self, now: float, since: float) -> None:
        if not self._server.get_clients():  # nobody looks: leave the processor to others
            time.sleep(_IDLE)
            return
        self._answer()
        if self._panel.playing:
            self._seconds += since
            self._advance(since * self._panel.speed)
        due = self._drawn + (_FRAME if self._panel.playing else _IDLE)
        if now >= due:
            self._drawn = now
            self._draw()
        if now >= self._worded + _PLOTS:
            self._worded = now
            self._word()
        time.sleep(max(0.001, min(_FRAME, self._drawn + _FRAME - time.perf_counter())))

    def _advance(self, time_passed: float) -> None:
        """Steps for this much simulated time [s]; what the processor cannot do is left out."""
        dt = self.simulation.dt
        self._lag += time_passed
        until = time.perf_counter() + 2 * _FRAME
        while self._lag >= dt:
            self._step()
            self._lag -= dt
            if time.perf_counter() > until:
                self._lag = min(self._lag, dt)
                return

    def _step(self) -> None:
        world = self._world
        pull = self._stage.pull
        if pull is None:
            self.simulation.release()
        else:
            target = pull.target - self._stage.offset
            self.simulation.pull(world, pull.body, pull.grip, target)
        self._before = self.simulation.positions
        moment = self.simulation.step()
        self._stepped += 1
        self._traces.add(moment)
        self._returns.extend(float(r) for r in moment.episode_return[moment.done])
        if moment.done[world]:
            self._show_episode()

    def _show_episode(self) -> None:
        """Another body and goal, and no way from where the episode before ended."""
        self._before = self.simulation.positions
        self._stage.show(self.simulation.scene(self._world))

    def _draw(self) -> None:
        world = self._world
        share = min(1.0, self._lag / self.simulation.dt) if self._panel.playing else 1.0
        before, after = (x[world] for x in (self._before, self.simulation.positions))
        moment = self.simulation.moment
        forces = moment and Forces(moment.qvel[world], moment.act[world], moment.ctrl[world])
        self._stage.pose(before, after, share, forces)
        self._frames += self._panel.playing

    def _answer(self) -> None:
        """Does what the panel's buttons want, and lets a newer policy act."""
        for button in self._panel.presses():
            if button == STEP:
                self._step()
            elif button == KICK:
                self._kick()
            elif button == RESTART:
                self.simulation.restart()
                self._traces.clear()
                self._show_episode()
            else:
                self._follower.choice = button
        if self._panel.world != self._world:
            self._world = self._panel.world
            self._show_episode()
        self._take_over()

    def _take_over(self) -> None:
        follower = self._follower
        names, choice = follower.names, follower.choice
        self._panel.offer(names if choice in names else [*names, choice], choice)
        follower.follows = self._panel.follows
        news = follower.take()
        if news is not None:
            try:
                self.simulation.replace(news.arrays)
                self._about, self._note = news.about, ""
            except ConfigError as error:
                self._note = str(error)

    def _word(self) -> None:
        simulation, world = self.simulation, self._world
        rows = {"task": f"{simulation.env.name}, engine {simulation.env.spec.engine}"}
        name = self._follower.choice
        rows["policy"] = self._about if name == "policy" else f"{name}, {self._about}"
        moment = simulation.moment
        if moment is not None:
            length, limit = int(moment.episode_length[world]), simulation.env.spec.episode_length
            rows["episode"] = f"step {length} of {limit}, return {moment.episode_return[world]:.1f}"
        if self._returns:
            mean, number = np.mean(self._returns), len(self._returns)
            rows["before"] = f"return {mean:.1f}, mean of the last {number}"
        if pace := self._recent():
            fast = pace.steps * simulation.dt / pace.seconds
            rows["pace"] = f"{fast:.2f}x, {pace.frames / pace.seconds:.0f} pictures/s"
        self._panel.say(rows, self._follower.note or self._note)
        if len(self._traces) > 1:
            self._plot(world)

    def _recent(self) -> Pace | None:
        """The pace of the last two seconds in which time ran."""
        if not self._paces or self._paces[-1].seconds < self._seconds:
            self._paces.append(Pace(self._seconds, self._frames, self._stepped))
        first, last = self._paces[0], self._paces[-1]
        if last.seconds == first.seconds:
            return None
        frames, steps = last.frames - first.frames, last.steps - first.steps
        return Pace(last.seconds - first.seconds, frames, steps)

    def _plot(self, world: int) -> None:
        traces, dt = self._traces, self.simulation.dt
        when = (np.arange(len(traces)) - len(traces) + 1 + traces.steps) * dt
        self._panel.plot("Reward and its terms", when, traces.rewards(world))
        if traces.gamma is not None:
            value, actual = traces.values(world)
            series = {"value": value, "return": actual}
            self._panel.plot("Value, and the return that followed", when, series)
        if traces.horizon:
            imagined, actual = traces.sums(world)
            title = f"Reward of the next {traces.horizon} steps"
            self._panel.plot(title, when, {"imagined": imagined, "real": actual})

    def _kick(self) -> None:
        """A push to somewhere, that a body of this size feels."""
        angle = np.random.default_rng().uniform(0, 2 * np.pi)
        speed = 2.0 * np.sqrt(self._stage.mj_model.stat.extent)
        way = np.array([np.cos(angle), np.sin(angle), 0.3])
        self.simulation.kick(self._world, speed * way)

    def _more_controls(self) -> None:
        gui, stage = self._server.gui, self._stage
        with gui.add_folder("Picture", expand_by_default=False, order=_LAST):
            follow = gui.add_checkbox("Camera follows the body", stage.follow)
            follow.on_update(lambda _: setattr(stage, "follow", follow.value))
            stage.create_overlay_gui()
        with gui.add_folder("Groups", expand_by_default=False, order=_LAST + 1):
            stage.create_groups_gui()

    def _look_at_it(self, client: viser.ClientHandle) -> None:
        client.camera.position, client.camera.look_at = self._stage.view()
