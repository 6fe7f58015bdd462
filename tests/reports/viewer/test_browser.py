"""`mjxwm view` as a user sees it: in a real browser without a window, clicked and dragged."""

import dataclasses
import io
import shutil
import threading
import time

import browser
import imageio.v3 as imageio
import jax
import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm.algos import pwm
from mjxwm.models.actor_critic import Config as Policy
from mjxwm.models.world_model import Config as Model
from mjxwm.runs import policy_files
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Sizes

pytest.importorskip("mjviser", reason="the extra viewer is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.CHROMIUM is None, reason="there is no Chromium"),
]

from mjxwm.reports.viewer import opening, server  # noqa: E402
from mjxwm.reports.viewer.show import Show  # noqa: E402

CONFIG = Config(
    task="ant",
    engine="native",
    algo=pwm.Config(
        model=Model(latent=8, encoder=(4,), hidden=(4,)), policy=Policy((4,), (4,), critics=1)
    ),
)


def save(run, iteration):
    spec = envs.make("ant", engine="native").spec
    arrays = pwm.agent(CONFIG.algo, Sizes.of(spec)).init(jax.random.key(iteration))
    header = policy_files.describe(CONFIG, iteration)
    header = dataclasses.replace(header, sizes=Sizes.of(spec))
    policy_files.write(run.policy / "last", header, jax.device_get(arrays))


def until(holds, seconds=120):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "walks")
    save(folder, 1)
    return folder


@pytest.fixture
def show(run):
    opened = opening.of_target(str(run.path), None, {})
    page = server.serve("127.0.0.1", 0, "walks")
    shown = Show(*opening.start(opened, None, 2, 0), opened.policies, page)
    thread = threading.Thread(target=shown.run)
    thread.start()
    yield shown
    shown.end()
    thread.join(60)
    assert not thread.is_alive()


def test_a_run_is_looked_at_pushed_and_followed(show, run, tmp_path):
    address = f"http://127.0.0.1:{show.port}"
    with browser.chromium(tmp_path / "profile") as devtools:
        with browser.tab(devtools, address) as tab:
            tab.wait_for("iteration 1")
            tab.wait_for("Reward of the next 16 steps")
            image = imageio.imread(io.BytesIO(tab.picture(tmp_path / "page.png")))
            assert len(np.unique(image[::4, ::4].reshape(-1, image.shape[2]), axis=0)) > 100
            assert all(request.startswith(address) for request in tab.requests)

            tab.press("Pause")
            until(lambda: not show.playing)
            time.sleep(0.5)
            step = int(show.simulation.moment.episode_length[0])
            tab.press("Step")
            until(lambda: show.simulation.moment.episode_length[0] == step + 1)
            tab.press("Play")
            until(lambda: show.simulation.moment.episode_length[0] != step + 1)

            middle = (640, 400)  # where the followed body is
            tab.mouse("mouseMoved", *middle)
            tab.mouse("mousePressed", *middle, buttons=1)
            for i in range(10):
                tab.mouse("mouseMoved", middle[0] + 8 * i, middle[1] - 8 * i, buttons=1)
                time.sleep(0.1)
            until(lambda: show.pulls)
            tab.mouse("mouseReleased", middle[0] + 80, middle[1] - 80)
            until(lambda: not show.pulls)

            save(run, 2)
            tab.wait_for("iteration 2")
            shutil.rmtree(run.policy)
            tab.wait_for("last is gone")
        before = show.steps
        time.sleep(1)
        assert show.steps <= before + 60  # nobody looks: no more than what was under way
        with browser.tab(devtools, address) as tab:
            tab.wait_for("iteration 2")
            until(lambda: show.steps > before + 100)
