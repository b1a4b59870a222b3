"""
A session kept whole: raw frames by the adapter's recorder, and beside them everything else that the strategy was told and what it did.

Format of ``session-*.lz4``: the recorder's own (a line each, ``<time, ns UTC> <JSON>``), in the order in which the strategy's thread came
by it. ``k`` says what a line is: ``data`` (a datum was handed out; its content is in the frames), ``cycle`` (the timer's call),
``conditions``, ``send`` (what the strategy decided to send), ``count`` (what it counted as sent), ``event`` (of an order), ``account``,
``action`` (a signed action: sent, answered), ``command`` (of a person), ``state`` (what the strategy began with), ``mark`` (of the run itself).
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import Final

import msgspec
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.events import AccountState

from amm500_nautilus import topics
from amm500_nautilus.cycle import CycleTimer
from amm500_nautilus.quoting.types import ActionRecord
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Change
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.risk.types import NO_CONDITIONS
from amm500_nautilus.risk.types import Conditions
from amm500_nautilus.strategy import MarketMaker
from hyperliquid_hip3.recorder import FrameRecorder


# what a person tells the running strategy: a name and its argument
COMMAND_TOPIC: Final = "amm500.command"
FOLDER: Final = "recording"
HEADER: Final = "recording.json"
FORMAT: Final = 1
FRAMES: Final = "market"
SESSION: Final = "session"
# behind a simulated venue in this process (30), which answers before anybody else hears of a datum, and before all others
PRIORITY: Final = 25
KINDS: Final = ("quotes", "trades", "book.deltas", "index_prices", "funding_rates")
NAMES: Final[dict[type, str]] = {
    QuoteTick: "quote",
    TradeTick: "trade",
    OrderBookDeltas: "book",
    IndexPriceUpdate: "index",
    FundingRateUpdate: "funding",
}


def wire_of(change: Change) -> list[Any]:
    """Return a change as it is written."""
    if isinstance(change, Place):
        return [
            "P",
            change.side,
            change.price_ticks,
            change.lots,
            change.level,
            change.reduce_only,
            change.ioc,
        ]
    if isinstance(change, Modify):
        return ["M", change.key, change.price_ticks, change.lots, change.level]
    return ["C", change.key]


def change_of(wire: list[Any]) -> Change:
    """Return a change as it was written."""
    if wire[0] == "P":
        return Place(*wire[1:])
    return Modify(*wire[1:]) if wire[0] == "M" else Cancel(wire[1])


def write_header(folder: Path, facts: dict[str, Any], instrument: Any) -> None:
    """Write what a recording is of: ``facts``, and the instrument as the venue declared it."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {"format": FORMAT, **facts, "instrument": type(instrument).to_dict(instrument)}
    part = folder / f"{HEADER}.part"
    part.write_text(json.dumps(header, indent=1, default=str) + "\n", encoding="utf-8")
    part.rename(folder / HEADER)


class SessionRecorder:
    """
    Write down what the strategy of a node is told, and what it does.

    Parameters
    ----------
    folder : Path
        Where the recording goes; the frames of the adapter's data client go there too.
    now_ns : callable, default ``time.time_ns``
        The wall clock.

    """

    def __init__(self, folder: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder
        self._now_ns = now_ns
        self._recorder = FrameRecorder(folder, name=SESSION)
        self._encode = msgspec.json.Encoder(enc_hook=str).encode
        self._maker: MarketMaker | None = None
        self._msgbus: Any = None
        self._subscriptions: tuple[tuple[str, Callable[[Any], None]], ...] = ()
        self._ask: Callable[[], Conditions] | None = None
        self._known = NO_CONDITIONS
        self._account: Any = None
        self._is_stated = False

    @property
    def failure(self) -> str | None:
        """Why the recording ended before the run did; None while all is well."""
        return self._recorder.failure

    def attach(self, maker: MarketMaker, msgbus: Any, instrument: Any, facts: dict[str, Any]) -> None:
        """
        Listen, before the node runs; the strategy's ``conditions`` must be set already.

        Raises
        ------
        OSError
            If the folder cannot be written to.

        """
        write_header(self._folder, facts, instrument)
        self._recorder.start()
        self._maker, self._msgbus = maker, msgbus
        self._ask = maker.conditions
        maker.conditions = self._conditions
        maker.review = self._review
        maker.cycle_timer = self._timer
        tail = f"{instrument.id.venue}.{instrument.id.symbol}"
        self._subscriptions = (
            *((f"data.{kind}.{tail}", self._on_data) for kind in KINDS),
            (topics.ACTION, self._on_count),
            (COMMAND_TOPIC, self._on_command),
            ("events.order.*", self._on_event),
            ("events.account.*", self._on_account),
        )
        for topic, handler in self._subscriptions:
            msgbus.subscribe(topic, handler, priority=PRIORITY)

    def on_action(self, kind: str, items: int, sent_ns: int, answered_ns: int | None) -> None:
        """Take a signed action and when it was answered, if it was."""
        self._log({"k": "action", "kind": kind, "items": items, "sent": sent_ns, "answered": answered_ns})

    def mark(self, name: str) -> None:
        """Note a step of the run: ``wind_down`` is where the strategy's own decisions end."""
        self._log({"k": "mark", "name": name})

    def close(self) -> None:
        """Listen no more and complete the files."""
        for topic, handler in self._subscriptions:
            self._msgbus.unsubscribe(topic, handler)
        self._subscriptions = ()
        self._recorder.close()

    # -- what happens -------------------------------------------------------------------------------------------------

    def _log(self, line: dict[str, Any]) -> None:
        self._recorder.write(self._encode(line), self._now_ns())

    def _timer(self, clock: Any, interval_ns: int, cycle: Callable[[int], None], loop: Any) -> CycleTimer:
        def seen(ts_ns: int) -> None:
            self._tell_state()
            self._log({"k": "cycle", "ts": ts_ns})
            cycle(ts_ns)

        return CycleTimer(clock, interval_ns, seen, loop)

    def _tell_state(self) -> None:
        """Write once what the strategy began with."""
        maker = self._maker
        if self._is_stated or maker is None or not maker.is_running:
            return
        self._is_stated = True
        saved = {name: value.decode() for name, value in maker.on_save().items()}
        position = {"lots": maker.inventory.lots, "entry_ticks": maker.inventory.entry_ticks}
        self._log({"k": "state", "saved": saved, "position": position})

    def _on_data(self, data: Any) -> None:
        self._tell_state()
        self._log({"k": "data", "t": NAMES[type(data)], "ts": data.ts_init})

    def _conditions(self) -> Conditions:
        around = NO_CONDITIONS if self._ask is None else self._ask()
        if around != self._known or around.demands:
            self._log({"k": "conditions", **around._asdict()})
            self._known = around._replace(demands=())
        return around

    def _review(self, ts_ns: int, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        self._log({"k": "send", "ts": ts_ns, "changes": [wire_of(change) for change in changes]})
        return changes

    def _on_count(self, record: ActionRecord) -> None:
        self._log({"k": "count", "ts": record.ts_ns, "kind": record.kind, "count": record.count})

    def _on_command(self, command: tuple[str, str]) -> None:
        self._log({"k": "command", "name": command[0], "argument": command[1]})

    def _on_event(self, event: Any) -> None:
        self._log({"k": "event", "event": type(event).to_dict(event)})

    def _on_account(self, event: AccountState) -> None:
        maker = self._maker
        is_same = self._account is not None and event.info is self._account
        self._account = event.info
        is_running = maker is not None and maker.is_running
        line = {"k": "account", "same": is_same, "early": not is_running}
        self._log(line if is_same else {**line, "state": AccountState.to_dict(event)})
