"""Nautilus's margin account with the venue's rules, against ``margin/`` and inside a plain Nautilus venue."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.backtest.config import MarginModelConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.engine import BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.instruments import PerpetualContract
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy

from amm500_catalog import USDH
from amm500_catalog import MarketSpec
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from hyperliquid_hip3.instruments import make_instrument
from hyperliquid_hip3.instruments import make_perpetual_from_entry
from hyperliquid_hip3.margin_model import HyperliquidMarginModel
from hyperliquid_hip3.records import PerpEntry


TIERS = MarginTable(
    25, (MarginTier(Decimal(0), 25), MarginTier(Decimal(3_000), 10), MarginTier(Decimal(9_000), 5))
)
SINGLE = make_instrument(MarketSpec(), 690, 1)
# a venue name of its own: Nautilus remembers for the whole process which venues' accounts it calculates itself
PLAIN = PerpetualContract.from_dict(PerpetualContract.to_dict(SINGLE) | {"id": "km:US500-USD-PERP.PLAIN"})
TIERED = make_perpetual_from_entry(
    PerpEntry(index=0, coin="km:US500", sz_decimals=3, max_leverage=25),
    "USDH",
    "690",
    1,
    asset_id=150_000,
    table=TIERS,
)


@given(
    st.sampled_from([(SINGLE, MarginTable(25)), (TIERED, TIERS)]),
    st.integers(1, 60_000),
    st.integers(10_001, 99_999),
    st.integers(1, 25),
)
def test_the_model_is_the_margin_room_to_the_last_digit(market, lots, ticks, leverage) -> None:
    instrument, table = market
    quantity = Quantity.from_str(f"{lots // 1000}.{lots % 1000:03d}")
    price = Price.from_str(f"{ticks // 100}.{ticks % 100:02d}")
    position = Position(
        coin="c",
        table=table,
        leverage=leverage,
        mark=price.as_decimal(),
        size=quantity.as_decimal(),
        entry_value=Decimal(1),
    )
    model = HyperliquidMarginModel()
    initial = model.calculate_margin_init(instrument, quantity, price, Decimal(leverage))
    maintenance = model.calculate_margin_maint(
        instrument, PositionSide.LONG, quantity, price, Decimal(leverage)
    )
    assert initial.as_decimal() == position.initial
    assert maintenance.as_decimal() == position.maintenance


def test_two_contracts_at_690_and_10x_hold_138_and_need_27_6() -> None:
    model = HyperliquidMarginModel(
        MarginModelConfig(model_type="hyperliquid_hip3.margin_model:HyperliquidMarginModel")
    )
    quantity, price = Quantity.from_str("2.000"), Price.from_str("690.00")
    assert model.calculate_margin_init(SINGLE, quantity, price, Decimal(10)) == Money(138, USDH)
    assert model.calculate_margin_maint(SINGLE, PositionSide.SHORT, quantity, price, Decimal(10)) == Money(
        Decimal("27.6"), USDH
    )
    with pytest.raises(ValueError, match="leverage is 26"):
        model.calculate_margin_init(SINGLE, quantity, price, Decimal(26))


class Buyer(Strategy):
    """Takes two contracts and rests a bid for one."""

    def on_start(self) -> None:
        self.subscribe_quote_ticks(PLAIN.id)
        self.sent = False

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if self.sent:
            return
        self.sent = True
        self.submit_order(self.order_factory.market(PLAIN.id, OrderSide.BUY, Quantity.from_str("2.000")))
        self.submit_order(
            self.order_factory.limit(
                PLAIN.id, OrderSide.BUY, Quantity.from_str("1.000"), Price.from_str("680.00")
            )
        )


def test_a_plain_nautilus_venue_locks_what_the_model_says() -> None:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=PLAIN.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(1_000, USDH)],
        base_currency=USDH,
        default_leverage=Decimal(10),
        margin_model=HyperliquidMarginModel(),
        book_type=BookType.L1_MBP,
    )
    engine.add_instrument(PLAIN)
    size = Quantity.from_str("50.000")
    engine.add_data(
        [
            QuoteTick(PLAIN.id, Price.from_str("689.90"), Price.from_str("690.00"), size, size, ts, ts)
            for ts in (1, 2, 3)
        ]
    )
    engine.add_strategy(Buyer())
    engine.run()
    account = engine.portfolio.account(PLAIN.id.venue)
    # 680 / 10 for the bid, 2 % of 2 x 690 for the position
    assert account.margin_init(PLAIN.id) == Money(68, USDH)
    assert account.margin_maint(PLAIN.id) == Money(Decimal("27.6"), USDH)
    engine.dispose()
