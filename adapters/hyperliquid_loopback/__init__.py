"""A local server that speaks the venue's read-only info protocol."""
