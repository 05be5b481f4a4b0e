"""Node types: one file each, one line in REGISTRY."""
