"""`python -m mjxwm`, the same as the command `mjxwm`."""

import sys

from mjxwm.cli import main

if __name__ == "__main__":
    sys.exit(main())
