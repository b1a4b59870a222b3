"""The venue's margin rules as a Nautilus ``MarginModel``, for a venue whose account Nautilus keeps."""

from decimal import Decimal
from typing import Any

from nautilus_trader.accounting.margin_models import MarginModel
from nautilus_trader.model.objects import Money

from amm500_nautilus.margin.rounding import cut
from amm500_nautilus.margin.tables import MarginTable
from hyperliquid_hip3.instruments import declared_table


class HyperliquidMarginModel(MarginModel):
    """
    Initial margin ``notional / leverage`` and maintenance by the market's margin table, both cut to six decimals.

    Nautilus's own models scale one of the two wrongly: ``LeveragedMarginModel`` divides ``margin_init`` by the leverage again,
    ``StandardMarginModel`` knows no leverage. Tiers come from the instrument's ``info`` (``margin_tiers``), else from its
    ``max_leverage`` there, else from ``margin_init``. Set it with ``engine.add_venue(..., margin_model=HyperliquidMarginModel())``
    or ``BacktestVenueConfig(margin_model=MarginModelConfig(model_type="hyperliquid_hip3.margin_model:HyperliquidMarginModel"))``.

    The engine enforces none of it: it refuses no order and liquidates nobody.

    Parameters
    ----------
    config : MarginModelConfig, optional
        As Nautilus passes it; there is nothing to set.

    """

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config = config
        self._tables: dict[Any, MarginTable] = {}

    def table(self, instrument: Any) -> MarginTable:
        """Return the margin table of an instrument."""
        known = self._tables.get(instrument.id)
        if known is None:
            info = instrument.info or {}
            leverage = int(info.get("max_leverage") or round(1 / instrument.margin_init))
            known = self._tables[instrument.id] = declared_table(info) or MarginTable(leverage)
        return known

    def calculate_margin_init(
        self,
        instrument: Any,
        quantity: Any,
        price: Any,
        leverage: Decimal,
        use_quote_for_inverse: bool = False,  # noqa: ARG002  the engine's signature
    ) -> Money:
        """
        Return the initial margin of an order or position.

        Raises
        ------
        ValueError
            If the leverage is one that the venue does not offer for the market.

        """
        notional = quantity.as_decimal() * price.as_decimal()
        return Money(cut(self.table(instrument).initial(notional, leverage)), instrument.quote_currency)

    def calculate_margin_maint(
        self,
        instrument: Any,
        side: Any,  # noqa: ARG002  margin does not depend on it
        quantity: Any,
        price: Any,
        leverage: Decimal,  # noqa: ARG002  nor does maintenance on the leverage chosen
        use_quote_for_inverse: bool = False,  # noqa: ARG002  the engine's signature
    ) -> Money:
        """Return the maintenance margin of a position at a price."""
        notional = quantity.as_decimal() * price.as_decimal()
        return Money(self.table(instrument).maintenance_used(notional), instrument.quote_currency)
