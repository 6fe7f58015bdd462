"""Runs what reads an input, and judges what came of it.

An input is used, or refused in one line with status 2. Everything else is a fault of the program: a
traceback, a hang, a process that is started or a file that is changed outside of the work folder.
"""

import contextlib
import functools
import io
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm.cli.arguments import mistakes

Action = Callable[[], Any]
"""Reads one input. Its result is an exit status, or anything else where the input was used."""


class Verdict(NamedTuple):
    """What came of one input."""

    what: str
    """used, refused, or fault."""
    words: str
    """The message of a refusal; what is wrong, and where, for a fault."""


class WorkBegins(BaseException):
    """Raised where the work itself would begin, which is not what is tried here."""


class _Hang(BaseException):
    """The time of an input is over."""


_CHANGES = {
    **{f"os.{name}": (0,) for name in ("remove", "rmdir", "mkdir", "truncate", "chmod", "chown")},
    **{f"os.{name}": (0, 1) for name in ("rename", "link", "symlink")},
    "shutil.rmtree": (0,),
}
"""Events of the interpreter that change files, and which of their arguments are paths."""
_PROCESSES = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen")
_OUR_PROCESSES = ("git", "ldconfig", "gcc", "cc", "ld", "lscpu", "uname")
"""Programs that are started whatever the input is: the commit, libraries of renderers."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Watch:
    """Notes forbidden events; `sys.addaudithook` cannot be undone, so there is one for ever."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITES:
                self._changes(event, path)
        elif event in _CHANGES:
            for place in _CHANGES[event]:
                self._changes(event, args[place])
        elif event in _PROCESSES:
            program = os.path.basename(str(args[0]))
            if program not in _OUR_PROCESSES:
                self.seen.append(f"{event} {program}")

    def _changes(self, event: str, path: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # by the number of an open file, whose opening was seen
        place = os.path.abspath(os.fsdecode(path))
        assert self.allowed is not None
        if "__pycache__" in place or place.startswith(self.allowed):
            return
        if event != "open" or not os.path.isdir(place):  # a file without a name, in a folder
            self.seen.append(f"{event} {place}")


@functools.cache
def _one_watch() -> _Watch:
    return _Watch()


@contextlib.contextmanager
def _watched(folder: Path) -> Iterator[list[str]]:
    """Context in which events outside of `folder` and of the machine's caches are noted."""
    watch = _one_watch()
    home = Path.home()
    caches = [os.environ.get("JAX_COMPILATION_CACHE_DIR"), home / ".cache", "/dev", "/proc"]
    caches.append(home / ".config" / "matplotlib")
    # Where the input itself is, and what lies beside the work folder, is watched all the same.
    temporary = Path(tempfile.gettempdir()) / "tmp"
    watch.seen = []
    watch.allowed = tuple(str(p) for p in (folder.resolve(), temporary, *caches) if p)
    try:
        yield watch.seen
    finally:
        watch.allowed = None


def judge(action: Action, folder: Path, seconds: float = 60.0) -> Verdict:
    """Runs an action in a folder.

    Args:
        action: what reads the input.
        folder: the work folder, the current one meanwhile; nothing outside of it may change.
        seconds: after which it is a hang.
    """
    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    handler = signal.signal(signal.SIGALRM, _over)
    os.chdir(folder)
    try:
        with _watched(folder) as seen:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                with _quiet(out, err):
                    verdict = _verdict(action, err)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, handler)
        os.chdir(before)
    return Verdict("fault", f"forbidden: {', '.join(seen[:3])}") if seen else verdict


@contextlib.contextmanager
def _quiet(out: io.StringIO, err: io.StringIO) -> Iterator[None]:
    """Context in which what is printed is kept; warnings of libraries are no part of a message."""
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _over(number: int, frame: Any) -> None:
    raise _Hang


def _verdict(action: Action, err: io.StringIO) -> Verdict:
    try:
        status = action()
    except WorkBegins:
        return Verdict("used", "")
    except _Hang as error:
        return Verdict("fault", f"hang {_place(error)}")
    except SystemExit as end:  # of the parser of options, which has a text of its own
        return _refused(end.code, "option", one_line=False)
    except BaseException as error:
        line = mistakes.line(error)
        if line is None:
            return Verdict("fault", f"traceback {_place(error)} {type(error).__name__}: {error}")
        return _refused(2, line)
    lines = err.getvalue().rstrip("\n")
    is_status = isinstance(status, int) and not isinstance(status, bool) and status != 0
    return _refused(status, lines) if is_status else Verdict("used", "")


def _refused(status: Any, text: str, one_line: bool = True) -> Verdict:
    """The verdict on an exit status and what was said with it."""
    if status in (0, None):
        return Verdict("used", "")
    if status != 2:
        return Verdict("fault", f"status {status}: {text[:300]}")
    if one_line and (not text or len(text.splitlines()) != 1 or len(text) > _LONGEST):
        return Verdict("fault", f"{len(text.splitlines())} lines, {len(text)} letters: {text!r}")
    return Verdict("refused", text)


_LONGEST = 3000
"""Letters of a message that a person may still read."""


def _place(error: BaseException) -> str:
    """Where an exception comes from: the innermost line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "mjxwm" in f.filename and "fuzzing" not in f.filename]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "elsewhere"
