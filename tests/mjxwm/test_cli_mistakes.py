"""What users and their machines cause is one line, by its class; faults keep their traceback."""

import errno

import pytest

from mjxwm import cli
from mjxwm.cli import mistakes


class JaxRuntimeError(RuntimeError):
    """As JAX names what XLA raises."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), "runs/a: Permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "f/x"), "f/x: Not a directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (MemoryError("Unable to allocate 3.6 PiB"), "out of memory (Unable to allocate 3.6 PiB)"),
        (OverflowError("int too large to convert"), "too large to compute with (int too large"),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore"), "device (RESOURCE_EXHAUSTED"),
    ],
)
def test_what_a_user_can_cause_is_one_line(error, words):
    said = mistakes.line(error)
    assert said is not None
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a shape"),
        RuntimeError("RESOURCE_EXHAUSTED, but not of XLA"),
        JaxRuntimeError("INTERNAL: a kernel"),
        OSError("no file is named"),
        KeyError("name"),
    ],
)
def test_faults_of_the_program_are_not_hidden(error, monkeypatch):
    assert mistakes.line(error) is None

    def broken(args):
        raise error

    monkeypatch.setattr("mjxwm.cli.tools.doctor", broken)
    with pytest.raises(type(error)):
        cli.main(["doctor"])
