"""`mjxwm pretrain` and `mjxwm extract`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.cli.arguments.presets import Output, first, load_multitask, of_other_machines
from mjxwm.cli.training import report, saved
from mjxwm.runs import trackers

_FEW_OF_A_MODEL = (
    *("tasks", "data", "size", "updates", "batch", "horizon", "lr", "seed"),
    *("track", "run", "folder", "json"),
)
_FEW_OF_A_POLICY = (
    *("data", "updates", "batch", "horizon", "imitation", "seed", "engine", "evaluations"),
    *("episodes", "video", "track", "run", "folder", "json"),
)
"""The fields that people change first."""


def pretrain(args: list[str]) -> int:
    """Learns a model of many tasks from a data set."""
    from mjxwm.algos.multitask import Pretrain
    from mjxwm.algos.multitask.pretrain import card_of_preset
    from mjxwm.runs import folders, loop, pretrained

    if any(a == "--resume" or a.startswith("--resume=") for a in args):

        @dataclasses.dataclass(frozen=True)
        class Resume:
            resume: Path
            """The run folder to go on with."""
            json: Path | None = None
            """File for the result."""

        again = parse(Resume, args, "pretrain", ("resume",))
        run = folders.find_model(again.resume)
        pretrained.refuse_earlier(run)
        return _pretrained(loop.resume(run), again.json)
    name, rest = first(args, "pretrain", "a multi-task preset")
    preset = load_multitask(name)

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[Pretrain] = preset.pretrain
        tasks: str = preset.tasks
        """Name of the task set."""
        data: str = preset.data
        """Folder of the data set."""
        seed: int = preset.seed
        """Seed of everything that is random."""
        track: tuple[trackers.Name, ...] = ()
        """Other tools that are handed the rows of the record: tensorboard, wandb, trackio."""
        output: Annotated[Output, tyro.conf.OmitArgPrefixes] = Output()

    options = parse(Options, rest, f"pretrain {name}", few=_FEW_OF_A_MODEL)
    if line := of_other_machines(name):
        print(f"note     {line}", flush=True)
    preset = dataclasses.replace(
        preset,
        tasks=options.tasks,
        data=options.data,
        seed=options.seed,
        pretrain=options.config,
    )
    try:
        config = pretrained.config_of(card_of_preset(preset))
        config = dataclasses.replace(config, track=options.track)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    output = options.output
    return _pretrained(
        loop.run(config, f"{preset.tasks}-model", output.run, output.folder), output.json
    )


def _pretrained(result: Any, target: Path | None) -> int:
    from mjxwm.runs import folders

    path = result.run.path
    updates = result.config.algo.updates_after(result.iteration)
    if result.finished:
        print(f"{updates:,} updates in {result.seconds / 60:.1f} minutes. Go on with")
        print(f"  mjxwm extract TASK --model {folders.quoted(path)}")
        if result.unwritten:
            print(f"finished, but {saved(result)}")
    else:
        print(f"stopped after {updates:,} updates; {saved(result)}. Go on with")
        print(f"  mjxwm pretrain --resume {folders.quoted(path)}")
    write({"run": str(path), "updates": updates, "seconds": round(result.seconds, 1)}, target)
    return result.status


def extract(args: list[str]) -> int:
    """Makes the policy of one task through a model."""
    from mjxwm.algos.multitask import Card, Extract
    from mjxwm.algos.multitask import extract as extraction
    from mjxwm.algos.multitask.tasks import task_index
    from mjxwm.runs import action_repeats, loop, pretrained
    from mjxwm.runs.config import Config
    from mjxwm.runs.folders import name_of

    args = [part for a in args for part in (a.split("=", 1) if a[:8] == "--model=" else [a])]
    places = [i for i, a in enumerate(args) if a == "--model"]
    helping = [a for a in args if a in ("-h", "--help", "--help-all")]
    if helping:
        args, places, task, path, card = helping, [1], "TASK", Path("RUN"), Card()
    elif not args or args[0].startswith("-") or not places or places[0] + 1 == len(args):
        raise ConfigError("extract needs a task and a model: mjxwm extract TASK --model RUN")
    else:
        task, path = args[0], Path(args[places[0] + 1])
        card = pretrained.read_card(path)

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[Extract] = card.preset.extract
        data: str = ""
        """Folder of the data set; by default the model's."""
        seed: int = 0
        """Seed of everything that is random."""
        action_repeat: int | None = None
        """Control steps per action; by default what the model's data say."""
        engine: str = "auto"
        """Engine of the evaluations."""
        evaluations: int = 10
        """Evaluations, evenly over the updates, the last of them at the end."""
        episodes: int = 10
        """Episodes per evaluation."""
        video: bool = False
        """Whether to render the policy at the end."""
        track: tuple[trackers.Name, ...] = ()
        """Other tools that are handed the rows of the record: tensorboard, wandb, trackio."""
        output: Annotated[Output, tyro.conf.OmitArgPrefixes] = Output()

    rest = args if helping else [*args[1 : places[0]], *args[places[0] + 2 :]]
    options = parse(Options, rest, f"extract {task} --model {path}", few=_FEW_OF_A_POLICY)
    data = str(Path(options.data).resolve()) if options.data else ""
    algo = extraction.Config(str(path.resolve()), data, options.config, options.seed)
    try:  # before a folder is made: are the data there?
        place = task_index(card.tasks, task)
        described = extraction.task_with_action_repeat(algo, card, card.tasks[place])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    repeat = options.action_repeat
    if repeat is None:
        repeat, assumed = action_repeats.action_repeat(described)
        if assumed:
            print(f"note     {assumed}", flush=True)
    config = Config(
        task=task,
        engine=options.engine,
        action_repeat=repeat,
        seed=options.seed,
        evaluations=options.evaluations,
        episodes=options.episodes,
        checkpoints=0,
        video=options.video,
        track=options.track,
        algorithm="extract",
        algo=algo,
    )
    name = options.output.run or name_of(path.name, task, options.seed)
    return report(loop.run(config, "extract", name, options.output.folder), options.output.json)
