"""What the commands share: reading arguments, checking output paths, reporting mistakes."""
