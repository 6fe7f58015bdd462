"""Multi-task PWM: one world model pre-trained on many tasks, then a policy for each of them."""

from mjxwm.algos.multitask.config import Collect, Config, Extract, Pretrain
from mjxwm.algos.multitask.model import Card, Model
from mjxwm.algos.multitask.tasks import TASK_SETS, task_set

__all__ = [
    "TASK_SETS",
    "Card",
    "Collect",
    "Config",
    "Extract",
    "Model",
    "Pretrain",
    "task_set",
]
