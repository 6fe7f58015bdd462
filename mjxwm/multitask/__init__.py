"""One world model for many tasks, and a policy for each of them."""

from mjxwm.multitask.config import Collect, Config, Extract, Pretrain
from mjxwm.multitask.model import Card, Model, load
from mjxwm.multitask.tasks import TASK_SETS, task_set

__all__ = [
    "TASK_SETS",
    "Card",
    "Collect",
    "Config",
    "Extract",
    "Model",
    "Pretrain",
    "load",
    "task_set",
]
