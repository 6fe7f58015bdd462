import dataclasses
from typing import Any, Literal

import pytest

from mjxwm import config, train
from mjxwm.budget import Replayed
from mjxwm.config import ConfigError


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
    cfg = config.load_yaml(Outer, path)
    assert cfg == Outer(rate=3e-4, seed=5, fields={"a": 1}, inner=Inner((8, 4), "b"))
    rate = config.from_dict(Outer, {"rate": 2}).rate
    assert (rate, type(rate)) == (2.0, float)
    assert config.from_dict(Outer, {"seed": None}).seed is None


def test_round_trip(tmp_path):
    cfg = Outer(rate=1e-5, flag=True, fields={"b": [1, 2]}, inner=Inner((1,), "b"))
    assert config.from_dict(Outer, config.to_dict(cfg)) == cfg
    config.save_yaml(cfg, tmp_path / "c.yaml")
    assert config.load_yaml(Outer, tmp_path / "c.yaml") == cfg


@pytest.mark.parametrize("name", config.preset_names())
def test_presets_are_read_and_survive_a_round_trip(name, tmp_path):
    cfg = config.load_preset(train.Config, name)
    config.save_yaml(cfg, tmp_path / "c.yaml")
    assert config.load_preset(train.Config, str(tmp_path / "c.yaml")) == cfg
    if isinstance(cfg.algo, Replayed):
        assert not cfg.algo.remarks()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rat": 1.0}, "field 'rat' is unknown; did you mean 'rate'"),
        ({"inner": {"size": [1]}}, "inner: field 'size' is unknown; did you mean 'sizes'"),
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
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        config.from_dict(Outer, values)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'debgu' is unknown; did you mean 'debug'.*There are:"):
        config.load_preset(train.Config, "debgu")


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: [1")
    with pytest.raises(ConfigError, match=r"c\.yaml is not valid YAML"):
        config.load_yaml(Outer, path)
