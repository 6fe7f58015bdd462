"""Arrays and numbers, without networks: returns, running moments, two-hot codes, ranges."""
