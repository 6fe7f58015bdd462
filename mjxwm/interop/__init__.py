"""Others' files: checkpoints and data of TD-MPC2 and PWM. Needs torch, to read them alone."""

from mjxwm.interop.checkpoints import Imported, read_checkpoint
from mjxwm.interop.chunks import check_chunk, read_chunk

__all__ = ["Imported", "check_chunk", "read_checkpoint", "read_chunk"]
