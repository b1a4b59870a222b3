"""The simulated exchange: ledger, fills with a queue, latency, venue rules."""
