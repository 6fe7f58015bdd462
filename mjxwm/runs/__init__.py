"""A run on the host: configuration, the loop, evaluations, checkpoints, folders, devices."""
