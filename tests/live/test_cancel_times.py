"""From what triggers a reason to the venue's cancels: two seconds at most, by the venue's own blocks."""

import bisect
import json
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import pytest

from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.exec_session import DEX
from tests.live.exec_session import MID
from tests.live.exec_session import quiet_venue
from tests.live.test_reasons import FOREVER
from tests.live.test_reasons import QUICK_CLOCKS
from tests.live.test_reasons import SWITCHES
from tests.live.test_reasons import sell_out
from tests.live.watched import Watched
from tests.live.watched import only


pytestmark = pytest.mark.live_node

# live behavior, reasons: from the triggering event, decision and cancel action are out within 2 s
BOUND_S = 2.0
# longer than by default, so that a machine which stands still for a moment is no stale market
STALE_S = 3.0
SETTINGS = (
    f"{SWITCHES}drawdown=0.0003",
    f"{SWITCHES}book_stale_secs={STALE_S}",
    f"strategy.quoting.fair.book_stale_secs={STALE_S}",
    f"{SWITCHES}oracle_stale_secs=60",
)
NS = 10**9
MS = 10**6


class Block(NamedTuple):
    """When the venue made a block, ns UTC, and how many orders of the account rested after it."""

    ts_ns: int
    resting: int


class BlockLog:
    """
    What the venue notes of every block, by which spans are measured.

    A venue that comes too late for a block does not make up for it, so a machine that is busy with something else slows venue and node
    alike: so many blocks in between are so much time on a machine that has nothing else to do, and never more than the clock shows.
    """

    def __init__(self, block_ms: int) -> None:
        self._block_ms = block_ms
        self.blocks: list[Block] = []

    def follow(self, venue: LoopbackVenue, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Note every block that the venue makes."""
        run_block = venue.exchange.run_block

        def noted(now_ms: int, house: Any) -> Any:
            events = run_block(now_ms, house)
            self.blocks.append(Block(now_ms * MS, len(venue.exchange.open_orders(user, DEX))))
            return events

        monkeypatch.setattr(venue.exchange, "run_block", noted)

    def seconds(self, since_ns: int, until_ns: int) -> float:
        """Return how long it was, by the blocks in between."""
        times = [block.ts_ns for block in self.blocks]
        count = bisect.bisect_right(times, until_ns) - bisect.bisect_right(times, since_ns)
        return count * self._block_ms / 1_000

    def emptied_ns(self, since_ns: int) -> int | None:
        """Return the time of the first block after a moment in which nothing rested."""
        found = [block.ts_ns for block in self.blocks if block.ts_ns >= since_ns and not block.resting]
        return found[0] if found else None


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with quiet_venue(generated_accounts=1, cadences=QUICK_CLOCKS) as running:
        yield running


class Timed(NamedTuple):
    """How long after what triggered a reason it was decided, and nothing rested any more, seconds by the venue's blocks."""

    decided_s: float
    canceled_s: float


def timed(
    run: Watched,
    log: BlockLog,
    reason: str,
    cause: Callable[[], Any],
    *,
    triggered_ns: Callable[[int, dict[str, float]], int] | None = None,
) -> Timed:
    """
    Cause a reason while the node quotes, and measure.

    ``triggered_ns`` makes the time of the trigger from those of the decision and its numbers; without it that is when it was caused.
    """
    run.quoting()
    # the venue's clock is this machine's
    caused_ns, before = run.venue.now_ms * MS, len(run.raised(reason))
    cause()
    empty_ns = run.until(lambda: log.emptied_ns(caused_ns), f"{reason}: nothing rests at the venue")
    rows = run.until(lambda: run.raised(reason)[before:], f"{reason} is journaled")
    decided_ns, numbers = only(rows)
    since_ns = caused_ns if triggered_ns is None else triggered_ns(decided_ns, json.loads(numbers))
    assert since_ns <= min(decided_ns, empty_ns)
    # by cancels, as the venue's own record of the last of them says
    ended = run.venue.call(lambda e: e.historical_orders(run.trading.address))
    assert any(row["status"] == "canceled" and row["statusTimestamp"] * MS == empty_ns for row in ended)
    return Timed(log.seconds(since_ns, decided_ns), log.seconds(since_ns, empty_ns))


def over(run: Watched, reason: str) -> None:
    """Let a person end what is left of a reason."""
    run.ask("resume")
    run.until(lambda: not run.is_active(reason), f"{reason} ends")


def too_old_ns(decided_ns: int, numbers: dict[str, float]) -> int:
    """Return when the book was just too old, from how old it was at the decision."""
    return decided_ns - int((numbers["age_secs"] - STALE_S) * NS)


def test_what_a_person_a_kill_switch_and_stale_data_ask_for_is_canceled_within_two_seconds(
    venue: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Watched(venue, tmp_path, *SETTINGS)
    log, faults = BlockLog(venue.config.block_ms), venue.faults
    log.follow(venue, run.trading.address, monkeypatch)
    found: dict[str, Timed] = {}

    def no_book() -> None:
        faults.set("drop", times=FOREVER, only="l2Book")
        faults.set("ws_drop", times=FOREVER)

    def held_up() -> None:
        submit, held = venue.exchange.submit, []
        monkeypatch.setattr(venue.exchange, "submit", lambda *a, **k: held.append((a, k)))
        until = venue.blocks + BOUND_S * 1_000 / venue.config.block_ms
        run.ask("pause")
        run.until(lambda: venue.blocks > until, "two seconds of blocks")
        monkeypatch.setattr(venue.exchange, "submit", submit)
        venue.call(lambda _: [submit(*a, **k) for a, k in held])

    def script(run: Watched) -> None:
        found["operator_pause"] = timed(run, log, "operator_pause", lambda: run.ask("pause"))
        over(run, "operator_pause")
        found["operator_flatten"] = timed(run, log, "operator_flatten", lambda: run.ask("flatten"))
        over(run, "operator_flatten")
        found["book_stale"] = timed(run, log, "book_stale", no_book, triggered_ns=too_old_ns)
        faults.clear()
        run.until(lambda: not run.is_active("book_stale"), "book_stale ends")
        run.quoting()
        sell_out(run)
        found["drawdown"] = timed(run, log, "drawdown", lambda: run.trading.move(MID + 4))
        run.trading.move(MID)
        run.until(lambda: run.trading.position() == 0, "flat")
        over(run, "drawdown")
        # the measure can say no: cancels that the venue leaves lying for two seconds are late
        found["late"] = timed(run, log, "operator_pause", held_up)

    run.play(script)
    late = found.pop("late")
    assert late.decided_s <= BOUND_S < late.canceled_s, late
    assert set(found) == {"operator_pause", "operator_flatten", "book_stale", "drawdown"}
    assert all(max(each) <= BOUND_S for each in found.values()), found


def log_of(*blocks: Block) -> BlockLog:
    log = BlockLog(block_ms=20)
    log.blocks.extend(blocks)
    return log


def test_a_span_is_as_long_as_its_blocks_however_late_they_came() -> None:
    on_time = log_of(*(Block(n * 20 * MS, 30) for n in range(1, 201)))
    assert on_time.seconds(0, 2 * NS) == 2.0
    assert on_time.seconds(20 * MS, 20 * MS) == 0
    stalled = log_of(Block(20 * MS, 30), Block(40 * MS, 30), Block(5 * NS, 0))
    assert stalled.seconds(0, 5 * NS) == 0.06
    assert stalled.emptied_ns(0) == 5 * NS
    assert stalled.emptied_ns(6 * NS) is None
