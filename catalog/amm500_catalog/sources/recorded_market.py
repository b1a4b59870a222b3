"""What a recording shows of its market: the instrument, its lot and tick, and the level of its prices."""

from decimal import Decimal
from typing import Final

import numpy as np
from nautilus_trader.model.instruments import Instrument

from amm500_catalog.errors import InputError
from amm500_catalog.sources.sound import FARTHEST
from amm500_catalog.sources.sound import Scale
from amm500_catalog.spec import MarketSpec
from hyperliquid_hip3.constants import MAX_PERP_DECIMALS
from hyperliquid_hip3.constants import MAX_SIGNIFICANT_FIGURES
from hyperliquid_hip3.instruments import make_instrument


# szDecimals and first-tier leverage that the venue's `meta` declared for coins of the validator dex
MAIN_DEX: Final = {"BTC": (5, 40), "ETH": (4, 25), "SOL": (2, 20)}
# for a coin without known facts: a leverage every coin of the venue has
LOWEST_MAX_LEVERAGE: Final = 3

# the lowest prices do not tell the tick where they lie this many times under all others and are at most this share of them
APART: Final = 1.2
FEW: Final = 0.01
# among fewer prices a single one may be as good as the rest
ENOUGH: Final = 10


def market_of(coin: str, sizes: np.ndarray, prices: np.ndarray | None = None) -> MarketSpec:
    """
    Return the facts of a coin of the validator dex; the size decimals of an unknown one are those its sizes show.

    Parameters
    ----------
    coin : str
        The coin.
    sizes : numpy.ndarray
        Sizes of its book and trades.
    prices : numpy.ndarray, optional
        Their prices: of those that the venue has, price and size share six decimals, so that one absurd size does not take them all.

    """
    most = MAX_PERP_DECIMALS if prices is None else MAX_PERP_DECIMALS - _price_decimals(prices)
    shown = next((digits for digits in range(most) if _is_written_in(sizes, digits).all()), most)
    decimals, leverage = MAIN_DEX.get(coin, (shown, LOWEST_MAX_LEVERAGE))
    return MarketSpec(
        coin=coin,
        collateral="USDC",
        sz_decimals=decimals,
        max_leverage=leverage,
        growth_mode=False,
        deployer_fee_scale=0.0,
    )


def instrument_of(spec: MarketSpec, prices: np.ndarray, *, ts_ns: int) -> Instrument:
    """
    Return the instrument whose tick is the venue's at the recording's lowest price, of those that are of its market.

    Parameters
    ----------
    spec : MarketSpec
        The market's facts.
    prices : numpy.ndarray
        The recording's prices; NaN and what is no price are passed over, and so are a few that lie apart from all others.
    ts_ns : int
        The time of the facts, ns UTC.

    Raises
    ------
    InputError
        If no price is positive.

    """
    usual = _usual(prices)
    if not len(usual):
        raise InputError("there is no price above zero", spec.coin, "recorded prices")
    return make_instrument(spec, Decimal(repr(float(usual[0]))), ts_ns)


def scale_of(instrument: Instrument, prices: np.ndarray) -> Scale:
    """Return what a recording's prices and sizes are measured by; of its ``prices`` at least one must be positive."""
    return Scale(
        float(np.median(_positive(prices))),
        float(instrument.price_increment),
        float(instrument.size_increment),
    )


def _positive(prices: np.ndarray) -> np.ndarray:
    flat = prices.ravel()
    found: np.ndarray = flat[np.isfinite(flat) & (flat > 0)]
    return found


def _usual(prices: np.ndarray) -> np.ndarray:
    """Return the prices of the market itself in order, without those that lie far from their median or, a few, apart below."""
    found: np.ndarray = np.sort(_positive(prices))
    if not len(found):
        return found
    usual = found[len(found) // 2]
    found = found[(found >= usual / FARTHEST) & (found <= usual * FARTHEST)]
    few = max(int(FEW * len(found)), int(len(found) >= ENOUGH))
    below = np.flatnonzero(found[1:] > found[:-1] * APART) + 1
    below = below[below <= few]
    return found[below[-1] :] if len(below) else found


def _price_decimals(prices: np.ndarray) -> int:
    """Return the decimals that nearly all prices are written in, at most those that the venue's five figures leave."""
    usual = _usual(prices)
    if not len(usual):
        return 0
    figures = MAX_SIGNIFICANT_FIGURES - 1 - int(np.floor(np.log10(usual[len(usual) // 2])))
    most = min(max(figures, 0), MAX_PERP_DECIMALS)
    enough = 1 - FEW
    return next((digits for digits in range(most) if _is_written_in(usual, digits).mean() >= enough), most)


def _is_written_in(values: np.ndarray, digits: int) -> np.ndarray:
    is_near: np.ndarray = np.isclose(values, np.round(values, digits), rtol=0, atol=1e-9, equal_nan=True)
    return is_near
