"""What the simulated venue does by the clock: funding at the hour, minutes for the records, account reports."""

from collections.abc import Callable
from decimal import Decimal

from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.margin.funding import hour_of
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.ledger import NANO
from amm500_nautilus.simulation.ledger import Ledger
from amm500_nautilus.simulation.listener import VenueListener
from amm500_nautilus.simulation.mids import SECOND_NS


MINUTE_NS = 60 * SECOND_NS
_NEVER = 1 << 62


class Clockwork:
    """
    The venue's timetable; ``wake_ns`` is when it wants to be called next, so that a call costs one comparison.

    An hour's funding is paid at the rate that the data brings for that hour, at the position and oracle price the
    hour found; when no rate has come within the grace, at the default. Hours inside a gap of the data are paid too.

    Parameters
    ----------
    config : VenueConfig
        Funding, sessions, and how often the account is reported.
    ledger : Ledger
        The account.
    tick : Decimal
        Price of one tick, for the mark when there is no oracle price.
    listener : VenueListener, optional
        Who gets minutes and funding.
    report_account : callable, optional
        ``report_account(ts_ns)`` reports the account to the engine.

    """

    def __init__(
        self,
        config: VenueConfig,
        ledger: Ledger,
        tick: Decimal,
        listener: VenueListener | None = None,
        report_account: Callable[[int], None] | None = None,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._half_tick = tick / 2
        self._listener = listener
        self._report_account = report_account
        self._grace_ns = config.funding.grace_s * SECOND_NS
        self.oracle: Decimal | object | None = None
        self.oracle_fallbacks = 0
        self.default_rate_hours = 0
        self.wake_ns = 0
        self._started = False
        self._next_minute = _NEVER
        self._next_hour = 0
        # the hour that is due and waits for its rate: (hour, position, oracle price)
        self._waiting: tuple[int, int, Decimal] | None = None
        self._paid_hour = 0
        self._state_due = _NEVER
        self._refresh_due = _NEVER
        self._last_state = 0
        self._last_ratio = 0.0
        self._changed = False
        self._transfers = list(reversed(config.transfers))
        self.refused_transfers = 0
        self._last_minute = 0
        # what the last minute's row showed
        self._told = (0, Decimal(0))
        self._last_rate: Decimal | None = None
        self.carried_rates = 0
        self._session = 0

    def wake(self, now: int) -> None:
        """Do everything that is due at ``now``."""
        if not self._started:
            self._start(now)
        if now >= self._next_minute:
            self._minutes(now)
        if self._transfers and now >= self._transfers[-1][0]:
            self._transfer(now)
        if self._config.funding.enabled:
            self._funding(now)
        if now >= self._state_due:
            self._state(now)
        waiting = _NEVER if self._waiting is None else self._waiting[0] * HOUR_NS + self._grace_ns
        transfer = self._transfers[-1][0] if self._transfers else _NEVER
        self.wake_ns = min(self._next_minute, self._next_hour * HOUR_NS, waiting, self._state_due, transfer)

    def assumptions(self) -> tuple[str, ...]:
        """Return a sentence for each thing that the data did not bring and that a payment was made on nevertheless."""
        said = []
        if self.default_rate_hours:
            rate = self._config.funding.default_rate
            said.append(
                f"funding rate of {self.default_rate_hours} hours: default {rate:f} (the data has none)"
            )
        if self.carried_rates:
            said.append("funding rate of the last hour: that of the hour before (the data ends first)")
        if self.oracle_fallbacks:
            said.append(f"oracle: book mid stood in at {self.oracle_fallbacks} payments")
        if self.refused_transfers:
            said.append(f"withdrawals: {self.refused_transfers} were cut to what was withdrawable")
        return tuple(said)

    def account_changed(self) -> None:
        """Ask for a report, no sooner than the configured time after the last."""
        self._changed = True
        due = self._last_state + self._config.account_state_s * SECOND_NS
        self._state_due = min(self._state_due, due)
        self.wake_ns = min(self.wake_ns, due)

    def finish(self, now: int) -> None:
        """
        Pay the hour that the end found unpaid, and report the last moment of the run.

        Where that moment has been reported and something was booked since, it is reported again a nanosecond later: the
        path of equity ends at what the account holds.
        """
        if not self._started:
            return
        if self._transfers and now >= self._transfers[-1][0]:
            self._transfer(now)
        if self._config.funding.enabled:
            self._funding(now)
            self._pay_carried()
        self._minutes(now)
        if now > self._last_minute:
            self._tell(now)
        elif self._told != self._books():
            self._tell(self._last_minute + 1)

    def _tell(self, ts_ns: int) -> None:
        self._last_minute = ts_ns
        if self._listener is not None:
            self._told = self._books()
            self._listener.on_minute(ts_ns)

    def _books(self) -> tuple[int, Decimal]:
        return self._ledger.fills, self._ledger.equity

    # -- minutes ----------------------------------------------------------------------------------

    def _start(self, now: int) -> None:
        self._started = True
        self._next_hour = now // HOUR_NS + 1
        self._paid_hour = now // HOUR_NS
        self._last_state = now
        self._state_due = self._refresh_due = now + self._config.account_refresh_s * SECOND_NS
        self._next_minute = (now // MINUTE_NS + 1) * MINUTE_NS
        self._tell(now)

    def _minutes(self, now: int) -> None:
        while self._next_minute <= now:
            boundary = self._next_minute
            if not self._in_session(boundary):
                self._next_minute = self._resume_after(boundary, now)
                continue
            self._next_minute = boundary + MINUTE_NS
            self._tell(boundary)

    def _in_session(self, ts: int) -> bool:
        sessions = self._config.sessions
        if not sessions:
            return True
        while self._session < len(sessions) and sessions[self._session][1] < ts:
            self._session += 1
        return self._session < len(sessions) and sessions[self._session][0] <= ts

    def _resume_after(self, boundary: int, now: int) -> int:
        """Return the first minute of the next session, or the first after ``now`` when none is left."""
        sessions = self._config.sessions
        if self._session < len(sessions):
            opened = sessions[self._session][0]
            return max(-(-opened // MINUTE_NS) * MINUTE_NS, boundary + MINUTE_NS)
        return (now // MINUTE_NS + 1) * MINUTE_NS

    # -- funding ----------------------------------------------------------------------------------

    def on_rate(self, ts_ns: int, rate: Decimal) -> None:
        """Pay the hour that a rate belongs to, unless it has been paid."""
        hour = hour_of(ts_ns)
        if not self._started or not self._config.funding.enabled or hour <= self._paid_hour:
            return
        if self._waiting is not None and self._waiting[0] == hour:
            _, lots, oracle = self._waiting
            self._waiting = None
        else:
            self._settle_until(hour)
            lots, oracle = self._ledger.position_lots, self._oracle_price()
            self._next_hour = hour + 1
        self._last_rate = rate
        self._pay(hour, lots, oracle, rate, ts_ns)

    def _funding(self, now: int) -> None:
        while self._next_hour * HOUR_NS <= now:
            if self._waiting is not None:
                self._pay_default()
            self._waiting = (self._next_hour, self._ledger.position_lots, self._oracle_price())
            self._next_hour += 1
        if self._waiting is not None and now >= self._waiting[0] * HOUR_NS + self._grace_ns:
            self._pay_default()

    def _settle_until(self, hour: int) -> None:
        """Pay hours that passed without any event, up to but without ``hour``."""
        while self._next_hour < hour:
            if self._waiting is not None:
                self._pay_default()
            self._waiting = (self._next_hour, self._ledger.position_lots, self._oracle_price())
            self._next_hour += 1
        if self._waiting is not None:
            self._pay_default()

    def _pay_default(self) -> None:
        if self._waiting is None:
            return
        hour, lots, oracle = self._waiting
        self._waiting = None
        if lots:
            self.default_rate_hours += 1
        self._pay(hour, lots, oracle, self._config.funding.default_rate, hour * HOUR_NS)

    def _pay_carried(self) -> None:
        """Pay the hour that waits for a rate at the last one known: the data ended before its own came."""
        if self._waiting is None or self._last_rate is None:
            self._pay_default()
            return
        hour, lots, oracle = self._waiting
        self._waiting = None
        self.carried_rates += lots != 0
        self._pay(hour, lots, oracle, self._last_rate, hour * HOUR_NS)

    def _pay(self, hour: int, lots: int, oracle: Decimal, rate: Decimal, ts_ns: int) -> None:
        self._paid_hour = hour
        if lots == 0:
            return
        amount = self._ledger.apply_funding(oracle, rate, lots)
        self.account_changed()
        if self._listener is not None:
            self._listener.on_funding(ts_ns, Decimal(amount) / NANO, rate, oracle)

    def _oracle_price(self) -> Decimal:
        if self.oracle is not None:
            return Decimal(str(self.oracle))
        # without an oracle the mark (mid of the book) stands in, and the fallback is counted where something is paid on it
        if self._ledger.position_lots:
            self.oracle_fallbacks += 1
        return self._ledger.mid2_ticks * self._half_tick

    # -- account ----------------------------------------------------------------------------------

    def _state(self, now: int) -> None:
        ledger = self._ledger
        # looked at each second, sent only when something happened, the ratio has moved or it is time
        self._state_due = now + SECOND_NS
        if not self._changed and now < self._refresh_due:
            if not ledger.position_lots and ledger.resting_tick_lots == (0, 0):
                return
            if abs(ledger.margin_ratio - self._last_ratio) <= self._config.account_ratio_step:
                return
        self._changed = False
        self._last_state = now
        self._last_ratio = ledger.margin_ratio
        refresh = self._config.account_refresh_s if ledger.position_lots else HOUR_NS // SECOND_NS
        self._refresh_due = now + refresh * SECOND_NS
        if self._report_account is not None:
            self._report_account(now)

    def _transfer(self, now: int) -> None:
        while self._transfers and self._transfers[-1][0] <= now:
            ts_ns, amount = self._transfers.pop()
            allowed = max(amount, -self._ledger.withdrawable)
            self.refused_transfers += allowed != amount
            self.transfer(ts_ns, allowed)

    def transfer(self, ts_ns: int, amount: Decimal) -> None:
        """Move collateral in (positive) or out, and tell everybody; ``ValueError`` beyond what is withdrawable."""
        self._ledger.transfer(amount)
        self.account_changed()
        if self._listener is not None and amount:
            self._listener.on_transfer(ts_ns, amount)
