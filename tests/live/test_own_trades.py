"""A live market maker whose orders are hit: the venue's public prints of its own trades reach no model, those of strangers all do."""

from collections import Counter
from typing import Any

import pytest
from nautilus_trader.model.data import TradeTick

from amm500_nautilus.config import MarketMakerConfig
from amm500_nautilus.own_trades import trade_number
from amm500_nautilus.strategy import MarketMaker
from tests.live.exec_session import LEVEL
from tests.live.exec_session import MID
from tests.live.exec_session import quiet_venue
from tests.live.exec_session import session_with_desk
from tests.live.node import IID


pytestmark = pytest.mark.live_node


class Listener(MarketMaker):
    """Keeps every print that it is told of, and every trade that its models are fed."""

    def on_start(self) -> None:
        super().on_start()
        self.public: list[TradeTick] = []
        self.fed: list[tuple[int, int, int, int]] = []
        assert self._own_trades is not None
        self._own_trades._feed = self._fed

    def _fed(
        self, ts_ns: int, price_ticks: int, lots: float, aggressor_side: int, mid_ticks: float | None = None
    ) -> None:
        self.fed.append((ts_ns, price_ticks, int(lots), aggressor_side))
        self.engine.on_trade(ts_ns, price_ticks, lots, aggressor_side, mid_ticks)

    def on_trade_tick(self, tick: TradeTick) -> None:
        self.public.append(tick)
        super().on_trade_tick(tick)

    def row(self, tick: TradeTick) -> tuple[int, int, int, int]:
        """A print as the models are fed it."""
        side = 1 if tick.aggressor_side.name == "BUYER" else -1
        return tick.ts_init, tick.price.raw // self._tick_raw, tick.size.raw // self._lot_raw, side

    def own_numbers(self) -> set[str]:
        """The numbers of the trades that we were told we made."""
        return {trade_number(each) for each in self._seen_trades}


def test_no_print_of_our_own_trades_reaches_the_models_and_every_other_one_does(tmp_path: Any) -> None:
    config = MarketMakerConfig(
        instrument_id=IID,
        leverage=10.0,
        max_leverage=25.0,
        net_own_orders=True,
        order_id_tag="000",
        book_source="deltas",
        cycle_ms=250,
    )
    maker = Listener(config)
    with quiet_venue() as venue, session_with_desk(venue, 0, tmp_path, strategies=[maker]) as (session, _):
        trading = session.trading
        session.wait(lambda: len(trading.open_orders()) >= 10, "the ladder rests", seconds=60)

        def is_hit() -> bool:
            # through the whole market and every order of ours in it, now from one side, now from the other
            side = 1 if int(session.loop.time() * 2) % 2 else -1
            trading.move(MID)
            trading.take(side, 6 * LEVEL)
            return len(maker.own_numbers()) >= 4

        session.wait(is_hit, "orders of ours were hit", seconds=60)
        taken = venue.call(lambda e: {str(row["tid"]) for row in e.accounts.user_fills(trading.address)})
        session.wait(
            lambda: taken <= maker.own_numbers() and taken <= {each.trade_id.value for each in maker.public},
            "every trade was told both ways",
            seconds=60,
        )
        session.wait(lambda: not len(maker._own_trades or ()), "nothing is held any more", seconds=60)
        ours = maker.own_numbers()
        maker.stop()
    strangers = [each for each in maker.public if each.trade_id.value not in ours]
    assert len(maker.public) - len(strangers) >= 4
    assert strangers
    assert Counter(maker.fed) == Counter(map(maker.row, strangers))
