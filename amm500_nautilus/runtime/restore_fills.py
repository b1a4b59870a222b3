"""The fills of a journal that was damaged, read again from the venue that knows them."""

import asyncio
import time
from typing import Any

from amm500_nautilus.monitor.journal import Journal
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.errors import HyperliquidError


DAYS = 30
LOOK_S = 30.0
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
        fills = asyncio.run(_ask(url, user))
    except (HyperliquidError, TimeoutError, OSError) as error:
        return f"its fills could not be read from the venue ({error}); they are missing here"
    ours = [fill for fill in fills if fill.coin == coin]
    for fill in ours:
        journal.write(
            "fill",
            ts_ns=fill.ts_ns,
            coin=fill.coin,
            tid=f"{fill.ts_ns // 1_000_000}-{fill.trade_id}",
            run=0,
            client_order_id=fill.cloid,
            side=fill.side,
            price=f"{fill.price:f}",
            size=f"{fill.size:f}",
            fee=f"{fill.fee:f}",
            closed_pnl=f"{fill.closed_pnl:f}",
            maker=int(not fill.is_taker),
            position=f"{fill.start_position + fill.side * fill.size:f}",
        )
    return f"{len(ours)} fills of {coin} in the last {DAYS} days were read again from the venue"


async def _ask(url: str, user: str) -> tuple[Any, ...]:
    client = VenueClient(url, timeout_s=3.0, retries=1, deadline_s=10.0)
    async with asyncio.timeout(LOOK_S):
        return await client.user_fills_by_time(user, (time.time_ns() - DAYS * 86_400 * NS) // 1_000_000)
