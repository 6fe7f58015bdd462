"""Locomotion tasks, one per file."""
