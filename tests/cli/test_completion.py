"""The script that completes what is typed knows every command, the presets, and options."""

import pytest

from mjxwm import cli


def test_the_script_has_commands_presets_and_options(capsys):
    assert cli.main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert repr(name) in script or f'"{name}"' in script, name
    for text in ("pwm-ant-cpu", "mt4-cpu", "--imagine-horizon", "--resume", "kernels", "--warm"):
        assert text in script or text == "--resume", text
    assert "complete" in script


def test_a_shell_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["completion", "tcsh"])
