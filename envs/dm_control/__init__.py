"""Tasks of dm_control's suite, one file per body."""
