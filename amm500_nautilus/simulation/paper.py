"""The backtest's simulated venue on live data: the same ledger, fills, latency, fees and rules, fed as the node hears the market."""

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.backtest.engine import SimulatedExchange
from nautilus_trader.backtest.models import FillModel
from nautilus_trader.backtest.models import MakerTakerFeeModel
from nautilus_trader.common.component import MessageBus
from nautilus_trader.common.component import TestClock
from nautilus_trader.execution.messages import BatchCancelOrders
from nautilus_trader.execution.messages import CancelAllOrders
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.execution.messages import SubmitOrderList
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.simulation.account import AccountReports
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.listener import VenueListener
from amm500_nautilus.simulation.paper_state import PaperState
from amm500_nautilus.simulation.setup import SimulatedVenue
from amm500_nautilus.simulation.setup import add_simulated_venue
from amm500_nautilus.simulation.units import VenueUnits
from hyperliquid_hip3.currency import collateral_currency


EXEC_ENDPOINT = "ExecEngine.process"
ACCOUNT_ENDPOINT = "Portfolio.update_account"


class _Seat:
    """
    What ``add_simulated_venue`` asks of a backtest engine, over the parts of a live node.

    The venue gets a message bus and a clock of its own: the bus hands its answers to the node at once, where the node's own bus would
    queue them and the venue would judge the next order by a position that the node has not heard of yet.
    """

    def __init__(self, *, bus: Any, clock: Any, cache: Any, portfolio: Any, trader: Any) -> None:
        self.kernel = SimpleNamespace(msgbus=bus, cache=cache, clock=clock, exec_engine=self)
        self.trader = trader
        self._portfolio = portfolio
        self.exchange: Any = None

    def add_venue(self, **options: Any) -> None:
        kernel = self.kernel
        self.exchange = SimulatedExchange(
            **options,
            leverages={},
            portfolio=self._portfolio,
            msgbus=kernel.msgbus,
            cache=kernel.cache,
            clock=kernel.clock,
            fill_model=FillModel(),
            fee_model=MakerTakerFeeModel(),
            use_message_queue=True,
        )

    def add_instrument(self, instrument: Any) -> None:
        self.exchange.add_instrument(instrument)

    def register_client(self, client: Any) -> None:
        """Take the venue's client; the node's own engine knows only the one that stands before it."""

    def deregister_client(self, client: Any) -> None:
        """Let go of the exchange's first client; it never had one."""


class PaperVenue:
    """
    A simulated venue whose market is what a live node hears.

    Its time is the node's: an order that takes 200 ms meets the market as the node sees it 200 ms later, and is answered then. Data is
    given the time at which it was received, so that neither the way from the exchange nor a difference of clocks puts an order before
    or behind a trade. The caller runs ``process`` after every datum (``on_data`` does) and every few milliseconds.

    Parameters
    ----------
    instrument : Instrument
        What is traded, as the venue declares it now.
    config : VenueConfig
        The venue and its one account.
    seed : int
        The seed of the latencies.
    cache, portfolio, trader : Any
        The node's.
    on_event : Callable
        Takes each order event at once.
    on_account : Callable
        Takes each account state at once.
    now_ns : int
        The time.
    listener : VenueListener, optional
        Who keeps the records.

    Raises
    ------
    ValueError
        If the instrument does not settle in the collateral, or the leverage exceeds the market's largest.

    """

    def __init__(
        self,
        *,
        instrument: Any,
        config: VenueConfig,
        seed: int,
        cache: Any,
        portfolio: Any,
        trader: Any,
        on_event: Callable[[Any], None],
        on_account: Callable[[Any], None],
        now_ns: int,
        listener: VenueListener | None = None,
    ) -> None:
        self._clock = TestClock()
        self._clock.set_time(now_ns)
        bus = MessageBus(trader_id=trader.id, clock=self._clock)
        bus.register(EXEC_ENDPOINT, on_event)
        bus.register(ACCOUNT_ENDPOINT, on_account)
        seat = _Seat(bus=bus, clock=self._clock, cache=cache, portfolio=portfolio, trader=trader)
        self.instrument = instrument
        self.config = config
        self.venue: SimulatedVenue = add_simulated_venue(
            seat, instrument=instrument, config=config, seed=seed, listener=listener
        )
        self._exchange = seat.exchange
        self._client = self.venue.client
        self._listener = listener
        self._now = now_ns
        self._hour = now_ns // HOUR_NS
        self._rate: Decimal | None = None
        self.began_ns = now_ns
        self.opened_with = str(config.starting_equity)
        client = self._client
        self._senders: dict[type, Callable[[Any], None]] = {
            SubmitOrder: client.submit_order,
            SubmitOrderList: client.submit_order_list,
            ModifyOrder: client.modify_order,
            CancelOrder: client.cancel_order,
            CancelAllOrders: client.cancel_all_orders,
            BatchCancelOrders: client.batch_cancel_orders,
        }
        self._feeds: dict[type, Callable[[Any, int], None]] = {
            QuoteTick: self._on_quote,
            TradeTick: self._on_trade,
            OrderBookDeltas: self._on_deltas,
            IndexPriceUpdate: self._on_index,
            FundingRateUpdate: self._on_funding,
        }

    @property
    def ledger(self) -> Ledger:
        """The account."""
        return self.venue.ledger

    @property
    def account_id(self) -> Any:
        """The account's id on the node."""
        return self._client.account_id

    @property
    def due_ns(self) -> int | None:
        """When the next command arrives at the venue and is answered; None with nothing on its way."""
        inflight = self._client.inflight
        return int(inflight[0][0]) if inflight else None

    # -- the clock ------------------------------------------------------------------------------------------------

    def begin(self, now_ns: int, touch: tuple[int, int]) -> None:
        """Mark the account at a best bid and ask in ticks, and report it: the node starts with what there is."""
        now = self._advance(now_ns)
        self.venue.mids.on_touch(now, *touch, quote=False)
        self.ledger.mark(sum(touch))
        reports = AccountReports(
            self.config,
            self.ledger,
            VenueUnits.of(self.instrument, collateral_currency(self.config.collateral)),
            self.instrument.id,
        )
        reports.client = self._client
        reports.report(now)

    def process(self, now_ns: int) -> None:
        """Let the commands arrive that are due, answer them, and do what is due by the clock."""
        now = self._advance(now_ns)
        self._exchange.process(now)
        self._pay_hours(now)

    def finish(self, now_ns: int) -> None:
        """Hand out the last markouts and the last minute."""
        self.venue.finish(self._advance(now_ns))

    def _advance(self, now_ns: int) -> int:
        # a wall clock may be set back, and a datum may have waited while the venue's time went on
        if now_ns > self._now:
            self._now = now_ns
            self._clock.set_time(now_ns)
        return self._now

    def _pay_hours(self, now: int) -> None:
        """Pay the hours that have begun, at the rate that stood before: the running hour's rate is not yet the one that is paid."""
        while self._hour < now // HOUR_NS:
            self._hour += 1
            if self._rate is not None:
                self.venue.clockwork.on_rate(self._hour * HOUR_NS, self._rate)

    # -- what the node sends and hears ----------------------------------------------------------------------------

    def send(self, commands: list[Any], now_ns: int) -> None:
        """Send commands on their way as of one instant: those of a kind travel as one action."""
        self._advance(now_ns)
        for command in commands:
            self._senders[type(command)](command)

    def on_data(self, data: Any) -> None:
        """Let a datum of the market happen at the time at which it was received; what the venue has no use for passes by."""
        feed = self._feeds.get(type(data))
        if feed is None or data.instrument_id != self.instrument.id:
            return
        now = self._advance(data.ts_init)
        feed(data, now)
        self.process(now)

    def _on_quote(self, quote: Any, now: int) -> None:
        self._exchange.process_quote_tick(
            QuoteTick(
                quote.instrument_id,
                quote.bid_price,
                quote.ask_price,
                quote.bid_size,
                quote.ask_size,
                now,
                now,
            )
        )

    def _on_trade(self, trade: Any, now: int) -> None:
        self._exchange.process_trade_tick(
            TradeTick(
                trade.instrument_id, trade.price, trade.size, trade.aggressor_side, trade.trade_id, now, now
            )
        )

    def _on_deltas(self, book: Any, now: int) -> None:
        # a batch has the time of its last change
        *earlier, last = book.deltas
        stamped = OrderBookDelta(
            last.instrument_id, last.action, last.order, last.flags, last.sequence, now, now
        )
        self._exchange.process_order_book_deltas(OrderBookDeltas(book.instrument_id, [*earlier, stamped]))

    def _on_index(self, update: Any, _now: int) -> None:
        self.venue.module.on_index_price(update)

    def _on_funding(self, update: Any, now: int) -> None:
        # the hour that has just ended is paid at the rate before this one
        self.process(now)
        self._rate = Decimal(str(update.rate))

    # -- from run to run ------------------------------------------------------------------------------------------

    def state(self) -> PaperState:
        """Return what is kept of the account."""
        gate = self._client.gate
        oracle = self.venue.clockwork.oracle
        return PaperState.of(
            self.ledger,
            coin=str(self.instrument.raw_symbol),
            collateral=self.config.collateral,
            ts_ns=self._now,
            began_ns=self.began_ns,
            opened_with=self.opened_with,
            address={} if gate is None else gate.address.save(),
            oracle=None if oracle is None else Decimal(str(oracle)),
            rate=self._rate,
        )

    def restore(self, state: PaperState, *, mark: Decimal) -> Decimal:
        """
        Take up an account before anything is traded, and return the funding of the hours that passed meanwhile.

        Parameters
        ----------
        state : PaperState
            What an earlier run left.
        mark : Decimal
            The mid now, which stands in for an oracle that was never seen.

        Raises
        ------
        PaperStateError
            If the position is counted in other lots.

        """
        ledger = self.ledger
        state.restore(ledger)
        self.began_ns, self.opened_with = state.began_ns, state.opened_with
        if self._client.gate is not None and state.address:
            self._client.gate.address.load(state.address)
        rate = self.config.funding.default_rate if state.rate is None else Decimal(state.rate)
        oracle = mark if state.oracle is None else Decimal(state.oracle)
        if not self.config.funding.enabled or not ledger.position_lots:
            return Decimal(0)
        before = ledger.funding
        for hour in state.hours_until(self._now):
            amount = ledger.apply_funding(oracle, rate)
            if self._listener is not None:
                self._listener.on_funding(hour * HOUR_NS, Decimal(amount) / 10**9, rate, oracle)
        return ledger.funding - before
