"""A market maker for equity-index perpetuals on Hyperliquid HIP-3 exchanges."""

from hyperliquid_hip3.currency import USDH


__all__ = ["USDH"]
