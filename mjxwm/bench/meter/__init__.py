"""`mjxwm bench kernels`: programs compiled for a GPU that need not be here, and what they cost."""
