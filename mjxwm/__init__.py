"""Policies learned through world models and through simulators, from thousands of MuJoCo worlds."""

__version__ = "0.1.0"
