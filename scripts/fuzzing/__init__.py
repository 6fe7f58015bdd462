"""Inputs that a user supplies, made wrong in every way: what `scripts/fuzz.py` feeds to mjxwm.

A kind is a function (base, rng) -> inputs: `base` is a folder for what all inputs of it need, and
each input is made in the current folder, which is empty then, and is an action that reads it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from fuzzing import artefacts, commands, configurations, data, environment, records, tasks
from fuzzing.watch import Action

KINDS: dict[str, Callable[[Path, Random], Iterator[Action]]] = {
    "fields": configurations.fields,
    "presets": configurations.files,
    "commands": commands.lines,
    "environment": environment.variables,
    "tasks": tasks.modules,
    "mjcf": tasks.models,
    "data-sets": data.data_sets,
    "chunks": data.chunks,
    "models": data.models,
    "run-configs": records.configurations,
    "policies": artefacts.policy,
    "checkpoints": artefacts.checkpoints,
    "dumps": artefacts.dumps,
    "metrics": records.metrics,
    "reports": records.reports,
}
"""What makes the inputs, by the name of what they are."""
