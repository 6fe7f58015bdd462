"""Foreign worlds in, our worlds out."""
