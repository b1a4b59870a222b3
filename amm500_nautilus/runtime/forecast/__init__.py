"""The volatility forecast: from a run file to a model, and from a model to a strategy."""
