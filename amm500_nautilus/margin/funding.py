"""The hourly funding payment."""

from decimal import ROUND_DOWN
from decimal import Decimal


FUNDING_STEP = Decimal("0.000001")
HOUR_NS = 3_600_000_000_000

# an hour, as observed for km markets on 2026-05-30: 0.0000057078 (5.0 % a year)
BASELINE_HOURLY_RATE = Decimal("0.000005708")


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
    return (-size * oracle_price * hourly_rate).quantize(FUNDING_STEP, rounding=ROUND_DOWN)


def hour_of(ts_ns: int) -> int:
    """
    Return the number of the hour whose payment a record of ``ts_ns`` belongs to.

    The venue stamps funding records 1 to 118 ms after the hour, so the nearest hour is meant.
    """
    return (ts_ns + HOUR_NS // 2) // HOUR_NS
