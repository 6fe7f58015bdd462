"""Studies: a matrix of tasks, algorithms, variants and seeds, run cell by cell into one page.

A cell is a process of its own that writes a result; what it needs, what it costs and whether it is
done is said by its kind (`cells.Cell`): `train` cells are run folders, `gradients` cells reports of
the policies of these. A study that is stopped at any moment goes on by the same command.
"""
