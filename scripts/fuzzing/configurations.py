"""Presets: values of every type for every field, and YAML files that were changed."""

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal, Union, get_args, get_origin

import hypothesis
import yaml
from hypothesis import strategies as st

from fuzzing.texts import mutated
from fuzzing.watch import Action
from mjxwm.algos import ALGORITHMS
from mjxwm.runs import build, folders, presets
from mjxwm.runs.config import Config

_MOST = 20
"""Examples that are drawn at once."""

_ANY_SPEED = [
    hypothesis.HealthCheck.too_slow,
    hypothesis.HealthCheck.data_too_large,
    hypothesis.HealthCheck.large_base_example,
]

PIECES = (
    *("base: debug", "base: [debug]", "base: c.yaml", "base: ../../etc/passwd", "base: {a: 1}"),
    *("!!python/object/apply:os.system ['touch run-by-a-file']", "!!python/name:os.system"),
    *("!!set {a, b}", "!!binary aGk=", "!!timestamp 2026-01-01", "!!omap [a: 1]", "!<tag:x> 1"),
    *("&a", "*a", "<<: *a"),
    *("algorithm: ppo", "algorithm: extract", "algorithm: pretrain", "algorithm: [pwm]", "algo: 3"),
    *("task: nosuch", "task: a:b", "task: gymnasium/No-v0", "task: 3", "seed: -1", "devices: all"),
    *("data: ''", "data: /proc", "task_fields: {episode_length: 0}", "task_fields: {x: [1]}"),
    *("task_folder: /nowhere", "randomise: {mass: [9, 1]}", "engine: warp", "eval_engine: mjx"),
)
"""Lines and tags with a meaning."""


def values(hint: Any, algorithm: str = "pwm") -> st.SearchStrategy[Any]:
    """Values for a field of this type, mostly of it, sometimes of another."""
    return st.one_of(_fitting(hint, algorithm), _fitting(hint, algorithm), _odd())


def _odd() -> st.SearchStrategy[Any]:
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**31, 2**32, 2**63, -1, 0]),
        st.sampled_from([400, 5000]).map(lambda digits: 16**digits),  # as 0xfff... in YAML
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["nan", "1e9999", "3e-4", "x" * 20_000, "a\nb", "\ud800"]),
    )
    return st.recursive(
        plain,
        lambda x: st.one_of(
            st.lists(x, max_size=3), st.dictionaries(st.one_of(st.text(), st.integers()), x)
        ),
        max_leaves=6,
    )


def _fitting(hint: Any, algorithm: str) -> st.SearchStrategy[Any]:
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _fields(hint, algorithm)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_fitting(one, algorithm) for one in args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_fitting(args[0], algorithm), max_size=4)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["episode_length", "x", "ctrl_dt"]), _odd())
    kinds = {
        int: st.one_of(st.integers(0, 64), st.integers(-3, 2**40)),
        float: st.one_of(st.floats(0, 1), st.floats()),
        bool: st.booleans(),
        str: st.text(max_size=8),
        type(None): st.none(),
    }
    return kinds.get(hint, _odd())


def _fields(cls: type, algorithm: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of a class's fields; now and then one that it does not have."""
    hints = typing.get_type_hints(cls)
    if cls is Config:
        hints |= {"algo": ALGORITHMS[algorithm].config}
    names = [field.name for field in dataclasses.fields(cls)]
    chosen = st.lists(st.sampled_from(names), unique=True, max_size=4)

    def drawn(some: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        fixed = {name: values(hints[name], algorithm) for name in some}
        if cls is Config:  # foreign suites start processes: their names are left out
            known = st.sampled_from(["cartpole-swingup", "hopper", "nosuch", "a:b", "", "x/y"])
            fixed |= {"task": known, "algorithm": st.just(algorithm)} if "task" in some else {}
            fixed["algorithm"] = st.just(algorithm)
        unknown = st.dictionaries(st.text(max_size=4), _odd(), max_size=1)
        known_fields = st.fixed_dictionaries(fixed)
        both = st.tuples(unknown, known_fields).map(lambda two: {**two[0], **two[1]})
        return st.one_of(known_fields, both)

    return chosen.flatmap(drawn)


def configurations() -> st.SearchStrategy[dict[str, Any]]:
    """Plain values for a run's configuration, of any algorithm."""
    return st.sampled_from(sorted(ALGORITHMS)).flatmap(lambda name: _fields(Config, name))


def fields(base: Path, rng: Random) -> Iterator[Action]:
    """Configurations that hypothesis makes of the fields' types, built as for a run."""
    while True:
        drawn: list[dict[str, Any]] = []

        # The function is run within this turn of the loop.
        @hypothesis.seed(rng.getrandbits(32))
        @hypothesis.settings(
            max_examples=_MOST,
            database=None,
            deadline=None,
            derandomize=False,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=_ANY_SPEED,
        )
        @hypothesis.given(configurations())
        def draw(example: dict[str, Any]) -> None:
            drawn.append(example)  # noqa: B023

        draw()
        for example in drawn:
            yield functools.partial(use, example)


def use(example: dict[str, Any]) -> None:
    """Builds a configuration; what is built is the same after it was written and read again."""
    config = presets.from_dict(Config, example)
    build.build(config)
    path = Path("again.yaml")
    presets.save_yaml(config, path)
    again = presets.load_yaml(Config, path)
    assert repr(again) == repr(config), f"{again} was {config}"


def files(base: Path, rng: Random) -> Iterator[Action]:
    """Files of presets after changes, read and built as `mjxwm train FILE` does."""
    shipped = [path.read_bytes() for path in sorted(presets.presets_folder().glob("*.yaml"))]
    whole = yaml.safe_dump(presets.to_dict(presets.load_preset(Config, "debug"))).encode()
    while True:
        content = rng.choice([*shipped, whole])
        made = rng.choice([_traps, _piece, mutated, mutated, mutated])(rng, content)
        Path("c.yaml").write_bytes(made)
        yield _read


def _read() -> None:
    # The kind of a folder, too, is read from such a file.
    folder = Path("run")
    folder.mkdir()
    (folder / "config.yaml").write_bytes(Path("c.yaml").read_bytes())
    folders.kind(folders.RunFolder(folder))
    use(presets.to_dict(presets.load_preset(Config, "c.yaml")))


def _piece(rng: Random, content: bytes) -> bytes:
    lines = content.decode().split("\n")
    piece = rng.choice(PIECES)
    lines.insert(rng.randrange(len(lines) + 1), piece)
    return "\n".join(lines).encode()


def _traps(rng: Random, content: bytes) -> bytes:
    """Files that are small and become large, deep, or endless."""
    deep = rng.choice([10, 100, 1000, 10_000])
    bomb = "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else '1'] * 9)}]\n" for i in range(9)
    )
    inner = ["1", *(f"*a{i}" for i in range(12))]
    as_fields = "".join(
        f"  a{i}: &a{i} {{{', '.join(f'{name}: {inner[i]}' for name in 'bcdefg')}}}\n"
        for i in range(12)
    )
    return rng.choice(
        [
            bomb,
            f"task_fields:\n{as_fields}",
            f"seed: {'[' * deep}",
            f"seed: {'[' * deep}{']' * deep}",
            f"task_fields: {'{a: ' * deep}1{'}' * deep}",
            "\n".join(f"{'  ' * i}algo:" for i in range(min(deep, 1000))),
            "task_fields: &a {b: *a}",
            "algo: &a\n  model: *a",
            "base: c.yaml",
            f"task: {'x' * 10**6}",
            f"{'x' * 10**6}: 1",
            "# comment\n" * 10**5,
            "seed: 0x" + "f" * 10**4,
            f"algo: {{policy: {{actor: [{'1, ' * 10**4}]}}}}",
            "<<: [*a, {seed: 1}]",
            "? [a, b]\n: 1",
            "? {a: b}\n: 1",
            "{{a: 1}: 2}",
            "--- \n...\n---\nseed: 1",
            "%YAML 9.9\n---\nseed: 1",
            "\ufeff\ufeffseed: 1",
            "seed: 1\0",
        ]
    ).encode()
