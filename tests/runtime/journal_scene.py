"""Journals made by hand: so many minutes of trading, with what a test wants to be in them."""

import json
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.journal import Journal


NS = 1_000_000_000
MINUTE = 60 * NS
DAY = 86_400 * NS
# a Monday, 00:00 UTC
START = 1_768_176_000 * NS
MID = 690.0


def write_journal(
    folder: Path,
    *,
    days: float = 7.5,
    mode: str = "paper",
    growth: float = 0.0,
    swing: float = 0.0,
    fills_per_minute: int = 1,
    maker: int = 1,
    context: dict[str, Any] | None = None,
    skip: range = range(0),
    halts: tuple[tuple[str, dict[str, float]], ...] = (),
    transfer: float = 0.0,
    runs: int = 1,
    size: str = "0.5",
) -> Path:
    """Write one session: ``growth`` a day, a fall of ``swing`` in the middle, fills that buy and sell in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder)
    journal.open()
    _write_runs(journal, runs, mode, context)
    minutes = int(days * 1_440)
    fills = 0
    moved = 0.0
    for minute in range(minutes + 1):
        ts_ns, run = START + minute * MINUTE, 1 + minute * runs // (minutes + 1)
        if minute == minutes // 2 and transfer:
            moved = transfer
            journal.write(
                "payment", ts_ns=ts_ns, coin="km:US500", kind="transfer", amount=str(transfer), run=run
            )
        if minute and minute % 60 == 0:
            journal.write("payment", ts_ns=ts_ns, coin="km:US500", kind="funding", amount="0.001", run=run)
        if minute in skip:
            continue
        # never twice the same return, so that there is a deviation
        wave = 0.2 * (minute % 120 >= 60)
        fallen = swing if minute >= minutes // 2 else 0.0
        value = 10_000.0 + growth * minute / 1_440 + wave - fallen + moved
        for number in range(fills_per_minute):
            fills += 1
            _write_fill(journal, ts_ns + number, run, fills, size=size, maker=maker)
        _write_minute(journal, ts_ns, run, value=value, fills=fills, moved=moved)
        if minute % 2_000 == 0:
            assert journal.flush(30)
    for name, numbers in halts:
        journal.write(
            "decision", ts_ns=START + MINUTE * minutes - NS, run=runs, subject="reason", approved=0, reason=name,
            numbers=json.dumps(numbers),
        )  # fmt: skip
    assert journal.close(30)
    return journal.path


def _write_runs(journal: Journal, runs: int, mode: str, context: dict[str, Any] | None) -> None:
    journal.write("session", id=1, started_ns=START, started_by="start")
    for run in range(1, runs + 1):
        journal.write(
            "run", id=run, session=1, started_ns=START, name="week", mode=mode, coin="km:US500", account="",
            config_hash="", pid=1, version="1",
        )  # fmt: skip
        if context is not None:
            journal.save(f"report.{run}", START, json.dumps(context).encode())


def _write_fill(journal: Journal, ts_ns: int, run: int, number: int, *, size: str, maker: int) -> None:
    """Write a fill: the odd ones buy, the even ones sell it again."""
    side = 1 if number % 2 else -1
    journal.write(
        "fill", ts_ns=ts_ns, coin="km:US500", tid=f"t{number}", run=run, client_order_id=f"o{number}", side=side,
        price=str(MID), size=size, fee="0.01", closed_pnl="0", maker=maker, position=size if side > 0 else "0",
        mid=MID,
    )  # fmt: skip


def _write_minute(journal: Journal, ts_ns: int, run: int, *, value: float, fills: int, moved: float) -> None:
    """Write the account at a minute, and quotes on both sides through it."""
    journal.write(
        "equity", ts_ns=ts_ns + 10, run=run, session=1, equity=value, balance=value, position=0.0, mid=MID,
        margin_used=0.0, order_margin=0.0, margin_ratio=0.1, maintenance_ratio=0.0, funding=0.0,
        fees=0.01 * fills, transfers=moved, leverage=10.0, collateral_price=1.0, budget_remaining=100.0,
        actions=fills, fills=fills, state="RUNNING",
    )  # fmt: skip
    for second in range(0, 60, 12):
        journal.write(
            "quote", ts_ns=ts_ns + second * NS + 20, run=run, bid=MID - 0.05, ask=MID + 0.05, mid=MID, n_bids=1,
            n_asks=1, state="quoting", reasons="",
        )  # fmt: skip


CONTEXT = {
    "name": "week",
    "source": "hyperliquid, live",
    "simulated": False,
    "market": "km:US500",
    "collateral": "USDH",
    "mode": "paper",
    "targets": {},
    "verdict": {},
    "budget": {},
    "strategy_hash": "abc",
}
