"""Decide what to quote: pure functions and models, no clock and no engine."""
