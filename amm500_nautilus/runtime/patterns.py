"""Patterns that texts of a run file follow, with the words that an error says in their place."""

from typing import Any

from pydantic import Field


UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
# a pattern, and what it allows
WORDS: dict[str, str] = {}


def shaped(pattern: str, words: str) -> Any:
    """Return a pydantic field that follows a pattern, of which an error says ``words``."""
    WORDS[pattern] = words
    return Field(pattern=pattern)


DURATION = shaped(r"^[1-9]\d{0,5}[smhd]$", "a whole number with s, m, h or d, for example 90s, 6h or 7d")
ADDRESS = shaped(r"^0x[0-9a-fA-F]{40}$", "0x and 40 hex digits")
COIN = shaped(
    r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(:[A-Za-z0-9_.\-]+)?$",
    "a market's name as the venue has it, for example km:US500 or BTC",
)
TOKEN = shaped(r"^[A-Za-z0-9]{1,16}$", "a token's name, letters and digits, for example USDH")
VENUE_URL = shaped(r"^https?://[^\s/@]+/?$", "http:// or https:// and a host, without a path")
# name and password come from the environment
REDIS_URL = shaped(
    r"^rediss?://[A-Za-z0-9.\-]+(:\d{1,5})?/?$",
    "redis://HOST:PORT, or rediss:// with TLS; name and password come from the environment",
)
NAME = shaped(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$", "letters, digits and . _ -, the first a letter or digit, at most 81"
)
VARIABLE = shaped(r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", "a variable's name: letters, digits and _")
CREDENTIAL = shaped(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", "letters, digits and . _ -")
KEY = shaped(
    r"^[A-Za-z_][A-Za-z0-9_.]*$", "a key of the run file, for example strategy.quoting.ladder.levels"
)
