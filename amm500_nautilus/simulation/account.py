"""The ledger reported as the engine's account, in the shape that all engines share."""

from decimal import Decimal
from typing import Any

from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.objects import MarginBalance
from nautilus_trader.model.objects import Money

from amm500_nautilus.simulation.client import VenueExecClient
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.tiers import NANO
from amm500_nautilus.simulation.tiers import cut_micro
from amm500_nautilus.simulation.units import VenueUnits


class AccountReports:
    """
    Sends the ledger as ``AccountState``.

    Parameters
    ----------
    config : VenueConfig
        Dex, collateral and its price.
    ledger : Ledger
        The account.
    units : VenueUnits
        The collateral currency.
    instrument_id : InstrumentId
        The instrument that margins are reported for.

    """

    def __init__(self, config: VenueConfig, ledger: Ledger, units: VenueUnits, instrument_id: Any) -> None:
        self._config = config
        self._ledger = ledger
        self._currency = units.currency
        self._nano_raw = units.nano_raw
        self._instrument_id = instrument_id
        self.client: VenueExecClient | None = None
        self.sent = 0

    def report(self, ts_ns: int) -> None:
        """
        Send the account as it is.

        ``initial`` is margin held by orders and ``maintenance`` the position's margin, so that the engine's sum of the two
        is what is locked; the venue's maintenance margin and the ratios are in ``info``.
        """
        if self.client is None:
            return
        ledger = self._ledger
        used = ledger.margin_used_nano
        order_margin = cut_micro(ledger.order_nano, ledger.leverage)
        total = ledger.balance_nano
        locked = min(max(total, 0), max(0, used) + order_margin)
        self.sent += 1
        self.client.generate_account_state(
            balances=[AccountBalance(self._money(total), self._money(locked), self._money(total - locked))],
            margins=[
                MarginBalance(self._money(order_margin), self._money(max(0, used)), self._instrument_id)
            ],
            reported=True,
            ts_event=ts_ns,
            info=self.info(ts_ns),
        )

    def info(self, ts_ns: int) -> dict[str, Any]:
        """
        Return what an ``AccountState`` carries beside balances: amounts as text, ratios as numbers.

        ``margin_used`` is what the venue calls so, without the margin of orders, which ``order_margin`` is;
        ``mark_price`` is what the position was valued at, ``liquidation_price`` is None when flat, ``collateral_price`` is in
        USD; ``funding`` and ``net_transfers`` are sums since the start.
        """
        ledger, config = self._ledger, self._config
        ratios = ledger.ratios
        liquidation_price = ledger.liquidation_price
        return {
            "equity": money_text(ledger.equity_nano),
            "margin_used": money_text(ledger.margin_used_nano),
            "order_margin": money_text(cut_micro(ledger.order_nano, ledger.leverage)),
            "maintenance": money_text(ledger.maintenance_nano),
            "margin_ratio": ratios.margin_ratio,
            "position_margin_ratio": ratios.position_margin_ratio,
            "maintenance_ratio": ratios.maintenance_ratio,
            "withdrawable": money_text(ledger.withdrawable_nano),
            "dex": config.dex,
            "collateral": config.collateral,
            "account_mode": config.account_mode.value,
            "margin_mode": ledger.mode.value,
            "leverage": ledger.leverage,
            "liquidation_price": None if liquidation_price is None else f"{liquidation_price:.6f}",
            "mark_price": str(ledger.shape.tick * ledger.mid2_ticks / 2),
            "funding": money_text(ledger.funding_nano),
            "net_transfers": money_text(ledger.transfers_nano),
            "collateral_price": str(config.collateral_price_at(ts_ns)),
        }

    def _money(self, nano: int) -> Money:
        return Money.from_raw(nano * self._nano_raw, self._currency)


def money_text(nano: int) -> str:
    """Return an amount of 1e-9 units as text with no more digits than it has."""
    if nano % 1_000 == 0:
        sign, micro = ("-" if nano < 0 else ""), abs(nano) // 1_000
        return f"{sign}{micro // 10**6}.{micro % 10**6:06d}"
    return str(Decimal(nano) / NANO)
