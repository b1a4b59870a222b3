"""
Fills in the order in which they happened.

Fills of one block share a time, and their trade ids are hashes (protocol: WebSocket, trades), so neither orders them; the position that
each one started from does.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from itertools import pairwise
from typing import Final

from hyperliquid_hip3.user_records import UserFill


ZERO: Final = Decimal(0)


def in_order(fills: Iterable[UserFill], left: dict[str, Decimal] | None = None) -> list[UserFill]:
    """
    Return fills by time; those of one time and coin so that each starts from the position that the one before it left.

    Parameters
    ----------
    fills : iterable of UserFill
        In any order.
    left : dict of str to Decimal, optional
        The position that the last fill of each coin left, kept from call to call; it says where fills begin that end where they began.

    """
    known = {} if left is None else left
    ordered = []
    for (_, coin), moment in groupby(sorted(fills, key=_when_and_what), _when_and_what):
        rows = list(moment)
        ordered += rows if len(rows) == 1 else _chained(rows, known.get(coin))
        known[coin] = _end(ordered[-1])
    return ordered


def _when_and_what(fill: UserFill) -> tuple[int, str]:
    return fill.ts_ns, fill.coin


def _chained(rows: list[UserFill], held: Decimal | None) -> list[UserFill]:
    """Return the path over positions that takes every fill once (Hierholzer's); the rows as they are where there is none."""
    leaving: dict[Decimal, list[UserFill]] = defaultdict(list)
    surplus: dict[Decimal, int] = defaultdict(int)
    for row in reversed(rows):
        leaving[row.start_position].append(row)
        surplus[row.start_position] += 1
        surplus[_end(row)] -= 1
    first = next((position for position, count in surplus.items() if count > 0), None)
    if first is None:
        # a circle: from flat, unless it is known to begin elsewhere, since nothing can be reduced there
        first = next(
            (at for at in (held, ZERO) if at is not None and leaving.get(at)), rows[0].start_position
        )
    way: list[tuple[Decimal, UserFill | None]] = [(first, None)]
    path: list[UserFill] = []
    while way:
        position, came_by = way[-1]
        if leaving[position]:
            row = leaving[position].pop()
            way.append((_end(row), row))
        else:
            way.pop()
            if came_by is not None:
                path.append(came_by)
    path.reverse()
    is_whole = len(path) == len(rows) and all(_end(a) == b.start_position for a, b in pairwise(path))
    # with some missing or booked before, nothing better is known than the venue's order
    return path if is_whole else rows


def _end(fill: UserFill) -> Decimal:
    return fill.start_position + fill.side * fill.size
