"""How many control steps an action of a data set's lasts, where the set itself does not say."""

from mjxwm.data import TaskInfo
from mjxwm.runs.build import make_env
from mjxwm.runs.config import Config

_PROTOCOL = 2
"""TD-MPC2's, of whose tasks the data sets are that were written without it."""


def action_repeat(task: TaskInfo) -> tuple[int, str]:
    """Control steps per action, and what to say where that had to be assumed.

    By TD-MPC2's protocol, or, where that does not come to the episodes' length in actions, by the
    task's own episodes.

    Raises:
        ConfigError: there is no such task here.
    """
    if task.action_repeat is not None:
        return task.action_repeat, ""
    plain = make_env(Config(task=task.name, action_repeat=1))
    steps = plain.spec.episode_length
    by_length = max(1, round(steps / task.episode_length))
    fitting = [r for r in (_PROTOCOL, by_length) if -(-steps // r) == task.episode_length]
    repeat = (*fitting, _PROTOCOL)[0]
    return repeat, (
        f"the data of {task.name} do not say their action repeat: {repeat} is assumed, since "
        f"episodes have {task.episode_length} actions there and {steps} control steps here; "
        "--action-repeat says otherwise"
    )
