"""Benchmarks: each prints a table and returns rows of plain values."""
