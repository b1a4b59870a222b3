"""Ticks and lots of an instrument in the engine's fixed-point numbers."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nautilus_trader.model.objects import Money

from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import LedgerShape


@dataclass(frozen=True, slots=True)
class VenueUnits:
    """
    How the engine's raw numbers turn into ticks and lots.

    Parameters
    ----------
    tick_raw, lot_raw : int
        Raw value of one tick and one lot.
    price_precision, size_precision : int
        Decimals of the instrument.
    currency : Currency
        The collateral.
    nano_raw : int
        Raw money of 1e-9 collateral units.
    shape : LedgerShape
        Tick and lot as decimals.

    """

    tick_raw: int
    lot_raw: int
    price_precision: int
    size_precision: int
    currency: Any
    nano_raw: int
    shape: LedgerShape

    @classmethod
    def of(cls, instrument: Any, currency: Any) -> "VenueUnits":
        """
        Return the units of an instrument.

        Raises
        ------
        ValueError
            If the instrument does not settle in the collateral currency.

        """
        if instrument.settlement_currency != currency or instrument.quote_currency != currency:
            msg = (
                f"{instrument.id} is quoted in {instrument.quote_currency} and settles in "
                f"{instrument.settlement_currency}; allowed: {currency} for both, the account's collateral"
            )
            raise ValueError(msg)
        tick = instrument.price_increment
        lot = instrument.size_increment
        return cls(
            tick_raw=tick.raw,
            lot_raw=lot.raw,
            price_precision=instrument.price_precision,
            size_precision=instrument.size_precision,
            currency=currency,
            nano_raw=Money(1, currency).raw // NANO,
            shape=LedgerShape(Decimal(str(tick)), Decimal(str(lot))),
        )

    @property
    def tick_parts(self) -> tuple[int, int]:
        """The tick as ``(mantissa, exponent of ten)``."""
        _, digits, exponent = self.shape.tick.normalize().as_tuple()
        return int("".join(map(str, digits))), int(exponent)
