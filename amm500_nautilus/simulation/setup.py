"""Putting the simulated venue into a backtest engine."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.objects import Money

from amm500_nautilus import topics
from amm500_nautilus.simulation.account import AccountReports
from amm500_nautilus.simulation.book import DisplayedBook
from amm500_nautilus.simulation.client import VenueExecClient
from amm500_nautilus.simulation.clockwork import Clockwork
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.desk import OrderDesk
from amm500_nautilus.simulation.fill import FillEngine
from amm500_nautilus.simulation.gate import ActionGate
from amm500_nautilus.simulation.latency import Latency
from amm500_nautilus.simulation.latency import LatencySampler
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.listener import FillContext
from amm500_nautilus.simulation.listener import VenueListener
from amm500_nautilus.simulation.mids import MidTracker
from amm500_nautilus.simulation.outage import Outages
from amm500_nautilus.simulation.queue import UnseenLevel
from amm500_nautilus.simulation.queue import make_queue_model
from amm500_nautilus.simulation.units import VenueUnits
from amm500_nautilus.simulation.venue import VenueModule
from hyperliquid_hip3.currency import collateral_currency


@dataclass(slots=True)
class SimulatedVenue:
    """
    A simulated venue inside an engine.

    ``ledger`` is the account, ``mids`` the path of the mid, ``module`` the engine's module, ``client`` the execution
    client (``client.actions`` counts coalesced actions), ``clockwork`` the timetable.
    """

    ledger: Ledger
    mids: MidTracker
    module: VenueModule
    client: VenueExecClient
    clockwork: Clockwork
    config: VenueConfig
    refused_leverage: list[str] = field(default_factory=list)

    def fill_context(self, trade_id: str) -> FillContext:
        """Return what is known of a recent fill by its trade id."""
        return self.module.fill_context(trade_id)

    def assumptions(self) -> tuple[str, ...]:
        """Return what the venue assumed where the data had nothing, a sentence each; complete once the engine has ended."""
        return self.clockwork.assumptions()

    def deposit(self, ts_ns: int, amount: Decimal) -> None:
        """Move collateral in; it is no profit."""
        self.clockwork.transfer(ts_ns, amount)

    def withdraw(self, ts_ns: int, amount: Decimal) -> None:
        """Move collateral out; ``ValueError`` beyond what is withdrawable."""
        self.clockwork.transfer(ts_ns, -amount)

    def set_leverage(self, leverage: int) -> None:
        """Change the leverage; ``ValueError`` in the venue's words where the venue would refuse."""
        self.ledger.set_leverage(leverage)
        self.clockwork.account_changed()

    def ask_leverage(self, leverage: int) -> None:
        """Change the leverage if the venue would; a refusal is kept in ``refused_leverage`` and leaves it as it was."""
        try:
            self.set_leverage(leverage)
        except ValueError as error:
            self.refused_leverage.append(f"{leverage}: {error}")

    def buy_weight(self, actions: int) -> None:
        """Buy actions with ``reserveRequestWeight``; the account pays."""
        if self.client.gate is not None:
            self.ledger.buy_weight(self.client.gate.buy(actions))
            self.clockwork.account_changed()

    def finish(self, ts_ns: int | None = None) -> None:
        """
        Hand out the last markouts and the last minute; call it once after the engine has ended.

        ``ts_ns`` is the end of the data; the last event seen when left out.
        """
        end = self.module.last_event_ns if ts_ns is None else ts_ns
        self.mids.finish(end)
        self.clockwork.finish(end)


def add_simulated_venue(
    engine: Any,
    *,
    instrument: Any,
    config: VenueConfig,
    seed: int,
    listener: VenueListener | None = None,
    latency: Latency | None = None,
) -> SimulatedVenue:
    """
    Add a simulated Hyperliquid dex with one instrument and one account to a backtest engine.

    Call it once, before strategies are added and before the engine runs. The instrument is added too. Market data
    may be ``OrderBookDepth10``, ``OrderBookDelta``/``OrderBookDeltas`` (snapshots or increments), ``QuoteTick`` and
    ``TradeTick``; ``IndexPriceUpdate`` is the oracle and ``FundingRateUpdate`` the hour's rate. A strategy may publish a
    number of actions to buy on ``topics.WEIGHT`` (answered on ``topics.WEIGHT_ANSWER``) and a leverage on
    ``topics.LEVERAGE``; both take effect at once.

    Parameters
    ----------
    engine : BacktestEngine
        The engine.
    instrument : Instrument
        The instrument, quoted and settled in the collateral.
    config : VenueConfig
        The venue.
    seed : int
        Seed of the latencies.
    listener : VenueListener, optional
        Who keeps the records.
    latency : Latency, optional
        What says how long actions take; by default the configuration's distribution.

    Raises
    ------
    ValueError
        If the instrument does not settle in the collateral, or the leverage exceeds the market's largest.

    """
    currency = collateral_currency(config.collateral)
    units = VenueUnits.of(instrument, currency)
    ledger = _make_ledger(config, units)
    mids = MidTracker(float(units.shape.tick), listener)
    desk = _make_desk(config, ledger, units)
    gate = _make_gate(config)
    reports = AccountReports(config, ledger, units, instrument.id)
    report = reports.report if config.account == "ledger" else None
    clockwork = Clockwork(config, ledger, units.shape.tick, listener, report)
    module = _make_module(instrument.id, units, desk, ledger, mids, clockwork, listener, gate)
    _add_venue(engine, instrument, config, currency, module)
    sampler = latency or LatencySampler(config.latency, np.random.default_rng(seed))
    client = _replace_client(engine, module, desk, sampler, units, gate, Outages(config.outages))
    reports.client = client
    venue = SimulatedVenue(
        ledger=ledger, mids=mids, module=module, client=client, clockwork=clockwork, config=config
    )
    _subscribe(engine.kernel.msgbus, instrument.id, venue)
    return venue


def _make_ledger(config: VenueConfig, units: VenueUnits) -> Ledger:
    return Ledger(
        units.shape,
        starting_equity=config.starting_equity,
        rates=config.rates,
        leverage=config.leverage,
        table=config.table,
        mode=config.margin_mode,
        backstop=config.allows_cross,
    )


def _make_gate(config: VenueConfig) -> ActionGate | None:
    if not config.action_limits:
        return None
    return ActionGate(growth_mode=config.growth_mode, initial_actions=config.initial_actions)


def _make_desk(config: VenueConfig, ledger: Ledger, units: VenueUnits) -> OrderDesk:
    unseen = UnseenLevel(config.fill.unseen)
    model = make_queue_model(config.fill.queue_model, config.fill.queue_n)
    mantissa, exponent = units.tick_parts
    return OrderDesk(
        fills=FillEngine(model, unseen, reduce_keeps_queue=config.fill.reduce_keeps_queue),
        ledger=ledger,
        book=DisplayedBook(),
        rules=config.rules,
        tick_mantissa=mantissa,
        tick_exponent=exponent,
        unseen=unseen,
    )


def _make_module(
    instrument_id: Any,
    units: VenueUnits,
    desk: OrderDesk,
    ledger: Ledger,
    mids: MidTracker,
    clockwork: Clockwork,
    listener: VenueListener | None,
    gate: ActionGate | None,
) -> VenueModule:
    return VenueModule(
        instrument_id=instrument_id,
        units=units,
        book=desk.book,
        fills=desk.fills,
        desk=desk,
        ledger=ledger,
        mids=mids,
        clockwork=clockwork,
        listener=listener,
        gate=gate,
    )


def _add_venue(engine: Any, instrument: Any, config: VenueConfig, currency: Any, module: VenueModule) -> None:
    engine.add_venue(
        venue=instrument.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(config.starting_equity, currency)],
        base_currency=currency,
        default_leverage=config.leverage,
        book_type=BookType.L2_MBP,
        modules=[module],
        trade_execution=True,
        liquidity_consumption=True,
        bar_execution=False,
        frozen_account=config.account == "ledger",
    )
    engine.add_instrument(instrument)


def _replace_client(
    engine: Any,
    module: VenueModule,
    desk: OrderDesk,
    sampler: Latency,
    units: VenueUnits,
    gate: ActionGate | None,
    outages: Outages,
) -> VenueExecClient:
    """Put the venue's client where the engine put its own, and let the module know it."""
    exchange = module.exchange
    kernel = engine.kernel
    kernel.exec_engine.deregister_client(exchange.exec_client)
    client = VenueExecClient(
        exchange=exchange,
        msgbus=kernel.msgbus,
        cache=kernel.cache,
        clock=kernel.clock,
        desk=desk,
        latency=sampler,
        units=units,
        instrument_id=module.instrument_id,
        taker_fill=module.taker_fill,
        gate=gate,
        outages=outages,
    )
    exchange.register_client(client)
    kernel.exec_engine.register_client(client)
    trader = engine.trader
    module.attach(client, lambda: trader.is_stopped)
    return client


def weight_seller(msgbus: Any, venue: SimulatedVenue) -> Callable[[int], None]:
    """Return what sells a strategy the actions it asks for, and answers so on ``topics.WEIGHT_ANSWER``."""

    def sell(actions: int) -> None:
        venue.buy_weight(actions)
        msgbus.publish(topic=topics.WEIGHT_ANSWER, msg=(actions, "bought"))

    return sell


def _subscribe(msgbus: Any, instrument_id: Any, venue: SimulatedVenue) -> None:
    module = venue.module
    tail = f"{instrument_id.venue}.{instrument_id.symbol}"
    msgbus.subscribe(topic=f"data.index_prices.{tail}", handler=module.on_index_price)
    msgbus.subscribe(topic=f"data.funding_rates.{tail}", handler=module.on_funding_rate)
    msgbus.subscribe(topic=topics.WEIGHT, handler=weight_seller(msgbus, venue))
    msgbus.subscribe(topic=topics.LEVERAGE, handler=venue.ask_leverage)
