"""`python -m mjxwm.studies.child CORES ARGUMENT ...`: a command of `mjxwm` that ends with a study.

CORES are the numbers of the cores that it may use, with commas between, or `all`. Standard input is
a pipe that the study holds open: where it ends the study is gone, killed maybe, and this process
is told to stop, as by SIGTERM: a run in training is saved.
"""

import os
import runpy
import signal
import sys
import threading
import time

_PATIENCE = 300.0
"""Time that saving may take [s], after which the process ends at once."""


def main(cores: str, args: list[str]) -> None:
    """Runs the command in this process.

    Args:
        cores: the cores that it may use.
        args: the arguments of `mjxwm`.
    """
    if cores != "all" and hasattr(os, "sched_setaffinity"):  # before anybody counts them
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    threading.Thread(target=_end_with_parent, daemon=True, name="parent").start()
    sys.argv = ["mjxwm", *args]
    runpy.run_module("mjxwm", run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 4096):  # nothing is ever written there
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
