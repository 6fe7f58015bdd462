"""Tasks, a module per body."""
