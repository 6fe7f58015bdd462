"""`mjxwm completion`: a script with which a shell completes commands, presets and options."""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import tyro

from mjxwm.cli.arguments import options
from mjxwm.cli.arguments.options import parse
from mjxwm.cli.arguments.presets import multitask_presets
from mjxwm.cli.arguments.usage import GROUPS, parts
from mjxwm.runs import progress
from mjxwm.runs.presets import preset_names

_FIRST = {
    "train": ["debug"],
    "collect": ["mt4-cpu"],
    "pretrain": ["mt4-cpu"],
    "extract": ["--help-all"],
}
"""What some commands have to be called with, so that they read their options."""


@dataclasses.dataclass(frozen=True)
class _Completion:
    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """The shell."""


def completion(args: list[str]) -> int:
    """Prints the script; `source <(mjxwm completion bash)` in ~/.bashrc has it completed."""
    shell = parse(_Completion, args, "completion").shell
    with progress.step("reads    the options of all commands"):
        commands = Union[tuple(_commands())]  # noqa: UP007  of a tuple that is made here
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "script"
            _quit(commands, ["--tyro-write-completion", shell, str(target)])
            script = target.read_text(encoding="utf-8")
    sys.stdout.write(script + (_presets_in_bash() if shell == "bash" else ""))
    return 0


def _presets_in_bash() -> str:
    """What completes a preset's name, which tyro's script leaves to the shell."""
    single, many = " ".join(preset_names()), " ".join(multitask_presets())
    return f"""
_mjxwm() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" names=""
  case "${{COMP_WORDS[1]}}" in
    train) names="{single}" ;;
    collect) names="{single} {many}" ;;
    pretrain) names="{many}" ;;
  esac
  if [[ $COMP_CWORD == 2 && -n $names && $word != -* ]]; then
    COMPREPLY=($(compgen -W "$names" -- "$word"))
  else
    _tyro_mjxwm
  fi
}}
complete -o bashdefault -o default -F _mjxwm mjxwm
"""


def _quit(cls: Any, args: list[str]) -> None:
    """Has tyro do what ends with the end of the process."""
    try:
        tyro.cli(cls, args=args, prog="mjxwm", config=(tyro.conf.OmitArgPrefixes,))
    except SystemExit as end:
        if end.code:
            raise


def _commands() -> list[Any]:
    """The options of each command, as subcommands of tyro's."""
    from mjxwm import cli

    commands = []
    for name in cli.COMMANDS:
        if name == "completion":
            command: Any = _Completion
        elif name in GROUPS:
            inner = [_named(part, _options(name, [part])) for part in parts(name)]
            fields: list[Any] = [("part", Union[tuple(inner)])]  # noqa: UP007
            command = dataclasses.make_dataclass(name, fields)
        else:
            command = _options(name, _FIRST.get(name, []))
        commands.append(_named(name, command))
    return commands


def _options(name: str, args: list[str]) -> Any:
    """The dataclass of a command's options, with the names of presets before it."""
    from mjxwm import cli

    fields = options.of(cli.command(name), args)
    names = {"train": preset_names(), "collect": [*preset_names(), *multitask_presets()]}
    names["pretrain"] = multitask_presets()
    if name not in names:
        return fields
    preset = tyro.conf.Positional[Literal[tuple(names[name])]]  # pyright: ignore
    return dataclasses.make_dataclass(name, [("preset", preset), ("options", fields)])


def _named(name: str, cls: Any) -> Any:
    return Annotated[cls, tyro.conf.subcommand(name=name, prefix_name=False)]
