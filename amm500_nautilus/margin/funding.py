"""Funding: the premium, the hourly rate that follows from it, and the payment."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN
from decimal import Decimal

from amm500_nautilus.margin.rounding import MONEY_STEP
from amm500_nautilus.margin.rounding import cut


FUNDING_STEP = MONEY_STEP
RATE_STEP = Decimal("0.0000000001")
HOUR_NS = 3_600_000_000_000
HOURS_OF_RATE = 8
IMPACT_NOTIONAL = Decimal(6_000)
SAMPLE_SECONDS = 5

# an hour, as observed for km markets on 2026-05-30: 0.0000057078 (5.0 % a year)
BASELINE_HOURLY_RATE = Decimal("0.000005708")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingTerms:
    """
    What decides the funding of a market.

    Parameters
    ----------
    interest : Decimal
        Interest for eight hours; the venue's default is 0.01 %, a deployer may set -1 % to 1 %.
    multiplier : Decimal
        What a deployer scales the rate by, 0 to 10.
    clamp : Decimal
        How far interest less premium may pull the rate for eight hours; 0.05 % on the validators' dex (venue docs,
        funding), 0.03 % the default of builder-deployed markets (``assetToFundingClamp``).
    cap : Decimal
        Largest rate of an hour, either sign.

    """

    interest: Decimal = Decimal("0.0001")
    multiplier: Decimal = Decimal(1)
    clamp: Decimal = Decimal("0.0003")
    cap: Decimal = Decimal("0.04")

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("interest", self.interest, Decimal("-0.01"), Decimal("0.01")),
            ("multiplier", self.multiplier, Decimal(0), Decimal(10)),
            ("clamp", self.clamp, Decimal(0), Decimal(1)),
            ("cap", self.cap, Decimal(0), Decimal(1)),
        ):
            if not low <= value <= high:
                msg = f"funding {name} is {value}; allowed: {low} to {high}"
                raise ValueError(msg)


def hip3_premium(*, impact_bid: Decimal, impact_ask: Decimal, oracle_price: Decimal) -> Decimal:
    """
    Return one sample of the premium of a builder-deployed market.

    ``0.5 * (impact_bid + impact_ask) / oracle - 1`` (venue docs, funding); impact prices are the average prices of
    trading 6,000 collateral units on either side.
    """
    _check_prices(impact_bid, impact_ask, oracle_price)
    return (impact_bid + impact_ask) / 2 / oracle_price - 1


def validator_premium(*, impact_bid: Decimal, impact_ask: Decimal, oracle_price: Decimal) -> Decimal:
    """
    Return one sample of the premium of a market of the validators' dex, 0 while the oracle is between impact prices.

    ``(max(impact_bid - oracle, 0) - max(oracle - impact_ask, 0)) / oracle`` (venue docs, funding).
    """
    _check_prices(impact_bid, impact_ask, oracle_price)
    zero = Decimal(0)
    return (max(impact_bid - oracle_price, zero) - max(oracle_price - impact_ask, zero)) / oracle_price


def average_premium(samples: Sequence[Decimal]) -> Decimal:
    """
    Return the premium of an hour: the mean of its samples, one each five seconds.

    Raises
    ------
    ValueError
        If there are no samples.

    """
    if not samples:
        msg = "no premium samples; allowed: one or more (the venue takes one each 5 seconds)"
        raise ValueError(msg)
    return sum(samples, Decimal(0)) / len(samples)


def eight_hour_rate(premium: Decimal, terms: FundingTerms) -> Decimal:
    """
    Return the rate for eight hours, before multiplier and cap.

    ``premium + clamp(interest - premium)`` (venue docs, funding): within the clamp it is the interest, beyond it the
    premium less the clamp.
    """
    return premium + max(-terms.clamp, min(terms.clamp, terms.interest - premium))


def hourly_rate(premium: Decimal, terms: FundingTerms | None = None) -> Decimal:
    """
    Return the rate of an hour with the average ``premium``, to ten decimals as the venue prints it.

    An eighth of the eight-hour rate, times the multiplier, capped at 4 % an hour.
    """
    terms = FundingTerms() if terms is None else terms
    rate = eight_hour_rate(premium, terms) / HOURS_OF_RATE * terms.multiplier
    return max(-terms.cap, min(terms.cap, rate)).quantize(RATE_STEP, rounding=ROUND_HALF_EVEN)


def funding_payment(size: Decimal, oracle_price: Decimal, hourly_rate: Decimal) -> Decimal:
    """
    Return what the account receives for one hour; negative when it pays.

    The venue pays ``size * oracle price * rate``, longs to shorts at a positive rate, on the ORACLE price rather
    than the mark, and cuts to six decimals: its own example ``szi -15.0`` at ``0.00000625`` paid 2.378343 where
    15 x 25369.0 x 0.00000625 = 2.37834375 (venue docs, ``userFunding``).

    Parameters
    ----------
    size : Decimal
        Signed position in contracts; positive is long.
    oracle_price : Decimal
        The oracle price at the hour, in collateral units.
    hourly_rate : Decimal
        The rate of that hour as a fraction.

    """
    return cut(-size * oracle_price * hourly_rate)


def hour_of(ts_ns: int) -> int:
    """
    Return the number of the hour whose payment a record of ``ts_ns`` belongs to.

    The venue stamps funding records 1 to 118 ms after the hour, so the nearest hour is meant.
    """
    return (ts_ns + HOUR_NS // 2) // HOUR_NS


def _check_prices(impact_bid: Decimal, impact_ask: Decimal, oracle_price: Decimal) -> None:
    if oracle_price <= 0 or not 0 < impact_bid <= impact_ask:
        msg = f"impact prices {impact_bid} and {impact_ask} at oracle {oracle_price}; allowed: above 0, bid not above ask"
        raise ValueError(msg)
