"""What surrounds a run on the wall clock: starting, supervising, acting without a node, judging and rebuilding."""
