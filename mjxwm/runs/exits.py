"""Exit statuses of the command line; `docs/commands.md` has them in a table."""

DONE = 0
"""The work is done."""
FAILED = 1
"""An unexpected error, with its traceback: Python's own status. Without one, what a command looks
for is not so: `envs check`, `replay` and `doctor`."""
MISTAKE = 2
"""A user's mistake, or a machine that lacks something; one line says what."""
GUARD = 3
"""What a run learned was no longer finite: the guard has stopped it."""
UNWRITTEN = 4
"""The work is done, but a part of it could not be written, such as the last checkpoint."""


def of_signal(number: int) -> int:
    """The status after a signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number
