"""The suites of tasks, and the names in them."""

from collections.abc import Callable
from typing import Any

from mjxwm_envs.fields import nearest
from mjxwm_envs.tasks.dm_control import TASKS as DM_CONTROL
from mjxwm_envs.tasks.locomotion import TASKS as LOCOMOTION
from mjxwm_envs.tasks.myosuite import TASKS as MYOSUITE

SUITES: dict[str, dict[str, Callable[[], Any]]] = {
    "locomotion": LOCOMOTION,
    "dm_control": DM_CONTROL,
    "myosuite": MYOSUITE,
    "registered": {},
}
"""For each suite, the factories of its tasks by name. `registered` holds the user's own."""

FOREIGN = {
    "gymnasium": "mjxwm_envs.adapters.gymnasium",
    "maniskill": "mjxwm_envs.adapters.maniskill",
    "metaworld": "mjxwm_envs.adapters.metaworld",
    "playground": "mjxwm_envs.adapters.playground",
}
"""Foreign suites, and the module whose `make(id, ...)` makes their environments `suite/id`."""


def names(suite: str | None = None) -> tuple[str, ...]:
    """Names for `make`, of one suite or of all; foreign environments are `suite/id`.

    Raises:
        ValueError: there is no such suite.
    """
    if suite is not None and suite not in SUITES:
        raise ValueError(f"suite {suite!r} is unknown{nearest(suite, SUITES)}")
    suites = SUITES.values() if suite is None else [SUITES[suite]]
    return tuple(sorted(name for tasks in suites for name in tasks))
