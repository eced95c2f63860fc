"""Writing files whole or not at all, temporary arrays, and signals that wait."""
