"""HIP-3 arithmetic of fees, funding and margin: pure and exact."""
