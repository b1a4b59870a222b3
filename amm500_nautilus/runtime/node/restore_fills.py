"""The fills of a journal that was damaged, read again from the venue that knows them."""

import asyncio
import time

from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.journal import last_of
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.user_records import UserFill


DAYS = 30
LOOK_S = 30.0
# before the last known fill: two of one block are told one after the other
OVERLAP_NS = 60 * 10**9
NS = 1_000_000_000


def restore_fills(journal: Journal, url: str, user: str, coin: str) -> str:
    """
    Write the account's fills of the last thirty days into a new journal, as run 0, and return what to say of it.

    The venue keeps the last 10,000 (protocol: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint). A
    venue that does not answer is no reason to stay down: the node comes up halted in any case.

    Parameters
    ----------
    journal : Journal
        Open.
    url, user, coin : str
        The venue, the account, the market.

    """
    try:
        fills = asyncio.run(_ask(url, user, time.time_ns() - DAYS * 86_400 * NS))
    except (HyperliquidError, TimeoutError, OSError) as error:
        return f"its fills could not be read from the venue ({error}); they are missing here"
    ours = [fill for fill in fills if fill.coin == coin]
    for fill in ours:
        _write(journal, fill, 0)
    return f"{len(ours)} fills of {coin} in the last {DAYS} days were read again from the venue"


def read_missed_fills(journal: Journal, url: str, user: str, coin: str, run: int) -> str:
    """
    Write the account's fills since the last one that the journal knows, and return what to say where they cannot be read.

    A node that was killed may have heard of a fill and not yet have journaled it; what traded after its end is here too. A row that is
    known is not written again.

    Parameters
    ----------
    journal : Journal
        Open.
    url, user, coin : str
        The venue, the account, the market.
    run : int
        The run that begins.

    """
    row = last_of(
        journal.path,
        "SELECT coalesce((SELECT max(ts_ns) FROM fill WHERE coin = ?), (SELECT min(started_ns) FROM run))",
        coin,
    )
    if row is None or row[0] is None:
        return ""
    try:
        fills = asyncio.run(_ask(url, user, int(row[0]) - OVERLAP_NS))
    except (HyperliquidError, TimeoutError, OSError) as error:
        return f"fills since the last run could not be read from the venue ({error})"
    for fill in fills:
        if fill.coin == coin:
            _write(journal, fill, run)
    return ""


def _write(journal: Journal, fill: UserFill, run: int) -> None:
    journal.write(
        "fill",
        ts_ns=fill.ts_ns,
        coin=fill.coin,
        tid=f"{fill.ts_ns // 1_000_000}-{fill.trade_id}",
        run=run,
        client_order_id=fill.cloid,
        side=fill.side,
        price=f"{fill.price:f}",
        size=f"{fill.size:f}",
        fee=f"{fill.fee:f}",
        closed_pnl=f"{fill.closed_pnl:f}",
        maker=int(not fill.is_taker),
        position=f"{fill.start_position + fill.side * fill.size:f}",
    )


async def _ask(url: str, user: str, since_ns: int) -> tuple[UserFill, ...]:
    client = VenueClient(url, timeout_s=3.0, retries=1, deadline_s=10.0)
    async with asyncio.timeout(LOOK_S):
        return await client.user_fills_by_time(user, since_ns // 1_000_000)
