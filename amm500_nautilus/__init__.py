"""A market maker for equity-index perpetuals on Hyperliquid HIP-3 exchanges."""
