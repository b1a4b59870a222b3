"""
What a recording holds beside the venue's own frames, in the same envelope: a socket that went down, and a book asked for by REST.

A reader that knows only the venue's channels passes both by.
"""

from typing import Any
from typing import Final

import msgspec

from hyperliquid_hip3.records import BookSnapshot


DOWN_FRAME: Final = "recorded.down"
REST_FRAME: Final = "recorded.restBook"


def own_frame(channel: str, data: dict[str, Any]) -> bytes:
    """Return the frame of something that came in none of the venue's."""
    return msgspec.json.encode({"channel": channel, "data": data})


def wire_of(book: BookSnapshot) -> dict[str, Any]:
    """Return a book as the venue writes it, for ``parse_l2_book`` to read again."""
    levels = [
        [{"px": str(level.price), "sz": str(level.size), "n": level.orders} for level in side]
        for side in (book.bids, book.asks)
    ]
    return {"coin": book.coin, "time": book.ts_ns // 1_000_000, "levels": levels}
