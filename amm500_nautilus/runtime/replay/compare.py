"""A recorded run played again and compared: every decision, the fills of the recorded orders, and the whole run traded anew."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any
from typing import Final

from amm500_catalog.errors import InputError
from amm500_nautilus.report.parity import UNEXPLAINED
from amm500_nautilus.report.parity import FillRow
from amm500_nautilus.report.parity import pnl_of
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.forecast.use import attach_forecast
from amm500_nautilus.runtime.node.assembly import strategy_config
from amm500_nautilus.runtime.node.capital import with_capital
from amm500_nautilus.runtime.node.hours import trading_hours
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.replay.clock import action_times
from amm500_nautilus.runtime.replay.clock import answer_times
from amm500_nautilus.runtime.replay.closed_loop import ClosedReplay
from amm500_nautilus.runtime.replay.closed_loop import replay_closed
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.decisions import CONFIG
from amm500_nautilus.runtime.replay.decisions import DecisionReplay
from amm500_nautilus.runtime.replay.decisions import DecisionReplayer
from amm500_nautilus.runtime.replay.fills import FillReplay
from amm500_nautilus.runtime.replay.fills import replay_fills
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.log import Step
from amm500_nautilus.runtime.replay.log import open_recording
from amm500_nautilus.runtime.replay.own import OwnOrders
from amm500_nautilus.runtime.replay.own import feed_lag_of
from amm500_nautilus.runtime.replay.own import own_orders_of


FILE: Final = "replay-diff.json"
ORDER_BAR: Final = 0.99
FILL_BAR: Final = 0.02
EQUAL: Final = "equal"
DIFFERS: Final = "differs"
NOT_ENOUGH: Final = "not_enough_data"
NS_PER_MS: Final = 1e6


@dataclass(slots=True)
class ReplayDiff:
    """
    All that was found.

    ``decisions`` is the open loop, in which every decision starts from what was really seen; ``fills`` puts the recorded orders into
    the simulated exchange; ``fills_alone`` does so without the trades that our own resting orders made; ``closed`` trades the session
    anew, None where that was not asked for.
    """

    recording: Recording
    decisions: DecisionReplay
    fills: FillReplay
    fills_alone: FillReplay
    closed: ClosedReplay | None
    seconds: float
    action_ms: list[float]
    is_other_config: bool
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``equal``, ``differs``, or ``not_enough_data`` where no order was sent."""
        parity, fills = self.decisions.parity, self.fills.parity
        if not parity.recorded:
            return NOT_ENOUGH
        has_cause = not parity.unexplained and UNEXPLAINED not in fills.causes
        is_equal = parity.share >= ORDER_BAR and 1 - fills.overlap <= FILL_BAR
        return EQUAL if is_equal and has_cause and not self.is_other_config else DIFFERS

    @property
    def sentence(self) -> str:
        """The verdict in a line."""
        parity, fills = self.decisions.parity, self.fills.parity
        unexplained = parity.unexplained + fills.causes.get(UNEXPLAINED, 0)
        other = "; the configuration is another than the run's" if self.is_other_config else ""
        return (
            f"{self.verdict}: {parity.equal} of {max(parity.recorded, parity.replayed)} orders equal in price, size and side "
            f"({parity.share:.2%}, bar {ORDER_BAR:.0%}); {fills.shared_lots} of {max(fills.recorded_lots, fills.replayed_lots)} "
            f"lots filled for the same order ({1 - fills.overlap:.2%} off, bar {FILL_BAR:.0%}); "
            f"{unexplained} differences without a cause{other}"
        )

    def pnl(self) -> dict[str, dict[str, float]]:
        """Return what each set of fills earned, valued at the same last mid."""
        instrument = self.recording.instrument
        tick, lot = float(instrument.price_increment), float(instrument.size_increment)
        sets = {"recorded": self.fills.recorded, "recorded_orders_simulated": self.fills.replayed}
        if self.closed is not None:
            sets["closed"] = self.closed.fills
        mid = self.fills.end_mid
        return {name: pnl_of(rows, tick=tick, lot=lot, end_mid=mid) for name, rows in sets.items()}

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain values."""
        closed = self.closed
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "bars": {"orders": ORDER_BAR, "fills": FILL_BAR},
            "mode": self.recording.header["mode"],
            "coin": self.recording.coin,
            "simulated": self.recording.header["simulated"],
            "seconds": self.seconds,
            "data": asdict(self.decisions.data),
            "answers_without_order": self.decisions.lost,
            "action_ms": {"count": len(self.action_ms), "p50": _median(self.action_ms)},
            "decisions": self.decisions.parity.to_plain(),
            "fills": self.fills.parity.to_plain(),
            "fills_without_trades_we_made": self.fills_alone.parity.to_plain(),
            "closed": None
            if closed is None
            else {
                **closed.parity.to_plain(),
                "fills": _totals(self.fills.recorded, closed.fills),
                "latency": "recorded" if closed.has_recorded_latency else "of the run file",
            },
            "pnl": self.pnl(),
            "book_short_of_own_size": self.fills.short,
            "notes": self.notes,
        }


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _totals(recorded: Sequence[FillRow], replayed: Sequence[FillRow]) -> dict[str, dict[str, int]]:
    return {
        "fills": {"recorded": len(recorded), "replayed": len(replayed)},
        "lots": {
            "recorded": sum(fill.lots for fill in recorded),
            "replayed": sum(fill.lots for fill in replayed),
        },
    }


@dataclass(frozen=True, slots=True)
class _Session:
    """A recording, read once: its steps, its orders, and where the run's own decisions end."""

    recording: Recording
    steps: list[Step]
    own: OwnOrders
    until_ns: int
    equity: Decimal
    is_paper: bool
    is_whole: bool

    def filled_again(self, config: RunConfig, *, keep_made: bool) -> FillReplay:
        """Put the recorded orders into the simulated exchange, with or without the trades that they made."""
        return replay_fills(
            self.recording,
            config,
            self.own,
            until_ns=self.until_ns,
            equity=self.equity,
            keep_made=keep_made,
            by_receipt=self.is_paper,
        )

    def traded_anew(
        self, config: RunConfig, decisions: DecisionReplay, took: Sequence[tuple[int, int]]
    ) -> ClosedReplay:
        """Let the strategy trade the whole session once more; ``took`` says how long each action was on its way."""
        return replay_closed(
            self.recording,
            config,
            self.own,
            decisions.decided,
            steps=self.steps,
            took=took,
            until_ns=self.until_ns,
            equity=self.equity,
        )


def _read(recording: Recording) -> _Session:
    instrument = recording.instrument
    steps = list(recording.steps())
    # nobody but the process itself knows the orders of a paper run: its times are ours, and nothing is to be taken out
    is_paper = not recording.nets_own_orders
    own = own_orders_of(
        steps,
        instrument.price_increment.as_decimal(),
        instrument.size_increment.as_decimal(),
        feed_lag_ns=0 if is_paper else feed_lag_of(data_of(recording)),
        is_seen=not is_paper,
    )
    ended_ns = next(
        (step.ns for step in steps if step.kind == "mark" and step.body["name"] == "wind_down"), None
    )
    account: dict[str, Any] = next(
        (step.body["state"]["info"] for step in steps if step.kind == "account"), {}
    )
    if "equity" not in account:
        raise InputError("holds no report of the account", str(recording.folder), "a run that traded")
    return _Session(
        recording=recording,
        steps=steps,
        own=own,
        # of a run that was killed the frames may reach further than what it did with them
        until_ns=steps[-1].ns if ended_ns is None else ended_ns,
        equity=Decimal(str(account["equity"])),
        is_paper=is_paper,
        is_whole=ended_ns is not None,
    )


def _run_config(path: Path, recording: Recording, overrides: list[str]) -> RunConfig:
    file = path / "config.yaml"
    if not file.is_file():
        file = recording.folder.parent / "config.yaml"
    return load_config(file, overrides)


def replay_diff(
    path: Path, *, overrides: list[str], closed: bool = True, progress: Progress | None = None
) -> ReplayDiff:
    """
    Play the recorded run in a directory again, and return where it differs.

    Parameters
    ----------
    path : Path
        A run directory of a run with ``live.record: true``.
    overrides : list of str
        ``a.b=c`` assignments to the run's own file; any makes the verdict ``differs``.
    closed : bool, default True
        Whether the session is also traded anew.
    progress : Progress, optional
        What shows how it goes.

    Raises
    ------
    InputError
        If there is no recorded session, or it cannot be read.

    """
    progress = progress or Progress(quiet=True)
    recording = open_recording(path)
    if not recording.has_session:
        raise InputError("holds the market alone, no strategy ran", str(path), "a run with live.record: true")
    config = _run_config(path, recording, overrides)
    session = _read(recording)
    # by what the run itself was sized by, and by the hours that it quoted in
    config = with_capital(config, config.account.equity if session.is_paper else session.equity)
    progress(0.1, "deciding again")
    settings = strategy_config(
        config,
        recording.instrument,
        nets_own_orders=recording.nets_own_orders,
        sessions=trading_hours(config, session.steps[0].ns),
    )
    replayer = DecisionReplayer(recording, settings, cause=CONFIG if overrides else None)
    attach_forecast(replayer.maker, config, recording.instrument.info["coin"], progress.say)
    decisions = replayer.run()
    progress(0.4, "the recorded orders at the simulated exchange")
    fills, alone = (session.filled_again(config, keep_made=keep) for keep in (True, False))
    took = action_times(session.steps, recording.actions()) or answer_times(session.own)
    again = None
    if closed:
        progress(0.7, "trading anew")
        again = session.traded_anew(config, decisions, took)
    first, last = session.steps[0].ns, min(session.steps[-1].ns, session.until_ns)
    return ReplayDiff(
        recording=recording,
        decisions=decisions,
        fills=fills,
        fills_alone=alone,
        closed=again,
        seconds=(last - first) / 1e9,
        action_ms=[ns / NS_PER_MS for _, ns in took],
        is_other_config=bool(overrides),
        notes=_notes(session, decisions),
    )


def _notes(session: _Session, decisions: DecisionReplay) -> list[str]:
    notes = []
    if not session.is_whole:
        notes.append("the run was cut short: it has no end of its own")
    if decisions.data.without_frame:
        notes.append(f"{decisions.data.without_frame} data that were handed out are not in the frames")
    if decisions.lost:
        notes.append(f"{decisions.lost} answers were of no order that the replay has")
    lots = next((step.body["position"]["lots"] for step in session.steps if step.kind == "state"), 0)
    if lots:
        notes.append(f"the run began with a position of {lots:+d} lots; traded anew it begins flat")
    refused = sum(order.refused is not None for order in session.own.orders.values())
    if refused:
        notes.append(f"{refused} orders were refused then, and are not put into the simulated exchange")
    return notes


def write_diff(diff: ReplayDiff, folder: Path) -> Path:
    """Write everything to ``replay-diff.json`` in a folder and return the file."""
    file = folder / FILE
    part = file.with_name(f"{FILE}.part")
    part.write_text(json.dumps(diff.to_plain(), indent=1) + "\n", encoding="utf-8")
    part.rename(file)
    return file
