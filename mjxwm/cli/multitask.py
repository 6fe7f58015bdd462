"""`mjxwm collect`, `pretrain`, `extract` and `import`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mjxwm.cli.options import parse, write
from mjxwm.cli.training import finish, trained
from mjxwm.config import ConfigError, load_preset, nearest, preset_names, presets_folder

_FOLDER = "multitask"


@dataclasses.dataclass(frozen=True)
class _Output:
    run: str | None = None
    """Name of the run; by default made of preset, task, date and time."""
    folder: Path = Path("runs")
    """Where runs are kept."""
    json: Path | None = None
    """File for the result."""


def multitask_presets() -> list[str]:
    """Names of the shipped multi-task presets."""
    return preset_names(_FOLDER)


def _load(name: str) -> Any:
    from mjxwm.multitask import Config

    if name.endswith((".yaml", ".yml")):
        return load_preset(Config, name)
    if name not in multitask_presets():
        raise ConfigError(
            f"multi-task preset {name!r} is unknown{nearest(name, multitask_presets())}. "
            f"There are: {', '.join(multitask_presets())}; a path that ends in .yaml reads a file "
            "of your own"
        )
    return load_preset(Config, str(presets_folder() / _FOLDER / f"{name}.yaml"))


def _first(args: list[str], command: str, what: str) -> tuple[str, list[str]]:
    if args and args[0] in ("-h", "--help"):
        return multitask_presets()[0], args  # its options are those of all
    if not args or args[0].startswith("-"):
        raise ConfigError(
            f"{command} needs {what}: mjxwm {command} NAME; there are: "
            f"{', '.join(multitask_presets())}"
        )
    return args[0], args[1:]


def collect(args: list[str]) -> int:
    """Trains a preset, or one on each task of a multi-task preset, and keeps all its data."""
    name, rest = _first(args, "collect", "a preset")
    if name in multitask_presets() or (name not in preset_names() and not _is_training(name)):
        return _collect_all(name, rest)
    from mjxwm.cli.training import train

    # The same options as `mjxwm train`, and a data set by default.
    given = any(a == "--data" or a.startswith("--data=") for a in rest)
    return train([name, *rest, *([] if given else ["--data", "data"])])


def _is_training(name: str) -> bool:
    from mjxwm import train

    try:
        load_preset(train.Config, name)
    except ConfigError:
        return False
    return True


def _collect_all(name: str, args: list[str]) -> int:
    from mjxwm.multitask import Collect

    preset = _load(name)

    @dataclasses.dataclass(frozen=True)
    class Options:
        settings: tyro.conf.OmitArgPrefixes[Collect] = preset.collect
        data: str = preset.data
        """Folder of the data set."""
        folder: Path = Path("runs")
        """Where runs are kept."""
        only: str = ""
        """Tasks to collect, separated by commas; by default all of the set."""
        json: Path | None = None
        """File for the results."""

    options = parse(Options, args, f"collect {name}")
    preset = dataclasses.replace(preset, data=options.data, collect=options.settings)
    runs = _collections(preset, _chosen(preset.tasks, options.only), Path(name).stem)
    collected = []
    for run, cfg in runs.items():
        if not _collect_one(cfg, name, run, options.folder):
            print("stopped; the same command goes on")
            break
        collected.append(str(options.folder / run))
    write(collected, options.json)
    return 0


def _chosen(tasks: str, only: str) -> list[str]:
    from mjxwm.multitask import task_set

    try:
        names = [task.name for task in task_set(tasks)]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    wanted = [task for task in only.split(",") if task]
    for task in wanted:
        if task not in names:
            raise ConfigError(f"only={task!r} is not of {tasks}{nearest(task, names)}")
    return wanted or names


def _collections(preset: Any, tasks: list[str], prefix: str) -> dict[str, Any]:
    """The configurations by the runs' names; what is missing for any of them is said at once."""
    from mjxwm import train

    runs, missing = {}, []
    for task in tasks:
        cfg = load_preset(train.Config, preset.collect.preset)
        repeat = None if task.startswith("mw-") else 2
        cfg = dataclasses.replace(
            cfg, task=task, data=preset.data, action_repeat=repeat, video=False
        )
        if preset.collect.env_steps:
            algo = dataclasses.replace(cfg.algo, env_steps=preset.collect.env_steps)
            cfg = dataclasses.replace(cfg, algo=algo)
        try:
            train.make_env(cfg)
        except ConfigError as error:
            missing.append(f"{task}: {error}")
        for seed in range(preset.collect.seeds):
            runs[f"{prefix}-{task}-{seed}"] = dataclasses.replace(cfg, seed=seed)
    if missing:
        have = ",".join(task for task in tasks if not any(m.startswith(task) for m in missing))
        raise ConfigError("\n".join([*missing, f"--only {have} collects the others"]))
    return runs


def _collect_one(cfg: Any, preset: str, name: str, folder: Path) -> bool:
    """Trains, or goes on with, one run; whether it came to its end."""
    from mjxwm import checkpoint, config, data, runs, train

    found = runs.RunFolder(folder / name)
    if not found.config.is_file():
        run = train.new_run(cfg, preset, name, folder)
        return trained(cfg, run, False, None).evaluation is not None
    if config.load_yaml(train.Config, found.config) != cfg:
        raise ConfigError(
            f"{found.path} exists with other settings; give another --folder, or remove it"
        )
    done = checkpoint.latest(found.checkpoints)
    if done is None:
        raise ConfigError(f"{found.path} exists without a checkpoint; remove it to start anew")
    if done < train.build(cfg).algorithm.iterations:
        return trained(cfg, found, True, None).evaluation is not None
    try:
        data.open_data(Path(cfg.data)).of((cfg.task,))
    except ValueError as error:
        raise ConfigError(
            f"{found.path} is finished, but {error}; remove the run to collect anew"
        ) from error
    print(f"{found.path} is finished; it is not collected again")
    return True


def pretrain(args: list[str]) -> int:
    """Learns a model of many tasks from a data set."""
    from mjxwm import pretraining, runs
    from mjxwm.multitask import Pretrain, model

    if any(a == "--resume" or a.startswith("--resume=") for a in args):

        @dataclasses.dataclass(frozen=True)
        class Resume:
            resume: Path
            """The run folder to go on with."""
            json: Path | None = None
            """File for the result."""

        again = parse(Resume, args, "pretrain")
        card = model.read_card(again.resume)
        return _pretrained(pretraining.run(card, runs.RunFolder(again.resume), True), again.json)
    name, rest = _first(args, "pretrain", "a multi-task preset")
    preset = _load(name)

    @dataclasses.dataclass(frozen=True)
    class Options:
        settings: tyro.conf.OmitArgPrefixes[Pretrain] = preset.pretrain
        tasks: str = preset.tasks
        """Name of the task set."""
        data: str = preset.data
        """Folder of the data set."""
        seed: int = preset.seed
        """Seed of everything that is random."""
        output: Annotated[_Output, tyro.conf.OmitArgPrefixes] = _Output()

    options = parse(Options, rest, f"pretrain {name}")
    card = pretraining.card(
        dataclasses.replace(
            preset,
            tasks=options.tasks,
            data=options.data,
            seed=options.seed,
            pretrain=options.settings,
        )
    )
    run = pretraining.new_run(card, options.output.run, options.output.folder)
    return _pretrained(pretraining.run(card, run), options.output.json)


def _pretrained(result: Any, target: Path | None) -> int:
    path = result.run.path
    if result.finished:
        print(f"{result.updates:,} updates in {result.seconds / 60:.1f} minutes. Go on with")
        print(f"  mjxwm extract TASK --model {path}")
    else:
        print(f"stopped after {result.updates:,} updates; checkpoint saved. Go on with")
        print(f"  mjxwm pretrain --resume {path}")
    write(
        {"run": str(path), "updates": result.updates, "seconds": round(result.seconds, 1)}, target
    )
    return 0


def extract(args: list[str]) -> int:
    """Makes the policy of one task through a model."""
    from mjxwm import train
    from mjxwm.multitask import Extract, model
    from mjxwm.multitask import extract as extraction
    from mjxwm.multitask.tasks import number

    args = [part for a in args for part in (a.split("=", 1) if a[:8] == "--model=" else [a])]
    found = [i for i, a in enumerate(args) if a == "--model"]
    helping = "-h" in args or "--help" in args
    if helping:
        args, found, task, path, card = ["--help"], [1], "TASK", Path("RUN"), model.Card()
    elif not args or args[0].startswith("-") or not found or found[0] + 1 == len(args):
        raise ConfigError("extract needs a task and a model: mjxwm extract TASK --model RUN")
    else:
        task, path = args[0], Path(args[found[0] + 1])
        card = model.read_card(path)

    @dataclasses.dataclass(frozen=True)
    class Options:
        settings: tyro.conf.OmitArgPrefixes[Extract] = card.preset.extract
        data: str = ""
        """Folder of the data set; by default the model's."""
        seed: int = 0
        """Seed of everything that is random."""
        engine: str = "auto"
        """Engine of the evaluations."""
        evaluations: int = 10
        """Evaluations on the way, beside the one at the end."""
        episodes: int = 10
        """Episodes per evaluation."""
        video: bool = False
        """Whether to render the policy at the end."""
        output: Annotated[_Output, tyro.conf.OmitArgPrefixes] = _Output()

    rest = args if helping else [*args[1 : found[0]], *args[found[0] + 2 :]]
    options = parse(Options, rest, f"extract {task} --model {path}")
    data = str(Path(options.data).resolve()) if options.data else ""
    algo = extraction.Config(str(path.resolve()), data, options.settings, options.seed)
    try:  # before a folder is made: are the data there?
        place = number(card.tasks, task)
        extraction.stream(algo, card, card.tasks[place], 0).close()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    cfg = train.Config(
        task=task,
        engine=options.engine,
        action_repeat=None if task.startswith("mw-") else 2,
        seed=options.seed,
        evaluations=options.evaluations,
        episodes=options.episodes,
        checkpoints=0,
        video=options.video,
        algorithm="extract",
        algo=algo,
    )
    name = options.output.run or f"{path.name}-{task}-{options.seed}"
    run = train.new_run(cfg, "extract", name, options.output.folder)
    return finish(cfg, run, False, options.output.json)


def import_(args: list[str]) -> int:
    """Reads others' files: a checkpoint becomes a model's run, chunks of data a data set."""
    parts = {"checkpoint": _import_checkpoint, "data": _import_data}
    if not args or args[0] not in parts:
        what = f"{args[0]!r} cannot be imported" if args else "import needs to know what"
        raise ConfigError(f"{what}. There are: {', '.join(parts)}")
    return parts[args[0]](args[1:])


def _import_checkpoint(args: list[str]) -> int:
    from mjxwm import importing

    @dataclasses.dataclass(frozen=True)
    class Options:
        file: tyro.conf.Positional[Path]
        """A checkpoint of TD-MPC2's or PWM's."""
        tasks: str = "mt80"
        """The task set that it was made for, or the name of its single task."""
        data: str = ""
        """Folder of the data set that policies are to be extracted with."""
        output: Annotated[_Output, tyro.conf.OmitArgPrefixes] = _Output()

    options = parse(Options, args, "import checkpoint")
    run, counts = importing.checkpoint(
        options.file, options.tasks, options.data, options.output.run, options.output.folder
    )
    print(f"run      {run.path}")
    print(f"model    {', '.join(f'{name} {count:,}' for name, count in counts.items() if count)}")
    write({"run": str(run.path), "parameters": counts}, options.output.json)
    return 0


def _import_data(args: list[str]) -> int:
    from mjxwm import importing

    @dataclasses.dataclass(frozen=True)
    class Options:
        files: tyro.conf.Positional[tuple[Path, ...]]
        """Chunks of TD-MPC2's data, `chunk_0.pt` and so on."""
        tasks: Literal["mt30", "mt80"] = "mt80"
        """The task set that they are of."""
        data: Path = Path("data")
        """Folder of the data set."""
        json: Path | None = None
        """File for the result."""

    options = parse(Options, args, "import data")
    rows = importing.chunks(options.files, options.tasks, options.data, print)
    total = sum(rows.values())
    print(f"{options.data}: {total:,} rows of {len(rows)} tasks added")
    write({"data": str(options.data), "rows": rows}, options.json)
    return 0
