"""Files that runs and benchmarks leave and other commands read, after changes."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from fuzzing.texts import mutated
from fuzzing.watch import Action
from mjxwm import cli
from mjxwm.runs import presets
from mjxwm.runs.config import Config

WORDS = (
    *('"eval/return": null', '"eval/return": "x"', '"eval/return": [1]', '"eval/return": 1e999'),
    *(
        '"eval/return": NaN',
        '"iteration": 1.5',
        '"iteration": true',
        '"iteration": 1e5',
        "{}",
        "[]",
    ),
    *('"env_steps": null', '"env_steps": -1', '"minutes": "now"', '"minutes": {}', "iteration"),
    *('"samples": []', '"samples": [0]', '"samples": ["a"]', '"samples": [null]', '"series": {}'),
    *('"samples": 3', '"samples": [NaN]', '"samples": [1e999]', '"exact": 3', '"name": 3'),
    *('"unit": null', '"config": 1', '"system": []', '"benchmark": []', "[[[[[[[[", '{"a":'),
)


def metrics(base: Path, rng: Random) -> Iterator[Action]:
    """Records of runs, drawn and scored."""
    config = presets.load_preset(Config, "debug")
    while True:
        rows = []
        for i in range(rng.choice([0, 1, 3, 8])):
            row = {"iteration": i, "env_steps": 8 * i, "minutes": i / 7, "collect/return": 1.0 * i}
            rows.append(json.dumps(row | ({"eval/return": 2.0 * i} if i % 2 else {})))
        content = "".join(f"{row}\n" for row in rows).encode()
        Path("run").mkdir()
        presets.save_yaml(config, Path("run/config.yaml"))
        Path("run/metrics.jsonl").write_bytes(mutated(rng, content, WORDS))
        command = rng.choice([("plot", "run"), ("score", "run", "--reference", "run")])
        yield _command(*command)


def configurations(base: Path, rng: Random) -> Iterator[Action]:
    """Configurations in the folders of runs, as commands that look at a run read them."""
    whole = presets.to_dict(presets.load_preset(Config, "debug"))
    presets.save_yaml(presets.load_preset(Config, "debug"), base / "config.yaml")
    content = (base / "config.yaml").read_bytes()
    names = [name.encode() for name in (*whole, "tasks", "networks", "preset")]
    commands = (
        *(("plot", "run"), ("score", "run"), ("eval", "run"), ("train", "--resume", "run")),
        *(("pretrain", "--resume", "run"), ("extract", "cup-catch", "--model", "run")),
        *(("eval", "--suite", "mt4", "--model", "run"), ("gradients", "hopper", "--policy", "run")),
    )
    while True:
        Path("run").mkdir()
        Path("run/metrics.jsonl").write_bytes(b'{"iteration": 1, "env_steps": 8}\n')
        made = mutated(rng, content)
        if rng.random() < 0.3:
            made = rng.choice(names) + b": " + rng.choice([b"1", b"[1]", b"{}", b"x", b"null\n"])
        Path("run/config.yaml").write_bytes(made)
        if rng.random() < 0.3:
            Path("run/trained.yaml").write_bytes(mutated(rng, content))
        yield _command(*rng.choice(commands))


def reports(base: Path, rng: Random) -> Iterator[Action]:
    """Reports of benchmarks, compared."""
    series = {"name": "a", "unit": "s", "samples": [1.0, 1.1, 0.9, 1.2, 1.0]}
    report = {
        "benchmark": "sim",
        "config": {"task": "hopper", "worlds": [1, 2]},
        "date": "2026-01-01 00:00",
        "system": {"cpu": "x", "cores": 2, "devices": ["cpu"], "commit": "abc"},
        "series": [series, {**series, "name": "b", "more_is_better": True, "exact": True}],
        "details": None,
    }
    content = json.dumps(report, indent=1).encode()
    while True:
        Path("a.json").write_bytes(mutated(rng, content, WORDS))
        Path("b.json").write_bytes(content if rng.random() < 0.5 else mutated(rng, content, WORDS))
        yield _command("bench", "compare", *rng.sample(["a.json", "b.json"], 2))


def _command(*args: str) -> Action:
    return lambda: cli.main([*args])
