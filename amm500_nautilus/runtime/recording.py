"""Between the simulated venue and the recorder: the ledger's words in the report's."""

import math
from decimal import Decimal

from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.listener import LiquidationRecord
from amm500_nautilus.simulation.setup import SimulatedVenue


class RecordingListener:
    """
    Hands the venue's bookings to the recorder, and the ledger's state when the recorder asks for it.

    The venue and the recorder each need the other at construction; this stands between them until both are there.
    """

    def __init__(self) -> None:
        self._recorder: RunRecorder | None = None
        self._venue: SimulatedVenue | None = None
        self._minute_ns = 0

    def bind(self, recorder: RunRecorder, venue: SimulatedVenue) -> None:
        """Connect both sides; call it before the engine runs."""
        self._recorder = recorder
        self._venue = venue

    def account(self) -> AccountRow:
        """Return the ledger now."""
        assert self._venue is not None  # noqa: S101  bound before the run
        venue = self._venue
        ledger = venue.ledger
        ratios = ledger.ratios
        gate, liquidation_price = venue.client.gate, ledger.liquidation_price
        return AccountRow(
            equity=float(ledger.equity),
            balance=float(ledger.balance),
            position=float(ledger.position),
            mid=venue.mids.mid,
            margin_used=float(ratios.position_margin),
            order_margin=float(ratios.order_margin),
            margin_ratio=float(ratios.margin_ratio),
            maintenance_ratio=float(ratios.maintenance_ratio),
            funding_cum=float(ledger.funding),
            fees_cum=float(ledger.fees),
            liquidation_cum=float(ledger.liquidation),
            liquidations=venue.module.liquidator.count,
            transfers_cum=float(ledger.transfers),
            weight_cost_cum=float(ledger.weight_cost),
            collateral_price=float(venue.config.collateral_price_at(self._minute_ns)),
            limit_refusals=0 if gate is None else gate.refused_actions,
            address_used=math.nan if gate is None else gate.address.used,
            address_limit=math.nan if gate is None else gate.address.limit,
            liquidation_price=math.nan if liquidation_price is None else liquidation_price,
            leverage=ledger.leverage,
        )

    def on_ledger_fill(self, fill: LedgerFill) -> None:
        """Pass a fill on."""
        assert self._recorder is not None  # noqa: S101  bound before the run
        self._recorder.on_ledger_fill(fill)

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """Pass a markout on."""
        if self._recorder is not None:
            self._recorder.on_markout(fill_index, horizon_s, mid)

    def on_funding(self, ts_ns: int, amount: Decimal, rate: Decimal, oracle_px: Decimal) -> None:
        """Pass a funding payment on."""
        if self._recorder is not None:
            self._recorder.on_funding(ts_ns, amount, rate, oracle_px)

    def on_liquidation(self, record: LiquidationRecord) -> None:
        """Pass a liquidation on."""
        if self._recorder is not None:
            self._recorder.on_liquidation(record)

    def on_transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Pass a transfer on."""
        if self._recorder is not None:
            self._recorder.on_transfer(ts_ns, amount)

    def on_minute(self, ts_ns: int) -> None:
        """Pass a minute on."""
        self._minute_ns = ts_ns
        if self._recorder is not None:
            self._recorder.on_minute(ts_ns)
