"""The tasks: a package for each suite, a module for each body."""
