"""A market maker for equity-index perpetuals on Hyperliquid HIP-3 exchanges."""

import sys

from amm500_nautilus import loading


# before the engine, which takes a second to load
loading.begin(sys.argv[0] if sys.argv else "")

from hyperliquid_hip3.currency import USDH  # noqa: E402


__all__ = ["USDH"]
