"""A run on the wall clock: its modes, its account, what is checked before it, and what watches it."""
