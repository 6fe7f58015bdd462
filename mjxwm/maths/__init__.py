"""Arithmetic without networks: returns, running moments, two-hot codes, ranges of settings."""
