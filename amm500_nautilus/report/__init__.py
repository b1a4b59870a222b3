"""Record a run and say what it earned, and why."""
