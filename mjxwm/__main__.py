"""`python -m mjxwm`, and the command `mjxwm`."""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until `main` answers signals: Ctrl-C while Python reads the first modules is no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from mjxwm.cli import main

if __name__ == "__main__":
    sys.exit(main())
