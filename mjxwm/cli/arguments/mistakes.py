"""What users and their machines cause, as one line, by the class of the cause.

What is of none of these classes is a fault of the program, and keeps its traceback.
"""

import errno

from mjxwm import ConfigError

_NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_LONGEST = 2000
"""Letters of a line: more are not read, and a value of a million would fill the terminal."""
_LESS = "take fewer worlds, smaller batches or networks, or a smaller replay (`capacity`)"


def line(error: BaseException) -> str | None:
    """The line to print for an error; None if no user or machine caused it."""
    words = _words(error)
    return None if words is None else _readable(words)


def _readable(words: str) -> str:
    """Words as one line that a person can read, whatever values of the user's they quote."""
    joined = "; ".join(part.strip() for part in words.splitlines() if part.strip())
    text = joined if joined.isprintable() else "".join(map(_printable, joined))
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def _printable(letter: str) -> str:
    """A letter, or its escape where it would move a terminal's cursor or change its colours."""
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


def _words(error: BaseException) -> str | None:
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory ({_first(error)}); {_LESS}"
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, OverflowError):
        return f"a number is too large to compute with ({_first(error)})"
    if isinstance(error, ValueError) and "[os_error_code=" in str(error):
        return _first(error)  # the disk, as the library that writes checkpoints says it
    if _is_xla(error) and "RESOURCE_EXHAUSTED" in str(error):
        return f"out of memory on the device ({_first(error)}); {_LESS}"
    return None


def _of_the_system(error: OSError) -> str | None:
    """A file or folder that cannot be read or written; None for what is about no file."""
    reason = error.strerror or type(error).__name__
    if error.filename is not None:
        # Some calls name a file by its number.
        place = "a file" if isinstance(error.filename, int) else error.filename
        return f"{place}: {reason}"
    return reason if error.errno in _NO_PLACE else None


def _is_xla(error: BaseException) -> bool:
    # By name: to import JAX for this would slow down every mistake.
    return type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError")


def _first(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
