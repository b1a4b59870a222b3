"""The Hyperliquid HIP-3 venue: constants, precision, instruments, parsers."""
