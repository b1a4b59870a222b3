"""A local venue that speaks Hyperliquid's protocol: market data, signed actions, accounts and faults to order."""
