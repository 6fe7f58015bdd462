"""Environments by name: `make`, `make_task`, `names` and `register`.

- `hopper`: one of `names()`, or registered with `register`
- `gymnasium/HalfCheetah-v5`, `playground/CheetahRun`, `metaworld/reach-v3`, `mw-reach`: foreign
- `my_package.my_module:MyTask`: a user's own task, `Source`, or factory of gymnasium environments
"""

from mjxwm_envs.registry.factories import make, make_task, register
from mjxwm_envs.registry.suites import FOREIGN, SUITES, names
from mjxwm_envs.registry.user_tasks import folder_of, imported, search_first

__all__ = [
    "FOREIGN",
    "SUITES",
    "folder_of",
    "imported",
    "make",
    "make_task",
    "names",
    "register",
    "search_first",
]
