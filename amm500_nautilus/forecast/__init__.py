"""The volatility forecast: features on a fixed clock, a small LSTM trained offline, and its use in a running strategy."""
