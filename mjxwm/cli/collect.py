"""`mjxwm collect`."""

import dataclasses
from pathlib import Path
from typing import Any

import tyro
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.cli.arguments.presets import (
    first,
    load_multitask,
    multitask_presets,
    of_other_machines,
    of_task,
)
from mjxwm.cli.training import report
from mjxwm.runs.presets import is_file_name, load_preset, preset_names, read_with_bases


def collect(args: list[str]) -> int:
    """Trains a preset, or one on each task of a multi-task preset, and keeps all its data."""
    name, rest = first(args, "collect", "a preset")
    if name not in multitask_presets():
        of_task(name)  # a task without a preset is refused here
    if name in multitask_presets() or _of_many_tasks(name):
        return _collect_all(name, rest)
    from mjxwm.cli.training import train

    # The same options as `mjxwm train`, and a data set by default.
    has_data = any(a == "--data" or a.startswith("--data=") for a in rest)
    return train([name, *rest, *([] if has_data else ["--data", "data"])])


def _of_many_tasks(name: str) -> bool:
    """Whether a name that is no shipped multi-task preset stands for one (a file, or a typo)."""
    if not is_file_name(name):
        return of_task(name)[0] not in preset_names()
    values = read_with_bases(Path(name))
    return isinstance(values, dict) and bool(
        values.keys() & {"tasks", "collect", "pretrain", "extract"}
    )


def _collect_all(name: str, args: list[str]) -> int:
    from mjxwm.algos.multitask import Collect
    from mjxwm.runs import exits

    preset = load_multitask(name)
    if line := of_other_machines(name):
        print(f"note     {line}", flush=True)

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[Collect] = preset.collect
        data: str = preset.data
        """Folder of the data set."""
        folder: Path = Path("runs")
        """Where runs are kept."""
        only: str = ""
        """Tasks to collect, separated by commas; by default all of the set."""
        json: Path | None = None
        """File for the results."""

    options = parse(Options, args, f"collect {name}", ("folder", "data"))
    preset = dataclasses.replace(preset, data=options.data, collect=options.config)
    runs = _collections(preset, _chosen(preset.tasks, options.only), Path(name).stem)
    collected: list[str] = []
    status = exits.DONE
    for run, config in runs.items():
        result = _collect_one(config, name, run, options.folder)
        if result is None or result.finished:
            collected.append(str(options.folder / run))
        if result is None:
            continue
        status = status or result.status
        if result.signal is not None or not result.finished:
            print("stopped; the same command goes on")
            break
    write(collected, options.json)
    return status


def _chosen(tasks: str, only: str) -> list[str]:
    from mjxwm.algos.multitask import task_set

    try:
        names = [task.name for task in task_set(tasks)]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    chosen = [task for task in only.split(",") if task]
    for task in chosen:
        if task not in names:
            raise ConfigError(f"only={task!r} is not of {tasks}{nearest(task, names)}")
    return chosen or names


def _collections(preset: Any, tasks: list[str], prefix: str) -> dict[str, Any]:
    """Configurations by the runs' names.

    Raises:
        ConfigError: tasks cannot be made here; the message names all of them.
    """
    from mjxwm.runs.build import make_env
    from mjxwm.runs.config import Config
    from mjxwm.runs.folders import name_of

    runs, missing = {}, {}
    for task in tasks:
        config = load_preset(Config, preset.collect.preset)
        repeat = None if task.startswith("mw-") else 2
        config = dataclasses.replace(
            config, task=task, data=preset.data, action_repeat=repeat, video=False
        )
        if preset.collect.env_steps:
            algo = dataclasses.replace(config.algo, env_steps=preset.collect.env_steps)
            config = dataclasses.replace(config, algo=algo)
        try:
            make_env(config)
        except ConfigError as error:
            missing[task] = f"{task}: {error}"
        for seed in range(preset.collect.seed, preset.collect.seed + preset.collect.seeds):
            runs[name_of(prefix, task, seed)] = dataclasses.replace(config, seed=seed)
    if missing:
        have = ",".join(task for task in tasks if task not in missing)
        others = [f"--only {have} collects the others"] if have else []
        raise ConfigError("; ".join([*missing.values(), *others]))
    return runs


def _collect_one(config: Any, preset: str, name: str, folder: Path) -> Any:
    """Trains or resumes one run, and says what came of it; None if it was finished already."""
    from mjxwm import data
    from mjxwm.runs import checkpoint, folders, loop, presets
    from mjxwm.runs.config import Config

    run_folder = folders.RunFolder(folder / name)
    if not folders.learned(run_folder.path):
        return _reported(loop.run(config, preset, name, folder))
    kept = presets.load_yaml(Config, run_folder.config)
    places = {name: getattr(config, name) for name in ("task_folder", "algorithm_folder")}
    if dataclasses.replace(kept, **places) != config:
        raise ConfigError(
            f"{run_folder.path} exists with other settings; give another --folder, or remove it"
        )
    done = checkpoint.latest(run_folder.checkpoints)
    if done is None:
        raise ConfigError(
            f"{run_folder.path} has no checkpoint, but other files; remove it to start anew"
        )
    if done < config.algo.iterations:
        return _reported(loop.resume(run_folder))
    try:
        data.open_data(Path(config.data)).of((config.task,))
    except ValueError as error:
        raise ConfigError(
            f"{run_folder.path} is finished, but {error}; remove the run to collect anew"
        ) from error
    print(f"{run_folder.path} is finished; it is not collected again")
    return None


def _reported(result: Any) -> Any:
    report(result, None)
    return result
