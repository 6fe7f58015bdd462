"""Array maths: no networks, no state."""
