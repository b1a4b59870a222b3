"""Limits on what may be sent: pure."""
