import dataclasses
from typing import Any, Literal

import pytest

from mjxwm import ConfigError
from mjxwm.algos.budget import Replayed
from mjxwm.runs import presets
from mjxwm.runs.config import Config as RunConfig


@dataclasses.dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...] = (64, 64)
    kind: Literal["a", "b"] = "a"


@dataclasses.dataclass(frozen=True)
class Outer:
    rate: float = 3e-4
    count: int = 1
    flag: bool = False
    name: str = "x"
    seed: int | None = None
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    inner: Inner = Inner()


def test_values_are_read_into_their_types(tmp_path):
    path = tmp_path / "c.yaml"
    # YAML reads 3e-4 as a string and 2 as an int: both are meant as floats.
    path.write_text("rate: 3e-4\nseed: 5\nfields: {a: 1}\ninner: {sizes: [8, 4], kind: b}\n")
    cfg = presets.load_yaml(Outer, path)
    assert cfg == Outer(rate=3e-4, seed=5, fields={"a": 1}, inner=Inner((8, 4), "b"))
    rate = presets.from_dict(Outer, {"rate": 2}).rate
    assert (rate, type(rate)) == (2.0, float)
    assert presets.from_dict(Outer, {"seed": None}).seed is None


def test_round_trip(tmp_path):
    cfg = Outer(rate=1e-5, flag=True, fields={"b": [1, 2]}, inner=Inner((1,), "b"))
    assert presets.from_dict(Outer, presets.to_dict(cfg)) == cfg
    presets.save_yaml(cfg, tmp_path / "c.yaml")
    assert presets.load_yaml(Outer, tmp_path / "c.yaml") == cfg


@pytest.mark.parametrize("name", presets.preset_names())
def test_presets_are_read_and_survive_a_round_trip(name, tmp_path):
    cfg = presets.load_preset(RunConfig, name)
    presets.save_yaml(cfg, tmp_path / "c.yaml")
    assert presets.load_preset(RunConfig, str(tmp_path / "c.yaml")) == cfg
    if isinstance(cfg.algo, Replayed):
        assert not cfg.algo.remarks()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rat": 1.0}, "field 'rat' is unknown .did you mean 'rate'"),
        ({"inner": {"size": [1]}}, "inner: field 'size' is unknown .did you mean 'sizes'"),
        ({"inner": {"kind": "c"}}, "kind='c'; choose 'a' or 'b'"),
        ({"inner": {"sizes": [1, "two"]}}, "sizes='two' is not of type int"),
        ({"inner": {"sizes": 64}}, "sizes=64 is not of type"),
        ({"inner": 3}, "inner: expected a mapping of fields, found 3"),
        ({"rate": "fast"}, "rate='fast' is not of type float"),
        ({"rate": True}, "rate=True is not of type float"),
        ({"count": 1.5}, "count=1.5 is not of type int"),
        ({"count": True}, "count=True is not of type int"),
        ({"flag": 1}, "flag=1 is not of type bool"),
        ({"name": 3}, "name=3 is not of type str"),
        ({"seed": "five"}, "seed='five' is not of type int"),
        ([1], "expected a mapping of fields"),
        ({"fields": {1: 2}}, "fields: field 1 is no name of a field"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        presets.from_dict(Outer, values)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'debgu' is unknown .did you mean 'debug'.*There are:"):
        presets.load_preset(RunConfig, "debgu")


BOMB = b"a0: &a0 [1]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)
)
"""Nine lines that come to 100 million values."""
ODD = {
    "cut": (b"a: [1", "is not valid YAML"),
    "Latin-1": (
        "# sch\u00f6n\nrate: 1.0\n".encode("latin-1"),
        "not in UTF-8 (byte 5 is 0xf6); save",
    ),
    "UTF-16": ("rate: 1.0\n".encode("utf-16"), "not in UTF-8 (byte 0 is 0xff); save it as UTF-8"),
    "binary": (b"\0\1\2rate", "is not valid YAML"),
    "empty": (b"", "is empty: it sets no field"),
    "comments alone": (b"# rate: 1.0\n---\n", "is empty: it sets no field"),
    "a list": (b"- rate\n- 1.0\n", "expected a mapping of fields, found ['rate', 1.0]"),
    "a word": (b"rate\n", "expected a mapping of fields, found 'rate'"),
    "two documents": (b"rate: 1.0\n---\nrate: 2.0\n", "is not valid YAML"),
    "a field twice": (b"rate: 1.0\nname: x\nrate: 2.0\n", "field 'rate' is given twice"),
    "a field twice within": (b"inner: {kind: a, 'kind': b}\n", "field 'kind' is given twice"),
    "code": (b"rate: !!python/object:os.system {}\n", "is not valid YAML"),
    "a date that is none": (b"name: 2026-13-41\n", "holds a value that is none: month must be in"),
    "a number without end": (b"count: " + b"9" * 5000, "holds a value that is none"),
    "a number too large to print": (b"count: 0x" + b"f" * 5000, "holds a value that is none: int"),
    "small and endless": (
        BOMB,
        "comes to 1.03e+08 values, and no configuration has more than 100,000",
    ),
    "nested without end": (b"{a: " * 5000, "is nested too deeply"),
    "within itself": (b"fields: &f {a: *f}\n", "is not valid YAML"),
    "no value": (b"rate:\n", "rate=None is not of type float"),
    "a tab": (b"inner:\n\tkind: a\n", "is not valid YAML"),
}


@pytest.mark.parametrize(("content", "words"), ODD.values(), ids=ODD)
def test_an_odd_file_is_refused_in_one_line(content, words, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        presets.load_yaml(Outer, path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_are_utf8_whatever_the_locale(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes("\ufeffname: gr\u00f6\u00dfer # \u4e2d\n".encode())
    assert presets.load_yaml(Outer, path).name == "gr\u00f6\u00dfer"
    presets.save_yaml(Outer(name="\u4e2d"), path)
    assert presets.load_yaml(Outer, path).name == "\u4e2d"


def test_a_merged_mapping_may_be_changed(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("fields: &f {a: 1, b: 2}\ninner: {kind: b}\n")
    assert presets.load_yaml(Outer, path).fields == {"a": 1, "b": 2}
    path.write_text("fields: {<<: {a: 1, b: 2}, a: 3}\n")
    assert presets.load_yaml(Outer, path).fields == {"a": 3, "b": 2}


def test_a_file_that_is_not_there_is_no_unknown_preset(tmp_path):
    for name in ("my.yaml", "sub/my.yml", "debug.YAML"):
        with pytest.raises(ConfigError, match=f"{name}: there is no such file"):
            presets.load_preset(RunConfig, str(tmp_path / name))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"folder.yaml is a folder, not a file"):
        presets.load_preset(RunConfig, str(tmp_path / "folder.yaml"))
    (tmp_path / "mine").write_text("seed: 1")
    with pytest.raises(ConfigError, match=r"the file .*mine must end in .yaml"):
        presets.load_preset(RunConfig, str(tmp_path / "mine"))


@pytest.mark.parametrize("algorithm", ["[pwm]", "3", "{pwm: 1}", "ppwm"])
def test_an_algorithm_that_is_none_is_named(algorithm, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(f"algorithm: {algorithm}\n")
    with pytest.raises(ConfigError, match=r"algorithm .* is unknown.*There are: pwm"):
        presets.load_yaml(RunConfig, path)
