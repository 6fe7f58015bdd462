"""Warnings on the command line: ours as lines, other packages' as one line that counts them."""

import sys
import sysconfig
import warnings
from collections import Counter
from typing import Any

_OURS = ("mjxwm", "mjxwm_envs")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


_lines: set[str] = set()
"""What was said: once is enough."""
_left_out: Counter[str] = Counter()
"""How many warnings were left out, by the package that warned."""


def install() -> None:
    """Has warnings shown so, unless the user has said how: by -W or PYTHONWARNINGS."""
    if not sys.warnoptions:
        warnings.showwarning = _show


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    # Who called `warnings.warn`: `filename` is the caller's caller, or somebody's further up.
    frame = sys._getframe(2)
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if package in _OURS:
        text = f"note     {message}"
        if text not in _lines:
            _lines.add(text)
            print(text, file=sys.stderr, flush=True)
    elif frame.f_code.co_filename.startswith((*_LIBRARIES, "<")):
        _left_out[package] += 1
    else:  # the user's own code
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def summary() -> str:
    """A line about the warnings that were left out; empty where none were."""
    if not _left_out:
        return ""
    number, packages = _left_out.total(), ", ".join(sorted(_left_out))
    word = "warning" if number == 1 else "warnings"
    return f"note     {number} {word} of {packages} left out; PYTHONWARNINGS=default shows them"
