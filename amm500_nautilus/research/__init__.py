"""Questions asked of many runs: stress scenarios side by side on one path."""
