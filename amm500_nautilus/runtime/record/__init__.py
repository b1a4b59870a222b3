"""Sessions kept on disk: of a market alone, or of a run."""
