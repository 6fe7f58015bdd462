"""A preset names another as its base and holds what differs from it."""

import dataclasses

import pytest

from mjxwm import ConfigError
from mjxwm.algos.multitask import Config as MultitaskConfig
from mjxwm.runs import presets
from mjxwm.runs.config import Config


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_file_of_ones_own_changes_fields_of_a_shipped_preset(tmp_path):
    write(tmp_path, mine="base: pwm-hopper-cpu\nalgo: {gamma: 0.9, model: {encoder: [32]}}\n")
    base = presets.load_preset(Config, "pwm-hopper-cpu")
    model = dataclasses.replace(base.algo.model, encoder=(32,))  # a list replaces a list
    expected = dataclasses.replace(
        base, algo=dataclasses.replace(base.algo, gamma=0.9, model=model)
    )
    assert presets.load_preset(Config, str(tmp_path / "mine.yaml")) == expected


def test_a_base_may_have_a_base_and_be_a_file_beside(tmp_path):
    write(tmp_path, a="base: debug\nseed: 3\nepisodes: 7\n", b="base: a.yaml\nseed: 4\n")
    config = presets.load_yaml(Config, tmp_path / "b.yaml")
    expected = dataclasses.replace(presets.load_preset(Config, "debug"), seed=4, episodes=7)
    assert config == expected


def test_an_algorithm_is_inherited(tmp_path):
    write(tmp_path, mine="base: shac-hopper\ntask: ant\n")
    assert presets.load_yaml(Config, tmp_path / "mine.yaml").algorithm == "shac"


def test_multitask_presets_have_bases_too(tmp_path):
    write(tmp_path, mine="base: multitask/mt4-cpu\ndata: elsewhere\n")
    base = presets.load_yaml(MultitaskConfig, presets.presets_folder() / "multitask/mt4-cpu.yaml")
    config = presets.load_yaml(MultitaskConfig, tmp_path / "mine.yaml")
    assert config == dataclasses.replace(base, data="elsewhere")


def test_a_saved_configuration_stands_alone(tmp_path):
    config = presets.load_preset(Config, "pwm-ant-cpu")
    presets.save_yaml(config, tmp_path / "config.yaml")
    assert "base" not in presets.read_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: debgu\n", r"mine\.yaml: base: preset 'debgu' is unknown .did you mean 'debug'"),
        ("base: other.yaml\n", r"other\.yaml: there is no such file"),
        ("base: 3\n", r"base=3 is not the name of a preset"),
        ("base: mine.yaml\n", r"round in a circle: .*mine\.yaml -> .*mine\.yaml; take it out"),
        ("base: back.yaml\n", r"circle: .*mine\.yaml -> .*back\.yaml -> .*mine\.yaml; take it out"),
        ("base: list.yaml\n", r"base 'list\.yaml' is no mapping of fields"),
        (
            "base: sac-hopper\nalgorithm: ppo\n",
            r"mine\.yaml is of ppo, its base 'sac-hopper' of sac; name a base of ppo, or none",
        ),
        ("base: pwm-hopper\nalgorithm: ppo\n", r"its base 'pwm-hopper' of pwm"),
        ("base: sac-hopper\nalgorithm: pwm\n", r"is of pwm, its base 'sac-hopper' of sac"),
    ],
)
def test_a_base_that_cannot_be_taken_is_refused_by_name(text, message, tmp_path):
    write(tmp_path, mine=text, back="base: mine.yaml\n", list="- 1\n")
    with pytest.raises(ConfigError, match=message):
        presets.load_yaml(Config, tmp_path / "mine.yaml")
