"""What a live run quotes: the first of its candidates that trades, as the venue declares it before anything is started."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nautilus_trader.config import InstrumentProviderConfig

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.config import RunConfig
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.providers import HyperliquidInstrumentProvider


TIMEOUT_S = 3.0
DEADLINE_S = 4.0
# all candidates together: a venue that answers slowly is no venue to quote on
LOOK_S = 12.0


@dataclass(frozen=True, slots=True)
class MarketNow:
    """The instrument as the venue declares it, the best bid and ask in ticks, and why candidates before it were passed over."""

    instrument: Any
    touch: tuple[int, int]
    passed_over: tuple[str, ...] = ()

    @property
    def coin(self) -> str:
        """The coin with its dex prefix."""
        return str(self.instrument.raw_symbol)

    @property
    def mid(self) -> float:
        """The mid in collateral units."""
        return sum(self.touch) * float(self.instrument.price_increment) / 2

    @property
    def sentence(self) -> str:
        """What was chosen, in which collateral, and what was passed over."""
        passed = f"; {'; '.join(self.passed_over)}" if self.passed_over else ""
        return f"market: {self.coin}, collateral {self.instrument.info['collateral']}{passed}"


def look_at_market(url: str, coins: str | Sequence[str], *, key: str = "market.coin") -> MarketNow:
    """
    Ask the venue for the first of some markets that trades, before anything is started.

    Parameters
    ----------
    url : str
        The venue's address.
    coins : str or sequence of str
        What to look for, in this order.
    key : str, default "market.coin"
        The key of the run file that names them, for the refusal.

    Raises
    ------
    SourceUnavailableError
        If the venue does not answer within seconds.
    InputError
        If none of the markets is there, listed, and has a two-sided book.

    """
    wanted = (coins,) if isinstance(coins, str) else tuple(coins)
    host = urlsplit(url).netloc
    try:
        return asyncio.run(_first_that_trades(url, wanted, key))
    except TimeoutError as error:
        raise SourceUnavailableError(f"{host} did not answer within {LOOK_S:.0f} s") from error
    except (HyperliquidError, LookupError) as error:
        raise SourceUnavailableError(f"{url}: {error}") from error


def look_at_reference(url: str, config: RunConfig, quoted: str) -> str:
    """
    Return what is to be said of the run file's reference market, once it is known to trade; empty where there is none.

    Raises
    ------
    SourceUnavailableError
        If the venue does not answer within seconds.
    InputError
        If it does not trade there, if it is the candidate that was chosen to be quoted, or if the run is to be recorded: a recording
        holds one market, and could not be played again.

    """
    reference = config.strategy.reference
    if reference is None:
        return ""
    if config.live.record:
        raise InputError(
            "true, and a recording holds the quoted market alone",
            "live.record",
            "false, or no strategy.reference",
        )
    if reference == quoted:
        raise InputError(
            f"{reference}, which was chosen to be quoted",
            "strategy.reference",
            "its twin, for example on another dex, or none",
        )
    found = look_at_market(url, reference, key="strategy.reference")
    return f"reference market: {found.coin} at {found.mid:g}"


async def _first_that_trades(url: str, coins: tuple[str, ...], key: str) -> MarketNow:
    client = VenueClient(url, timeout_s=TIMEOUT_S, retries=1, deadline_s=DEADLINE_S)
    passed: list[str] = []
    async with asyncio.timeout(LOOK_S):
        for coin in coins:
            found = await _look(client, coin)
            if isinstance(found, MarketNow):
                return MarketNow(found.instrument, found.touch, tuple(passed))
            passed.append(f"{coin} {found}")
    raise InputError(f"{'; '.join(passed)} at {url}", key, "a market that trades")


async def _look(client: VenueClient, coin: str) -> MarketNow | str:
    """Return a market, or what keeps it from being quoted."""
    provider = HyperliquidInstrumentProvider(client, InstrumentProviderConfig(load_all=True))
    provider.want(split_coin(coin)[0], (coin,))
    try:
        await provider.load_all_async()
    except TransportError:
        raise
    except (ValueError, LookupError):
        # the dex or the coin is unknown there
        return "is not listed"
    instrument = provider.find_coin(coin)
    if instrument is None:
        return "is not listed"
    if instrument.info.get("is_delisted"):
        return "is delisted"
    book = await client.l2_book(coin)
    if not book.bids or not book.asks:
        return "has an empty side of its book"
    tick = instrument.price_increment.as_decimal()
    return MarketNow(instrument, (int(book.bids[0].price / tick), int(book.asks[0].price / tick)))
