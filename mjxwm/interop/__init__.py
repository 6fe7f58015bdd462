"""Files of others: checkpoints and data of TD-MPC2 and PWM, read by torch; policies in `export`."""

from mjxwm.interop.checkpoints import Imported, read_checkpoint
from mjxwm.interop.chunks import check_chunk, read_chunk

__all__ = ["Imported", "check_chunk", "read_checkpoint", "read_chunk"]
