"""Cells of a gradient study together: the model's gradient against the simulator's, over seeds.

A cell is the numbers of one report of `mjxwm gradients --json`: one task, stiffness, stage of
training, seed, and way in which the model was trained.
"""
