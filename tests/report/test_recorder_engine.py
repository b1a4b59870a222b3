"""The recorder beside Nautilus's own engine and reports, on one unpurged day."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from nautilus_trader.analysis.reporter import ReportProvider
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import AssetClass
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import Symbol
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.instruments import PerpetualContract
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy

from amm500_catalog import USDH
from amm500_nautilus.report.columns import OWN_FILL_COLUMNS
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.simulation.listener import LedgerFill


SECOND = 1_000_000_000
START = 1_768_176_000 * SECOND
DAY = 86_400 * SECOND
# a venue name of its own: Nautilus remembers for the whole process which venues' accounts it calculates itself
VENUE = Venue("PLAIN")
INSTRUMENT_ID = InstrumentId.from_str("km:US500-USD-PERP.PLAIN")


def instrument() -> PerpetualContract:
    return PerpetualContract(
        instrument_id=INSTRUMENT_ID,
        raw_symbol=Symbol("km:US500"),
        underlying="US500",
        asset_class=AssetClass.INDEX,
        quote_currency=USDH,
        settlement_currency=USDH,
        is_inverse=False,
        price_precision=2,
        size_precision=3,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.001"),
        maker_fee=Decimal("0.0000259"),
        taker_fee=Decimal("0.0003"),
        margin_init=Decimal("0.1"),
        margin_maint=Decimal("0.02"),
        ts_event=0,
        ts_init=0,
    )


class Churn(Strategy):
    """Orders of every fate: filled in parts, modified, canceled, refused, and left open; the position flips often."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="CHURN-001", order_id_tag="001"))
        self.rng = np.random.default_rng(7)
        self.count = 0

    def on_start(self) -> None:
        self.contract = self.cache.instrument(INSTRUMENT_ID)
        self.subscribe_quote_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.count += 1
        for order in self.cache.orders_open(strategy_id=self.id):
            if self.count % 3:
                self.cancel_order(order)
            else:
                price = tick.bid_price if order.side == OrderSide.BUY else tick.ask_price
                self.modify_order(order, price=price)
        # mean-reverting, so that the position goes through zero often
        long = self.portfolio.net_position(INSTRUMENT_ID) > 0
        side = OrderSide.BUY if (self.rng.random() < 0.8) != long else OrderSide.SELL
        quantity = self.contract.make_qty(Decimal(int(self.rng.integers(1, 4))))
        touch = tick.bid_price if side == OrderSide.BUY else tick.ask_price
        # every seventh order is post-only at the far side and refused
        crossing = tick.ask_price if side == OrderSide.BUY else tick.bid_price
        price = crossing if self.count % 7 == 0 else touch
        self.submit_order(
            self.order_factory.limit(
                INSTRUMENT_ID, side, quantity, price, post_only=True, tags=[f"L{self.count % 3}"]
            )
        )
        if self.count % 40 == 0:
            self.submit_order(
                self.order_factory.market(INSTRUMENT_ID, side, self.contract.make_qty(Decimal(5)))
            )


class Bookings:
    """Books the engine's fills as the ledger would, one step behind the recorder or one ahead."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.recorder = recorder
        self.position = 0
        self.count = 0

    def on_fill(self, event) -> None:
        side = 1 if event.order_side == OrderSide.BUY else -1
        lots = int(event.last_qty.as_decimal() * 1000)
        self.position += side * lots
        self.recorder.on_ledger_fill(
            LedgerFill(
                index=self.count,
                ts_ns=event.ts_event,
                trade_id=event.trade_id.value,
                client_order_id=event.client_order_id.value,
                side=side,
                lots=lots,
                price_ticks=int(event.last_px.as_decimal() * 100),
                price=event.last_px.as_decimal(),
                qty=event.last_qty.as_decimal(),
                fee=event.commission.as_decimal(),
                closed_pnl=Decimal(0),
                maker=event.liquidity_side == LiquiditySide.MAKER,
                by_trade=True,
                position_lots=self.position,
                crossed_zero=False,
                unseen_level=False,
                queue_ahead=0.0,
            )
        )
        self.count += 1


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    out = tmp_path_factory.mktemp("day")
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000, USDH)],
        base_currency=USDH,
        default_leverage=Decimal(10),
    )
    contract = instrument()
    engine.add_instrument(contract)
    rng = np.random.default_rng(1)
    ticks = 69_000 + np.cumsum(rng.integers(-2, 3, 2_880))
    sizes = rng.integers(1, 5, (2_880, 2))
    engine.add_data(
        [
            QuoteTick(
                INSTRUMENT_ID,
                Price(tick / 100, 2),
                Price((tick + 1) / 100, 2),
                Quantity(int(bid), 3),
                Quantity(int(ask), 3),
                START + i * 30 * SECOND,
                START + i * 30 * SECOND,
            )
            for i, (tick, (bid, ask)) in enumerate(zip(ticks, sizes, strict=True))
        ]
    )
    engine.add_strategy(Churn())
    recorder = RunRecorder(
        out,
        contract,
        engine.kernel.msgbus,
        engine.cache,
        account=lambda: AccountRow(equity=1e6, balance=1e6, position=0.0, mid=690.0),
        sessions=[(START, START + DAY)],
        start_ns=START,
        end_ns=START + DAY,
        account_interval_s=0,
    )
    engine.kernel.msgbus.subscribe(f"events.fills.{INSTRUMENT_ID}", Bookings(recorder).on_fill)
    engine.run()
    assert recorder.close() == []
    yield out, engine
    engine.dispose()


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as a CSV reader sees it: every cell text, times and whole floats in one spelling."""
    frame = frame.copy()
    for name in frame:
        if (
            name.startswith("ts_")
            and not str(frame[name].dropna().iloc[0] if frame[name].notna().any() else "").isdigit()
        ):
            frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
    return frame.astype(object).where(frame.notna(), "").map(lambda v: "" if v in ("", "None") else str(v))


def own(path, index: str, drop: list[str]) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).replace("", None)
    return frame.drop(columns=drop).set_index(index)


def assert_same_rows(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert list(ours.columns) == list(theirs.columns)
    left, right = texts(ours), texts(theirs)
    order = [name for name in left if name != "event_id"]
    left = left.reset_index().sort_values([left.index.name, *order], ignore_index=True)
    right = right.reset_index().sort_values([right.index.name, *order], ignore_index=True)
    for name in left:
        numbers = pd.to_numeric(left[name], errors="coerce"), pd.to_numeric(right[name], errors="coerce")
        if numbers[0].notna().any() and not left[name].str.contains("USDH").any():
            np.testing.assert_array_equal(numbers[0], numbers[1], err_msg=name)
        else:
            pd.testing.assert_series_equal(left[name], right[name])


def test_the_day_has_orders_of_every_fate(day):
    _, engine = day
    statuses = {order.status_string() for order in engine.cache.orders()}
    assert {"FILLED", "CANCELED", "REJECTED"} <= statuses
    assert len(engine.cache.position_snapshots()) > 50


def test_fills_equal_nautilus_own_report(day):
    out, engine = day
    theirs = ReportProvider.generate_fills_report(engine.cache.orders())
    ours = own(out / "fills.csv", "client_order_id", list(OWN_FILL_COLUMNS))
    assert len(ours) == len(theirs) > 500
    assert_same_rows(ours, theirs)


def test_orders_equal_nautilus_own_report(day):
    out, engine = day
    theirs = ReportProvider.generate_orders_report(engine.cache.orders())
    ours = own(out / "orders.csv", "client_order_id", ["accepted", "open_at_end", "reason"])
    assert ours.index.is_unique
    assert_same_rows(ours, theirs)


def test_positions_equal_nautilus_own_report(day):
    out, engine = day
    theirs = ReportProvider.generate_positions_report(
        engine.cache.positions(), engine.cache.position_snapshots()
    )
    ours = own(out / "positions.csv", "position_id", [])
    # snapshots carry a random suffix after the position's id, and the last closed round is not one yet
    plain = engine.cache.positions()[0].id.value
    theirs.index = [text[: len(plain)] for text in theirs.index]
    theirs.index.name = "position_id"
    assert_same_rows(ours.drop(columns="is_snapshot"), theirs.drop(columns="is_snapshot"))


def test_account_states_are_written_in_nautilus_own_columns(day):
    out, engine = day
    theirs = ReportProvider.generate_account_report(engine.cache.account_for_venue(VENUE))
    ours = pd.read_csv(out / "account.csv", dtype=str)
    # the engine publishes other states than its account keeps, so only the columns and the last balance can agree
    assert set(theirs.columns) - {"info"} <= set(ours.columns)
    assert ours["total"].iloc[-1] == theirs["total"].iloc[-1]


def test_levels_come_from_the_tag_of_the_placement(day):
    out, _ = day
    fills = pd.read_csv(out / "fills.csv")
    limits = fills[fills["order_type"] == "LIMIT"]
    assert set(limits["level"]) == {0.0, 1.0, 2.0}


def test_refusals_are_counted_and_carry_the_reason(day):
    out, _ = day
    orders = pd.read_csv(out / "orders.csv")
    refused = orders[orders["status"] == "REJECTED"]
    assert refused["reason"].str.contains("POST_ONLY").all()
    # a refused order was never at rest
    assert (refused["accepted"] == 0).all()
