"""The command line: `mjxwm COMMAND ...`; `usage.USAGE` has the commands.

Nothing heavy is imported before a command is known: help and mistakes in names are said at once.
"""

import contextlib
import importlib
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mjxwm import ConfigError, GuardError, __version__
from mjxwm.cli import warning_lines
from mjxwm.cli.arguments import mistakes
from mjxwm.cli.arguments.usage import GROUPS, USAGE, group_usage
from mjxwm.runs import exits, output, progress, stops

COMMANDS = {
    "train": "training.train",
    "eval": "training.evaluate",
    "view": "view.view",
    "export": "export.export",
    "replay": "replay.replay",
    "collect": "collect.collect",
    "pretrain": "multitask.pretrain",
    "extract": "multitask.extract",
    "import": "import_.import_",
    "report": "report.report",
    "plot": "plot.plot",
    "score": "score.score",
    "compare": "compare.compare",
    "study": "study.study",
    "gradients": "gradients.gradients",
    "pool": "pool.pool",
    "bench": "bench.bench",
    "envs": "envs.envs",
    "doctor": "doctor.doctor",
    "completion": "completion.completion",
}
"""Module of `mjxwm.cli` and function of each command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status, of `exits`. A user's mistake is one line.

    Args:
        argv: command and options. By default they are the process's: then its signals are
            answered, too.
    """
    if argv is not None:
        return _status(list(argv))
    stops.watch()
    if not {"-h", "--help", "--help-all"} & set(sys.argv):
        progress.watch()
    warning_lines.install()
    status = _status(sys.argv[1:])
    if (left_out := warning_lines.summary()) and not output.is_quiet():
        print(left_out, file=sys.stderr)
    if stops.received() is not None:
        _leave_others()
        stops.end(status)  # at once: programs may still be compiling
    return status


def _status(args: list[str]) -> int:
    _printable()
    quiet = "--quiet" in args  # of every command
    output.be_quiet(quiet)
    try:
        return _run([a for a in args if a != "--quiet"] if quiet else args)
    except BrokenPipeError:
        if not _reader_is_gone():  # another pipe, such as an environment's process
            raise
        output.discard(sys.stdout)
        number = stops.received()
        return exits.DONE if number is None else exits.of_signal(number)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return exits.of_signal(signal.SIGINT)
    except stops.Stopped as stop:
        print(stop, file=sys.stderr)
        return stop.status
    except GuardError as error:
        print(f"stopped: {error}", file=sys.stderr, flush=True)
        _report(error.folders)
        return exits.GUARD
    except Exception as error:
        line = mistakes.line(error)
        if line is None:  # not a user's: the traceback is what helps
            raise
        print(f"error: {line}", file=sys.stderr)
        return getattr(error, "status", exits.MISTAKE)


def _report(stopped: Sequence[Path]) -> None:
    """Writes the pages about runs that the guard has stopped."""
    from mjxwm.reports import outcome
    from mjxwm.runs.folders import RunFolder

    for path in stopped:
        outcome.page(RunFolder(path))


def _leave_others() -> None:
    """Tells the other processes of a run that this one has not failed."""
    jax = sys.modules.get("jax")
    if jax is not None and jax.distributed.is_initialized():
        jax.distributed.shutdown()


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        return _say(USAGE)
    if args[0] in ("--version", "-V"):
        return _say(f"mjxwm {__version__}")
    if args[0] in GROUPS and args[1:2] in (["-h"], ["--help"], ["help"]):
        return _say(group_usage(args[0]))
    return command(args[0])(args[1:])


def _say(text: str) -> int:
    print(text, flush=True)
    return 0


def command(name: str) -> Callable[[list[str]], int]:
    """The function of a command, of its arguments; its module is loaded.

    Raises:
        ConfigError: there is no such command.
    """
    if name not in COMMANDS:
        from mjxwm_envs.fields import nearest  # loads MuJoCo

        raise ConfigError(
            f"command {name!r} is unknown{nearest(name, COMMANDS)}. There are: "
            f"{', '.join(COMMANDS)}; `mjxwm --help` says what they do"
        )
    _compilation_cache()
    module, function = COMMANDS[name].split(".")
    with progress.loading():
        return getattr(importlib.import_module(f"mjxwm.cli.{module}"), function)


def _reader_is_gone() -> bool:
    """Whether what reads the output, such as `head`, has seen enough."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a stream that is no file
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _printable() -> None:
    """Letters that a terminal or a log cannot show are escaped, where they would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _compilation_cache() -> None:
    """Compiled programs are kept between runs, unless JAX's own variable says where or not."""
    try:
        named = os.environ.get("XDG_CACHE_HOME", "")
        home = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    except RuntimeError:  # this user has no home
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "mjxwm" / "xla"))
