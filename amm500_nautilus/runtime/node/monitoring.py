"""Between a trading node and the monitor: the strategy as the monitor sees it, and what the node's bus says, told on."""

import dataclasses
import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.events import OrderAccepted
from nautilus_trader.model.events import OrderModifyRejected
from nautilus_trader.model.events import OrderRejected
from nautilus_trader.model.events import OrderSubmitted

from amm500_catalog.errors import InputError
from amm500_nautilus import topics
from amm500_nautilus.monitor.alerts import channels_from
from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.monitor.journal import load_saved
from amm500_nautilus.monitor.monitor import FillRow
from amm500_nautilus.monitor.monitor import Monitor
from amm500_nautilus.monitor.monitor import MonitorSettings
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.session import Session
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.risk.types import RiskDecision
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import to_plain
from amm500_nautilus.runtime.record.session import COMMAND_TOPIC
from amm500_nautilus.runtime.strategy_hash import strategy_hash
from amm500_nautilus.simulation.listener import LedgerFill
from amm500_nautilus.simulation.listener import LiquidationRecord
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.notices import NOTICE_TOPIC
from hyperliquid_hip3.notices import Notice
from hyperliquid_hip3.notices import NoticeKind


# after the recorder (10) and before the strategy (0)
PRIORITY = 5
NS = 1e9
# orders whose answer is still awaited; one that never comes is forgotten
WAITING_ORDERS = 10_000
# of a notice that the next report of the account takes back
UNREAD = "the account cannot be read"
# of one that the reconciliation which follows it takes back
GARBLED = "a frame could not be read"
# the net transfers that the journal has rows of, by the account's own count
TRANSFERS = "net_transfers"
# what is said when the run directory takes no rows
FILES = "files"
# what the venue's side says once and a person must end
DEMANDED = {
    NoticeKind.SECOND_TRADER: reasons.SECOND_TRADER,
    NoticeKind.AGENT_REFUSED: reasons.AGENT_REFUSED,
}


def config_hash(config: RunConfig) -> str:
    """Return the digest of a resolved run file: equal for two files that say the same."""
    text = json.dumps(to_plain(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def version() -> str:
    """Return this program's version; ``checkout`` where it is not installed."""
    try:
        return metadata.version("amm500")
    except metadata.PackageNotFoundError:
        return "checkout"


def with_new_session(saved: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return a strategy's saved state with loss and drawdown counted anew, and everything else, halts among it, as it was."""
    session = Session()
    session.restart()
    found = dict(saved)
    for name, content in saved.items():
        state = json.loads(content)
        if "risk" in state:
            state["risk"]["engine"]["session"] = session.save()
            found[name] = json.dumps(state).encode()
    return found


def starting_equity(saved: Mapping[str, bytes]) -> Decimal | None:
    """Return the equity at the start of the session that a strategy's saved state goes on with; None where one begins."""
    for content in saved.values():
        state = json.loads(content)
        if "risk" in state:
            starting = Decimal(str(state["risk"]["engine"]["session"]["starting"]))
            return starting if starting > 0 else None
    return None


class MakerDesk:
    """
    The market maker as the monitor sees it.

    Parameters
    ----------
    maker : MarketMaker
        The strategy, started.
    now_ns : callable
        The node's clock.
    account : callable
        Returns the books' account.
    on_stop : callable
        Ends the run; takes ``hold``, ``flatten`` or None.
    tick : float
        The price increment.

    """

    def __init__(
        self,
        maker: MarketMaker,
        now_ns: Callable[[], int],
        account: Callable[[], AccountRow],
        on_stop: Callable[[str | None], None],
        tick: float,
    ) -> None:
        self._maker = maker
        self._now_ns = now_ns
        self._account = account
        self._on_stop = on_stop
        self._tick = tick
        self.sample: QuoteSample | None = None
        self.fills = 0
        self.rejections = 0

    @property
    def risk(self) -> RiskConfig:
        """The thresholds that the strategy obeys."""
        risk: RiskConfig = self._maker.config.risk
        return risk

    def now_ns(self) -> int:
        """Return the node's time."""
        return self._now_ns()

    def read(self) -> Reading:
        """Return how everything stands."""
        maker, row, sample, tick = self._maker, self._account(), self.sample, self._tick
        guard = maker.guard
        machine, session = guard.engine.machine, guard.engine.session
        figures, touch, verdict = session.figures, maker.engine.touch, guard.verdict
        entry = maker.inventory.entry_ticks * tick if maker.inventory.lots else math.nan
        # what rests now: after the last decision orders are still filled and canceled
        best_bid, best_ask, n_bids, n_asks = maker.best_quotes()
        bid, ask = (math.nan if at is None else at * tick for at in (best_bid, best_ask))
        quoted_mid = 0.0 if sample is None else sample.mid_ticks * tick
        spread = (ask - bid) / quoted_mid * 1e4 if quoted_mid else math.nan
        return Reading(
            ts_ns=self._now_ns(),
            state=machine.state.value if guard.is_enabled else "RUNNING",
            reasons=machine.reasons,
            waiting=machine.waiting,
            level="LOW" if verdict is None else verdict.level.name,
            equity=row.equity,
            balance=row.balance,
            position=row.position,
            entry=entry,
            mid=row.mid,
            best_bid=math.nan if touch is None else touch[0] * tick,
            best_ask=math.nan if touch is None else touch[1] * tick,
            bid=bid,
            ask=ask,
            n_bids=n_bids,
            n_asks=n_asks,
            quote_state="" if sample is None else sample.state.value,
            quote_reasons=() if sample is None else sample.reasons,
            delta=math.nan if sample is None else sample.delta,
            volatility={} if sample is None else sample.volatility,
            spread_bps=spread,
            funding_rate=maker.engine.funding_rate,
            margin_used=row.margin_used,
            order_margin=row.order_margin,
            margin_ratio=row.margin_ratio,
            maintenance_ratio=row.maintenance_ratio,
            liquidation_price=row.liquidation_price,
            leverage=row.leverage,
            collateral_price=row.collateral_price,
            session_start_ns=session.started_ns,
            starting_equity=figures.starting,
            peak_equity=figures.peak,
            drawdown=figures.drawdown,
            session_loss=figures.loss,
            fees=row.fees_cum,
            funding=row.funding_cum,
            transfers=row.transfers_cum,
            liquidation=row.liquidation_cum,
            weight_cost=row.weight_cost_cum,
            budget_remaining=maker.budget.remaining,
            actions=maker.budget.sent,
            fills=self.fills,
            rejections=self.rejections,
        )

    def demand(self, reason: str) -> None:
        """Set off a reason with the next cycle."""
        self._tell("demand", reason)
        self._maker.guard.engine.demand(reason)

    def drill(self, reason: str) -> None:
        """Hold a reason's trigger for a while, as if it were so."""
        self._tell("drill", reason)
        self._maker.guard.engine.drill(self._now_ns(), reason)

    def resume(self, by: str) -> tuple[str, ...]:
        """End what waits for a person; return the names of what ended."""
        self._tell("resume", by)
        return self._maker.guard.resume(self._now_ns(), by)

    def begin_session(self) -> None:
        """Count loss and drawdown from the first view on: nothing was before."""
        self._maker.guard.engine.new_session()

    def new_session(self, by: str) -> None:
        """Count loss and drawdown anew."""
        self._tell("session", by)
        self._maker.guard.new_session(self._now_ns(), by)

    def _tell(self, name: str, argument: str) -> None:
        """Say what a person does, to whoever keeps the session."""
        self._maker.msgbus.publish(COMMAND_TOPIC, (name, argument))

    def stop(self, on_end: str | None) -> None:
        """End the run."""
        self._on_stop(on_end)

    def save(self) -> Mapping[str, bytes]:
        """Return the strategy's state, as it saves itself."""
        state: Mapping[str, bytes] = self._maker.on_save()
        return state


class ToldRecorder:
    """
    Stands where the recorder stands, and tells the monitor what it tells the recorder.

    Parameters
    ----------
    recorder : RunRecorder
        Writes the run's files.
    monitor : Monitor
        Writes the journal.
    desk : MakerDesk
        Counts fills.
    mid : callable
        Returns the market's mid.

    """

    def __init__(
        self, recorder: RunRecorder, monitor: Monitor, desk: MakerDesk, lot: Decimal, mid: Callable[[], float]
    ) -> None:
        self._recorder = recorder
        self._monitor = monitor
        self._desk = desk
        self._lot = lot
        self._mid = mid

    def __getattr__(self, name: str) -> Any:
        """Return everything else from the recorder."""
        return getattr(self._recorder, name)

    def on_ledger_fill(self, fill: LedgerFill) -> None:
        """Pass a fill on."""
        self._desk.fills += 1
        self._monitor.on_fill(self._row(fill), self._mid())
        self._recorder.on_ledger_fill(fill)

    def on_earlier_fill(self, fill: LedgerFill) -> None:
        """Journal a fill of while no node ran, unless the journal knows it; what the market was then is not known."""
        self._monitor.on_earlier_fill(self._row(fill))

    def _row(self, fill: LedgerFill) -> FillRow:
        return FillRow(
            ts_ns=fill.ts_ns,
            tid=fill.trade_id,
            side=fill.side,
            price=fill.price,
            size=fill.qty,
            fee=fill.fee,
            closed_pnl=fill.closed_pnl,
            is_maker=fill.maker,
            position=fill.position_lots * self._lot,
            client_order_id=fill.client_order_id,
            index=fill.index,
        )

    def on_markout(self, fill_index: int, horizon_s: int, mid: float) -> None:
        """Pass a markout on."""
        if mid:
            self._monitor.on_markout(fill_index, horizon_s, mid)
        self._recorder.on_markout(fill_index, horizon_s, mid)

    def on_funding(self, ts_ns: int, amount: Decimal, rate: Decimal, oracle_px: Decimal) -> None:
        """Pass a funding payment on."""
        self._monitor.on_payment(ts_ns, "funding", amount, rate, oracle_px)
        self._recorder.on_funding(ts_ns, amount, rate, oracle_px)

    def on_transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Pass a transfer on."""
        self._monitor.on_payment(ts_ns, "transfer", amount)
        self._recorder.on_transfer(ts_ns, amount)

    def on_liquidation(self, record: LiquidationRecord) -> None:
        """Pass an act of liquidation on, and tell a person."""
        text = f"{record.act}: {record.lots} lots closed at mark {record.mark}, {record.left_lots} left, loss {record.loss}"
        self._monitor.event("liquidation", text)
        self._monitor.alert("liquidation", "ACT NOW: liquidation", text)
        self._recorder.on_liquidation(record)


class NodeMonitor:
    """
    The monitor of one node: ``open``, ``join``, ``start``, ``tick``, ``close``, in this order.

    Parameters
    ----------
    config : RunConfig
        The run file.
    folder : Path
        The monitor's folder; one that outlives the run lets a restart go on where the last run ended.
    coin, account : str
        What is quoted, and for whom.
    environ : mutable mapping
        Where alert addresses are read from, and taken out of.
    metrics_port : int, optional
        Where figures are served.

    Raises
    ------
    InputError
        If an alert address is none, or an extra is missing.

    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        *,
        coin: str,
        account: str = "",
        environ: MutableMapping[str, str] | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self._folder = folder
        self._strategy_hash = strategy_hash(config)
        settings = MonitorSettings(
            folder=folder,
            name=config.name,
            mode=config.mode,
            coin=coin,
            account=account,
            config_hash=config_hash(config),
            version=version(),
            drills=str(config.mode) != "live",
            metrics_port=metrics_port,
        )
        try:
            channels = channels_from(os.environ if environ is None else environ)
        except MonitorError as error:
            raise InputError(str(error), "the environment") from error
        self.monitor = Monitor(settings, channels)
        self._saved: Mapping[str, bytes] = {}
        self._is_new_account = self._begins_session = False
        # of an account at a venue, which things happen to while no node runs
        self._is_real = config.mode in REAL_MODES
        self._known_transfers: Decimal | None = None
        self._desk: MakerDesk | None = None
        self._is_reported = False
        self._recorder: RunRecorder | None = None
        self._told_trouble = ""
        self._msgbus: Any = None
        self._subscriptions: tuple[tuple[str, Callable[[Any], None]], ...] = ()
        self._is_down = self._is_unread = self._is_unsure = False
        self._demands: list[str] = []
        # the journal was found damaged: what it had of fills is with the venue
        self.is_damaged = False
        self._sent: dict[str, int] = {}
        self._tick = 0.0
        # asked to stop, and how the position is to end then
        self.is_stopping = False
        self.on_end: str | None = None

    # -- life --------------------------------------------------------------------------------------------------------

    def open(self, new_account: str = "") -> tuple[str, ...]:
        """
        Open the journal before anything else of the run, and return what a user should be told of it.

        Where ``new_account`` says why the account is another than the last run's, loss and drawdown count anew; halts stay.

        Raises
        ------
        InputError
            If another process runs on this journal, or it cannot be used.

        """
        try:
            restored = self.monitor.open(new_account)
        except (MonitorError, OSError, sqlite3.OperationalError) as error:
            raise InputError(
                str(error), str(self._folder), "a folder of this user's, of no other run"
            ) from error
        self._saved = restored.strategy
        self._begins_session = not self._saved
        self._is_new_account = bool(new_account)
        kept = load_saved(self.monitor.journal.path).get(TRANSFERS) if self._is_real else None
        self._known_transfers = None if kept is None else Decimal(kept[1].decode())
        self.is_damaged = restored.is_damaged
        return restored.notes

    def join(self, node: Any, maker: MarketMaker, books: Any, instrument: Any, recorder: RunRecorder) -> Any:
        """Connect everything before the node runs, give the strategy its saved state, and return what the books are bound to."""
        if self._saved:
            maker.on_load(with_new_session(self._saved) if self._is_new_account else dict(self._saved))
        maker.conditions = self._conditions
        clock = node.kernel.clock
        self._recorder = recorder
        self._tick = float(instrument.price_increment)
        desk = self._desk = MakerDesk(maker, clock.timestamp_ns, books.account, self._stop, self._tick)
        self._msgbus = node.kernel.msgbus
        self._subscriptions = (
            (topics.DECISION, self._on_sample),
            (topics.ACTION, self.monitor.on_action),
            (topics.RISK, self._on_decision),
            (NOTICE_TOPIC, self._on_notice),
            ("events.order.*", self._on_order_event),
            ("events.account.*", self._on_account_state),
            (f"data.quotes.{instrument.id.venue}.{instrument.id.symbol}", self._on_quote),
        )
        for topic, handler in self._subscriptions:
            self._msgbus.subscribe(topic, handler, priority=PRIORITY)
        lot = instrument.size_increment.as_decimal()
        return ToldRecorder(recorder, self.monitor, desk, lot, lambda: books.account().mid)

    @property
    def starting_equity(self) -> Decimal | None:
        """The equity at the start of the session that goes on; None where one begins. Known once the journal is open."""
        return None if self._is_new_account else starting_equity(self._saved)

    async def start(self) -> str:
        """
        Open socket and figures once the strategy runs; return where figures are served, empty where they are not.

        Raises
        ------
        InputError
            If the socket or the port cannot be had.

        """
        assert self._desk is not None  # noqa: S101  joined before
        try:
            return await self.monitor.start(self._desk)
        except MonitorError as error:
            raise InputError(str(error), str(self._folder)) from error

    def keep_report(self, run_dir: Path, context: ReportContext, actions_before: int) -> None:
        """
        Note in the journal what a report will need, so that ``amm500 report`` can write one of a run that was killed.

        ``actions_before`` are those of earlier runs: the journal counts all, and its first minute comes after the first orders.
        """
        monitor = self.monitor
        about = {
            "run_dir": str(run_dir),
            "strategy_hash": self._strategy_hash,
            "actions_before": actions_before,
        }
        noted = json.dumps({**dataclasses.asdict(context), **about}, default=str)
        monitor.journal.save(f"report.{monitor.run}", context.start_ns, noted.encode())

    def tick(self) -> None:
        """Do what is due; call it a few times a second."""
        self.monitor.tick()
        trouble = "" if self._recorder is None else self._recorder.trouble
        if trouble != self._told_trouble:
            self._told_trouble = trouble
            self.monitor.event(FILES, trouble or "the run directory is written again")
            if trouble:
                text = f"{trouble}; rows wait in memory, the journal has them as well"
                self.monitor.alert(FILES, "the run directory cannot be written", text)

    async def close(self, outcome: str) -> bool:
        """End; ``outcome`` is ``done``, ``halted``, ``stopped`` or what failed. Return whether all is on disk."""
        for topic, handler in self._subscriptions:
            self._msgbus.unsubscribe(topic, handler)
        return await self.monitor.close(outcome)

    # -- what the node says ------------------------------------------------------------------------------------------

    def _stop(self, on_end: str | None) -> None:
        self.is_stopping, self.on_end = True, on_end

    def _conditions(self) -> Conditions:
        if self._begins_session and self._desk is not None:
            # asked for before the first verdict: the adapter's count of transfers may be older than this journal
            self._begins_session = False
            self._desk.begin_session()
        demands = tuple(self._demands)
        self._demands.clear()
        return self.monitor.conditions(
            Conditions(network_down=self._is_down or self._is_unread or self._is_unsure, demands=demands)
        )

    def _on_sample(self, sample: QuoteSample) -> None:
        if self._desk is not None:
            self._desk.sample = sample
        self.monitor.on_sample(sample, self._tick)

    def _on_decision(self, decision: RiskDecision) -> None:
        self.monitor.on_decision(decision)

    def _on_notice(self, notice: Notice) -> None:
        self.monitor.event(notice.kind.value, notice.text)
        if notice.kind is NoticeKind.STREAM_DOWN and notice.text.startswith(UNREAD):
            self._is_unread = True
        elif notice.kind is NoticeKind.STREAM_DOWN and notice.text.startswith(GARBLED):
            self._is_unsure = True
        elif notice.kind is NoticeKind.STREAM_DOWN:
            self._is_down = True
        elif notice.kind is NoticeKind.STREAM_UP:
            self._is_down = False
        elif notice.kind is NoticeKind.RECONCILED:
            # asked for over REST, and perhaps before the streams went down once more: they are back only when they say so
            self._is_unsure = False
        if notice.kind in DEMANDED:
            self._demands.append(DEMANDED[notice.kind])
        elif notice.is_alarm:
            self.monitor.alert(notice.kind.value, notice.kind.value.replace("_", " "), notice.text)

    def _on_account_state(self, event: Any) -> None:
        if "equity" not in event.info:
            return
        self._is_unread = False
        if self._is_real and event.info.get(TRANSFERS) is not None:
            self._on_transfers(event.ts_init, Decimal(event.info[TRANSFERS]))

    def _on_transfers(self, ts_ns: int, total: Decimal) -> None:
        """Journal what was moved while no node ran, and how far the journal's rows of transfers now go."""
        known, is_first = self._known_transfers, not self._is_reported
        self._is_reported = True
        if total == known:
            return
        if is_first and known is not None:
            # what is moved later comes from the books
            self.monitor.on_earlier_transfer(ts_ns, total - known)
        self._known_transfers = total
        self.monitor.journal.save(TRANSFERS, ts_ns, str(total).encode())

    def _on_order_event(self, event: Any) -> None:
        kind = type(event)
        if kind is OrderSubmitted:
            if len(self._sent) >= WAITING_ORDERS:
                self._sent.clear()
            self._sent[event.client_order_id.value] = event.ts_init
            return
        if kind in (OrderAccepted, OrderRejected):
            sent_ns = self._sent.pop(event.client_order_id.value, None)
            if sent_ns is not None:
                self.monitor.figures.order_latency.add(max(0, event.ts_init - sent_ns) / NS)
        if kind in (OrderRejected, OrderModifyRejected) and self._desk is not None:
            self._desk.rejections += 1

    def _on_quote(self, quote: QuoteTick) -> None:
        self.monitor.figures.data_age.add(max(0, quote.ts_init - quote.ts_event) / NS)
