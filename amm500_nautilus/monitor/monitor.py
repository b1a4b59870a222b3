"""The monitor: the one object that a running node tells what happens, and asks what was before."""

import asyncio
import json
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from amm500_nautilus.monitor.alerts import COOLDOWN_S
from amm500_nautilus.monitor.alerts import Alert
from amm500_nautilus.monitor.alerts import Alerter
from amm500_nautilus.monitor.alerts import Channel
from amm500_nautilus.monitor.commander import Commander
from amm500_nautilus.monitor.control import ControlServer
from amm500_nautilus.monitor.desk import Desk
from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.desk import plain_reading
from amm500_nautilus.monitor.endpoint import MetricsEndpoint
from amm500_nautilus.monitor.heartbeat import ENDED
from amm500_nautilus.monitor.heartbeat import OPENING
from amm500_nautilus.monitor.heartbeat import Heartbeat
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.journal import load_saved
from amm500_nautilus.monitor.journal import number_of
from amm500_nautilus.monitor.metrics import Figures
from amm500_nautilus.monitor.pnl import PnlMeter
from amm500_nautilus.monitor.pnl import restored_meter
from amm500_nautilus.monitor.second_copy import read_copy
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import QuoteSample
from amm500_nautilus.risk import reasons
from amm500_nautilus.risk.reasons import ReasonRule
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.risk.types import NO_CONDITIONS
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.risk.types import RiskDecision


NS = 1_000_000_000
MINUTE_NS = 60 * NS
# fills whose later markouts still find them
KNOWN_FILLS = 20_000
STRATEGY = "strategy."
# the newest reading, for whoever looks at the journal while the node runs
READING = "reading"
# a person did these: he need not be told
UNTOLD = frozenset({reasons.OPERATOR_PAUSE, reasons.OPERATOR_REDUCE_ONLY, reasons.OPERATOR_FLATTEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """
    What is watched, and how.

    Parameters
    ----------
    folder : Path
        The journal, its lock, the heartbeat and the control socket; it outlives run directories, so that a restart finds it.
    name, mode, coin, account, config_hash, version : str
        What runs; ``account`` is an address, never a key.
    drills : bool
        Whether ``drill`` is allowed; false where the money is real.
    metrics_port : int, optional
        Where figures are served; 0 takes a free port, None serves none.
    metrics_host : str
        The address to listen at.
    cooldown_secs : float
        Between two alerts of one kind.
    quote_secs, save_secs : float
        Between two samples of our quotes, and two saved states of the strategy.

    """

    folder: Path
    name: str
    mode: str
    coin: str
    account: str = ""
    config_hash: str = ""
    version: str = ""
    drills: bool = True
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    cooldown_secs: float = COOLDOWN_S
    quote_secs: float = 5.0
    save_secs: float = 5.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What an earlier run left: the strategy's state for ``on_load``, whether the journal was damaged, and what to say of it."""

    strategy: Mapping[str, bytes]
    session: int
    run: int
    is_damaged: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """A fill as it is journaled; it is unique by time, coin and trade id. ``position`` is what is held after it."""

    ts_ns: int
    tid: str
    side: int
    price: Decimal
    size: Decimal
    fee: Decimal
    closed_pnl: Decimal
    is_maker: bool
    position: Decimal
    client_order_id: str = ""
    index: int = -1


class Monitor:
    """
    Journal, control socket, alerts and figures of one run.

    ``open`` comes before the node is built, ``start`` once its strategy runs, then ``tick`` a few times a second and the ``on_``
    hooks as things happen, all on the loop's thread, and ``close`` at the end. Nothing here waits for a disk or a network there.

    Parameters
    ----------
    settings : MonitorSettings
        What is watched, and how.
    channels : sequence of Channel
        Where alerts go.
    now_ns : callable
        Wall time, UTC ns.

    """

    def __init__(
        self,
        settings: MonitorSettings,
        channels: Sequence[Channel] = (),
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = settings
        self._now_ns = now_ns
        self.journal = Journal(settings.folder)
        self.alerter = Alerter(channels, self._on_alert, cooldown_secs=settings.cooldown_secs)
        info = {name: getattr(settings, name) for name in ("name", "mode", "coin", "version")}
        self.figures = Figures(started_ns=now_ns(), info=info)
        self._pnl = PnlMeter()
        self.run = 0
        self.session = 0
        self._desk: Desk | None = None
        self._rules: dict[str, ReasonRule] = {}
        self._control: ControlServer | None = None
        self._endpoint: MetricsEndpoint | None = None
        self._heartbeat: Heartbeat | None = None
        self._beating: asyncio.Task[None] | None = None
        self._demands: list[str] = []
        self._early: list[RiskDecision] = []
        self._known: OrderedDict[int, FillRow] = OrderedDict()
        self._sample: QuoteSample | None = None
        self._shown: tuple[str, tuple[str, ...]] = ("", ())
        self._next_ns = self._next_save_ns = self._next_minute_ns = self._next_quote_ns = 0

    # -- life --------------------------------------------------------------------------------------------------------

    def open(self, new_account: str = "") -> Restored:
        """
        Open the journal, number this run, and return what the last one left.

        Where ``new_account`` says why the account is another than the last run's, a new session begins.

        Raises
        ------
        AlreadyRunningError
            If another process runs here.
        JournalError, OSError, sqlite3.OperationalError
            If the journal cannot be used.

        """
        settings, journal = self.settings, self.journal
        opening = journal.open()
        now = self._now_ns()
        self.run = number_of(journal.path, "SELECT max(id) FROM run") + 1
        self.session = number_of(journal.path, "SELECT max(id) FROM session")
        is_first = not self.session
        if is_first or new_account:
            self._begin_session(now, "start" if is_first else new_account)
        self._note_run(now)
        notes = []
        if opening.damaged is not None:
            notes.append(
                f"the journal was damaged ({opening.why}); it is kept as {opening.damaged.name}, a new one is begun, "
                "and the run starts halted"
            )
            self._demands.append(reasons.JOURNAL_DAMAGED)
            self.event("journal", notes[0])
        elif not opening.is_new:
            how = f"begins with {new_account}," if new_account else "goes on as"
            notes.append(f"session {self.session} {how} run {self.run}")
        self._pnl = restored_meter(journal.path)
        if new_account:
            self._pnl.on_new_account()
        saved = {name: value for name, (_, value) in load_saved(journal.path).items()}
        if opening.damaged is not None:
            saved = dict(read_copy(settings.folder))
            notes.append(
                "the strategy's state comes from its second copy: session and halts go on"
                if saved
                else "there is no second copy of the strategy's state: loss and drawdown count from now on"
            )
        strategy = {
            name.removeprefix(STRATEGY): value for name, value in saved.items() if name.startswith(STRATEGY)
        }
        self._heartbeat = Heartbeat(settings.folder)
        self._heartbeat.beat(now, OPENING)
        return Restored(strategy, self.session, self.run, opening.damaged is not None, tuple(notes))

    def _note_run(self, now: int) -> None:
        settings = self.settings
        self.journal.write(
            "run",
            id=self.run,
            session=self.session,
            started_ns=now,
            name=settings.name,
            mode=settings.mode,
            coin=settings.coin,
            account=settings.account,
            config_hash=settings.config_hash,
            pid=os.getpid(),
            version=settings.version,
        )

    async def start(self, desk: Desk) -> str:
        """
        Watch a strategy that runs; return where figures are served, empty where they are not.

        Raises
        ------
        MonitorError
            If the socket or the port cannot be had, or an extra is missing.

        """
        settings = self.settings
        self._desk = desk
        self._rules = {rule.name: rule for rule in reason_table(desk.risk)}
        about = (
            {"run": self.run, "session": self.session}
            | dict(self.figures.info)
            | {"account": settings.account}
        )
        commander = Commander(
            desk, self.journal, run=self.run, about=about, drills=settings.drills, on_change=self.save
        )

        def refused(text: str, who: str) -> None:
            commander.note("(no command)", {}, who, {"ok": False, "error": text})

        if settings.metrics_port is not None:
            self._endpoint = MetricsEndpoint(
                self.figures, self._now_ns, port=settings.metrics_port, host=settings.metrics_host
            )
            self._endpoint.start()
        self._control = ControlServer(settings.folder, commander.handle, refused)
        await self._control.start()
        self.alerter.start()
        self.tick()
        for decision in self._early:
            self._on_reason(decision, desk)
        self._early.clear()
        self._beating = asyncio.get_running_loop().create_task(self._beat())
        return "" if self._endpoint is None else f"http://{settings.metrics_host}:{self._endpoint.port}"

    async def close(self, outcome: str) -> bool:
        """End the run: ``outcome`` is what the journal says of it. Return whether every row is on disk."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})
        if self._heartbeat is not None:
            # the last one: a supervisor knows that the rest may take its time
            self._heartbeat.beat(self._now_ns(), ENDED)
        if self._desk is not None:
            self.save()
            self._minute(self._desk.read())
        if self._control is not None:
            await self._control.close()
        if self._endpoint is not None:
            self._endpoint.close()
        self.alerter.close()
        # the row of the run is written whole again: it holds its end now
        self.journal.write(
            "run",
            id=self.run,
            session=self.session,
            started_ns=self.figures.started_ns,
            ended_ns=self._now_ns(),
            outcome=outcome,
            name=self.settings.name,
            mode=self.settings.mode,
            coin=self.settings.coin,
            account=self.settings.account,
            config_hash=self.settings.config_hash,
            pid=os.getpid(),
            version=self.settings.version,
        )
        is_whole = self.journal.close()
        if self._heartbeat is not None:
            self._heartbeat.close()
        return is_whole

    # -- what the strategy is told -----------------------------------------------------------------------------------

    def conditions(self, others: Conditions = NO_CONDITIONS) -> Conditions:
        """Return what the risk engine must know, ``others`` of the venue's connection added; each demand is handed out once."""
        demands = (*others.demands, *self._demands)
        self._demands.clear()
        return others._replace(journal_failed=bool(self.journal.failed), demands=demands)

    # -- what happens ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second whatever it is called for: sign of life, figures, saved state, the minute's row."""
        desk = self._desk
        now = self._now_ns()
        if desk is None or not _is_due(now, self._next_ns, NS):
            return
        self._next_ns = now + NS
        reading = desk.read()
        journal, figures = self.journal, self.figures
        figures.reading = reading
        self._pnl.on_reading(reading)
        figures.journal = (bool(journal.failed), journal.waiting, journal.written, journal.lost)
        if self._heartbeat is not None:
            self._heartbeat.beat(now, reading.state)
        if (reading.state, reading.reasons) != self._shown:
            self._show(reading)
        if _is_due(now, self._next_save_ns, int(self.settings.save_secs * NS)):
            self.save()
        if _is_due(now, self._next_minute_ns, MINUTE_NS):
            self._next_minute_ns = (now // MINUTE_NS + 1) * MINUTE_NS
            self._minute(reading)

    async def _beat(self) -> None:
        """Show that the loop lives, also while a run that is told to stop no longer ticks."""
        while True:
            await asyncio.sleep(1.0)
            reading = self.figures.reading
            if self._heartbeat is not None and reading is not None:
                self._heartbeat.beat(self._now_ns(), reading.state)

    def save(self) -> None:
        """Save the strategy's state now."""
        desk = self._desk
        if desk is None:
            return
        now = self._now_ns()
        self._next_save_ns = now + int(self.settings.save_secs * NS)
        for name, value in desk.save().items():
            self.journal.save(STRATEGY + name, now, value)
        self.journal.save(READING, now, json.dumps(plain_reading(desk.read()), allow_nan=False).encode())

    def on_decision(self, decision: RiskDecision) -> None:
        """Journal what the risk engine decided; save the state and tell a person where a reason began or ended."""
        numbers = {name: _number(value) for name, value in decision.numbers.items()}
        self.journal.write(
            "decision",
            ts_ns=decision.ts_ns,
            run=self.run,
            subject=decision.subject,
            approved=int(decision.approved),
            reason=decision.reason,
            numbers=json.dumps(numbers, allow_nan=False),
        )
        self.figures.count("decisions", decision.subject, str(decision.approved).lower())
        if decision.subject == "session":
            self._begin_session(decision.ts_ns, decision.reason)
        if decision.subject != "reason":
            return
        if self._desk is None:
            # the strategy's first cycle may come before ``start``
            self._early.append(decision)
            return
        self._on_reason(decision, self._desk)

    def _on_reason(self, decision: RiskDecision, desk: Desk) -> None:
        # before anything else: what halts must be known to a restart
        self.save()
        reading = desk.read()
        self._show(reading)
        if not decision.approved and decision.reason not in UNTOLD:
            self._tell(decision, reading)

    def on_sample(self, sample: QuoteSample, tick_size: float) -> None:
        """Keep a sample of our quotes now and then; ``tick_size`` in collateral units."""
        self._sample = sample
        every_ns = int(self.settings.quote_secs * NS)
        if not _is_due(sample.ts_ns, self._next_quote_ns, every_ns):
            return
        self._next_quote_ns = sample.ts_ns + every_ns
        bid, ask = (
            None if ticks is None else ticks * tick_size for ticks in (sample.bid_ticks, sample.ask_ticks)
        )
        self.journal.write(
            "quote",
            ts_ns=sample.ts_ns,
            run=self.run,
            bid=bid,
            ask=ask,
            mid=sample.mid_ticks * tick_size or None,
            n_bids=sample.n_bids,
            n_asks=sample.n_asks,
            state=sample.state.value,
            reasons=",".join(sample.reasons),
        )

    def on_action(self, record: ActionRecord) -> None:
        """Count actions sent."""
        self.figures.count("actions", record.kind, by=record.count)

    def on_fill(self, fill: FillRow, mid: float) -> None:
        """Journal a fill, with the market's mid when it was booked."""
        self._write_fill(fill, mid)
        self.figures.on_fill(
            fill.side,
            float(fill.price * fill.size),
            is_maker=fill.is_maker,
            closed_pnl=float(fill.closed_pnl),
            fee=float(fill.fee),
        )
        self._pnl.on_fill(fill.index, fill.side, float(fill.size), float(fill.price), float(fill.fee), mid)
        if fill.index >= 0:
            self._known[fill.index] = fill
            if len(self._known) > KNOWN_FILLS:
                self._known.popitem(last=False)

    def on_earlier_fill(self, fill: FillRow) -> None:
        """Journal a fill of while no node ran; one that is known already is not written again."""
        self._write_fill(fill, None)

    def _write_fill(self, fill: FillRow, mid: float | None) -> None:
        self.journal.write(
            "fill",
            ts_ns=fill.ts_ns,
            coin=self.settings.coin,
            tid=fill.tid,
            run=self.run,
            client_order_id=fill.client_order_id,
            side=fill.side,
            price=str(fill.price),
            size=str(fill.size),
            fee=str(fill.fee),
            closed_pnl=str(fill.closed_pnl),
            maker=int(fill.is_maker),
            position=str(fill.position),
            mid=mid,
        )

    def on_markout(self, index: int, horizon_s: int, mid: float) -> None:
        """Journal what a fill was worth so many seconds later, basis points of its price; positive is good for us."""
        fill = self._known.get(index)
        if fill is None or not math.isfinite(mid):
            return
        self._pnl.on_markout(index, horizon_s, mid)
        price = float(fill.price)
        self.journal.write(
            "markout",
            ts_ns=fill.ts_ns,
            coin=self.settings.coin,
            tid=fill.tid,
            horizon_s=horizon_s,
            bps=fill.side * (mid - price) / price * 1e4,
        )

    def on_payment(
        self,
        ts_ns: int,
        kind: str,
        amount: Decimal,
        rate: Decimal | None = None,
        price: Decimal | None = None,
    ) -> None:
        """Journal a ``funding`` payment, a ``transfer`` or another movement of cash; positive when received."""
        self.journal.write(
            "payment",
            ts_ns=ts_ns,
            coin=self.settings.coin,
            kind=kind,
            amount=str(amount),
            rate=None if rate is None else str(rate),
            price=None if price is None else str(price),
            run=self.run,
        )

    def on_earlier_transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Journal what was deposited or withdrawn while no node ran."""
        self._pnl.on_earlier_transfer(float(amount))
        self.on_payment(ts_ns, "transfer", amount)

    def event(self, kind: str, text: str) -> None:
        """Journal anything else worth a line."""
        self.journal.write("event", ts_ns=self._now_ns(), run=self.run, kind=kind, text=text)

    def alert(self, kind: str, title: str, body: str) -> None:
        """Tell a person what no reason of the table says."""
        self.alerter.tell(Alert(self._now_ns(), kind, self._title(title), body))

    # -- parts -------------------------------------------------------------------------------------------------------

    def _begin_session(self, ts_ns: int, by: str) -> None:
        self.session += 1
        self.journal.write("session", id=self.session, started_ns=ts_ns, started_by=by)

    def _show(self, reading: Reading) -> None:
        shown = (reading.state, reading.reasons)
        if shown == self._shown:
            return
        self._shown = shown
        self.journal.write(
            "state", ts_ns=reading.ts_ns, run=self.run, state=reading.state, reasons=",".join(reading.reasons)
        )

    def _minute(self, reading: Reading) -> None:
        names = (
            "equity balance position mid margin_used order_margin margin_ratio maintenance_ratio drawdown session_loss "
            "funding fees transfers liquidation_price leverage collateral_price budget_remaining actions fills state"
        )
        values = {name: _or_none(getattr(reading, name)) for name in names.split()}
        self._pnl.on_reading(reading)
        values |= {f"pnl_{name}": value for name, value in self._pnl.values().items()}
        self.journal.write("equity", ts_ns=reading.ts_ns, run=self.run, session=self.session, **values)

    def _title(self, text: str) -> str:
        return f"{self.settings.name} ({self.settings.mode} {self.settings.coin}): {text}"

    def _tell(self, decision: RiskDecision, reading: Reading) -> None:
        rule = self._rules[decision.reason]
        is_halted = bool(decision.numbers.get("halted"))
        weight = "ACT NOW" if rule.alert or is_halted else "notice"
        numbers = ", ".join(
            f"{name} {value:g}" for name, value in decision.numbers.items() if name != "halted"
        )
        lines = [
            rule.trigger + (f" ({numbers})" if numbers else ""),
            f"state {reading.state}; ends: {rule.ends}",
            f"equity {reading.equity:.2f}, position {reading.position:g}, {reading.n_bids + reading.n_asks} orders resting",
        ]
        if rule.latched or is_halted:
            lines.append("docs/operations.md says what to look at before amm500 resume")
            # a person ended the last one, or it was a milder one: he does not know of this
            self.alerter.forget(decision.reason)
        title = self._title(f"{weight}: {decision.reason}")
        self.alerter.tell(Alert(decision.ts_ns, decision.reason, title, "\n".join(lines)))

    def _on_alert(self, alert: Alert, outcome: str) -> None:
        self.figures.count("alerts", outcome.partition(":")[0])
        self.journal.write("alert", run=self.run, outcome=outcome, **asdict(alert))


def _is_due(now_ns: int, next_ns: int, every_ns: int) -> bool:
    """Return whether something is due again; after a clock was set back it is at once, and not when the old time has come."""
    return now_ns >= next_ns or now_ns < next_ns - every_ns


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _or_none(value: str | float) -> str | float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
