"""TD-MPC2's task sets, and the table of task constants that a multi-task model takes."""

import jax.numpy as jnp

from mjxwm.algos.tdmpc2 import NetworkConfig, TaskTable, discount, sized
from mjxwm.data import TaskInfo

_DMC = {
    "walker-stand": (24, 6),
    "walker-walk": (24, 6),
    "walker-run": (24, 6),
    "cheetah-run": (17, 6),
    "reacher-easy": (6, 2),
    "reacher-hard": (6, 2),
    "acrobot-swingup": (6, 1),
    "pendulum-swingup": (3, 1),
    "cartpole-balance": (5, 1),
    "cartpole-balance-sparse": (5, 1),
    "cartpole-swingup": (5, 1),
    "cartpole-swingup-sparse": (5, 1),
    "cup-catch": (8, 2),
    "finger-spin": (9, 2),
    "finger-turn-easy": (12, 2),
    "finger-turn-hard": (12, 2),
    "fish-swim": (24, 5),
    "hopper-stand": (15, 4),
    "hopper-hop": (15, 4),
    "walker-walk-backwards": (24, 6),
    "walker-run-backwards": (24, 6),
    "cheetah-run-backwards": (17, 6),
    "cheetah-run-front": (17, 6),
    "cheetah-run-back": (17, 6),
    "cheetah-jump": (17, 6),
    "hopper-hop-backwards": (15, 4),
    "reacher-three-easy": (8, 3),
    "reacher-three-hard": (8, 3),
    "cup-spin": (8, 2),
    "pendulum-spin": (3, 1),
}
"""TD-MPC2's 30 tasks of dm_control in the order of its task indices: (obs size, action size)."""

_METAWORLD = """
assembly basketball button-press-topdown button-press-topdown-wall button-press button-press-wall
coffee-button coffee-pull coffee-push dial-turn disassemble door-open door-close drawer-close
drawer-open faucet-open faucet-close hammer handle-press-side handle-press handle-pull-side
handle-pull lever-pull peg-insert-side peg-unplug-side pick-out-of-hole pick-place pick-place-wall
plate-slide plate-slide-side plate-slide-back plate-slide-back-side push-back push push-wall reach
reach-wall shelf-place soccer stick-push stick-pull sweep-into sweep window-open window-close
bin-picking box-close door-lock door-unlock hand-insert
""".split()  # noqa: SIM905  a list is read more easily without its quotes

_REPEAT = 2
"""Control steps per action in TD-MPC2's protocol, for dm_control and for Meta-World."""
_CONTROL = tuple(TaskInfo(name, obs, action, 500, _REPEAT) for name, (obs, action) in _DMC.items())

TASK_SETS: dict[str, tuple[TaskInfo, ...]] = {
    "mt4": tuple(
        next(task for task in _CONTROL if task.name == name)
        for name in ("walker-stand", "reacher-easy", "cup-catch", "cartpole-swingup")
    ),
    "mt30": _CONTROL,
    "mt80": (*_CONTROL, *(TaskInfo(f"mw-{name}", 39, 4, 100, _REPEAT) for name in _METAWORLD)),
}
"""Task sets by name; a task's position in its set is its task index."""


def task_set(name: str) -> tuple[TaskInfo, ...]:
    """The tasks of a named set, or of a comma-separated list of task names.

    Raises:
        ValueError: there is no such set, or no such task in any.
    """
    if name in TASK_SETS:
        return TASK_SETS[name]
    if "," not in name and name not in {task.name for task in TASK_SETS["mt80"]}:
        sets = ", ".join(TASK_SETS)
        raise ValueError(f"task set {name!r} is unknown; there are: {sets}, or tasks a,b,c of them")
    tasks = tuple(single(task) for task in name.split(",") if task)
    if not tasks:
        raise ValueError(f"tasks={name!r} names no task")
    return tasks


def single(name: str) -> TaskInfo:
    """The task of this name, from any set.

    Raises:
        ValueError: no set has a task of this name.
    """
    for task in TASK_SETS["mt80"]:
        if task.name == name:
            return task
    raise ValueError(
        f"{name!r} is neither a task set ({', '.join(TASK_SETS)}) nor one of their tasks"
    )


def sizes(tasks: tuple[TaskInfo, ...]) -> tuple[int, int]:
    """Largest observation size and largest action size of the tasks; all are padded to them."""
    return max(t.obs_size for t in tasks), max(t.action_size for t in tasks)


def make_task_table(tasks: tuple[TaskInfo, ...], action_size: int | None = None) -> TaskTable:
    """Action masks [n, a] and discounts [n] of n tasks.

    Args:
        tasks: the tasks, in the order of their indices.
        action_size: a, the action size that all are padded to; by default that of the largest task.
    """
    width = action_size or sizes(tasks)[1]
    lengths = jnp.array([task.action_size for task in tasks])
    mask = (jnp.arange(width) < lengths[:, None]).astype(float)
    return TaskTable(mask, jnp.array([discount(task.episode_length) for task in tasks]))


def task_index(tasks: tuple[TaskInfo, ...], name: str) -> int:
    """Index of the task of this name.

    Raises:
        ValueError: no task has this name.
    """
    names = [task.name for task in tasks]
    if name not in names:
        raise ValueError(f"task {name!r} is not of this model, which knows: {', '.join(names)}")
    return names.index(name)


def network_sizes(size: str, tasks: str) -> NetworkConfig:
    """TD-MPC2's network sizes for a model size ("1M" to "317M") and a task set.

    Task embeddings have size 96, or 64 for the 30 tasks of `mt30` except at 1M and 317M; the 19M
    model of `mt30` has a smaller latent. A single task has no embedding.

    Raises:
        ValueError: there is no such size or set.
    """
    if len(task_set(tasks)) == 1:
        return sized(size)
    small = tasks == "mt30"
    task_size = 64 if small and size not in ("1M", "317M") else 96
    return sized(size, task_size, 512 if small and size == "19M" else None)
