"""What was deposited and withdrawn, counted once over all processes that trade an account."""

import asyncio
import json

import pytest

from hyperliquid_hip3.account_parsing import parse_ledger_updates
from hyperliquid_hip3.account_state import AccountSums
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.notices import NoticeKind
from hyperliquid_hip3.state_files import Storage
from hyperliquid_hip3.transfers import Pot
from hyperliquid_hip3.transfers import TransferBook


USER = "0x" + "5e" * 20
START_MS = 1_754_467_216_357
NS_PER_MS = 1_000_000


def moved(amount, at_ms, *, block="0x1", kind=None):
    """A row of the venue's ledger: a deposit, or a withdrawal where the amount is negative."""
    word = kind or ("deposit" if amount > 0 else "withdraw")
    delta = {"type": word, "usdc": str(abs(amount))} | ({} if amount > 0 else {"fee": "1.0"})
    return {"time": at_ms, "hash": block, "delta": delta}


class Venue:
    """The account's ledger."""

    def __init__(self, *rows):
        self.rows = list(rows)
        self.asked = []

    async def ledger_updates(self, user, start_ms, end_ms=None):
        self.asked.append((user, start_ms))
        return parse_ledger_updates([row for row in self.rows if row["time"] >= start_ms])


class Process:
    """One process after the other on one folder; the first one began at ``START_MS``."""

    def __init__(self, folder, venue, *, now_ms=START_MS, is_unified=True, name="transfers"):
        self.sums, self.notices = AccountSums(), []
        self.pot = {"is_unified": is_unified}
        self.book = TransferBook(
            folder / name,
            Pot(USER, "km", "USDC", is_unified=lambda: self.pot["is_unified"]),
            self.sums,
            reader=venue,
            storage=Storage(lambda kind, text, **_: self.notices.append((kind, text))),
            now_ms=now_ms,
        )

    def read(self):
        asyncio.run(self.book.read())
        return self.sums.net_transfers

    def hear(self, *rows):
        return self.book.take(parse_ledger_updates(list(rows)))


def test_what_was_withdrawn_before_a_restart_is_known_after_it_before_the_venue_is_asked(tmp_path):
    first = Process(tmp_path, Venue())
    assert first.hear(moved(-100, START_MS + 5))
    again = Process(tmp_path, Venue(), now_ms=START_MS + 60_000)
    assert again.sums.net_transfers == -100
    assert (tmp_path / "transfers").stat().st_mode & 0o777 == 0o600


def test_what_was_moved_while_no_process_ran_is_read_at_the_next_start(tmp_path):
    Process(tmp_path, Venue())
    venue = Venue(moved(1_000, START_MS + 5), moved(-30, START_MS + 9, block="0x2"))
    again = Process(tmp_path, venue, now_ms=START_MS + 60_000)
    assert not again.book.is_read
    assert again.read() == 970
    assert again.book.is_read
    assert venue.asked == [(USER, START_MS)]


def test_a_row_that_comes_by_stream_by_question_and_after_a_restart_counts_once(tmp_path):
    row = moved(-100, START_MS + 5)
    first = Process(tmp_path, Venue(row))
    assert first.hear(row)
    assert not first.hear(row)
    assert first.read() == -100
    again = Process(tmp_path, Venue(row), now_ms=START_MS + 60_000)
    assert not again.hear(row)
    assert again.read() == -100


def test_two_movements_of_one_block_are_two(tmp_path):
    first = Process(tmp_path, Venue())
    assert first.hear(moved(100, START_MS + 5), moved(40, START_MS + 5))
    assert first.sums.net_transfers == 140


def test_what_was_moved_before_the_first_start_is_the_past_after_every_restart(tmp_path):
    venue = Venue(moved(5_000, START_MS - 1))
    assert Process(tmp_path, venue).read() == 0
    again = Process(tmp_path, venue, now_ms=START_MS + 60_000)
    assert not again.hear(*venue.rows)
    assert again.read() == 0
    assert again.book.since_ns == START_MS * NS_PER_MS


def test_another_account_mode_counts_no_row_a_second_time(tmp_path):
    """A deposit leaves a dex's own pot alone; once all pots are one, it is in there already."""
    row = moved(100, START_MS + 5)
    first = Process(tmp_path, Venue(row), is_unified=False)
    assert first.read() == 0
    first.pot["is_unified"] = True
    assert first.read() == 0
    again = Process(tmp_path, Venue(row), now_ms=START_MS + 60_000)
    assert again.read() == 0
    assert again.hear(moved(7, START_MS + 70_000))
    assert again.sums.net_transfers == 7


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"version": 2, "since_ns": 1, "rows": []}),
        json.dumps({"version": 1, "since_ns": 1, "rows": [[1, "a"]]}),
        json.dumps({"version": 1, "since_ns": 1, "rows": [[1, "a", "much"]]}),
        json.dumps({"version": 1, "since_ns": 1, "rows": [[1, "a", "NaN"]]}),
        json.dumps({"version": 1, "since_ns": None, "rows": []}),
    ],
)
def test_a_damaged_file_is_not_guessed_at(tmp_path, content):
    (tmp_path / "transfers").write_text(content)
    with pytest.raises(HyperliquidError, match=r"transfers is damaged .* begin a new session"):
        Process(tmp_path, Venue())
    assert (tmp_path / "transfers").read_text() == content


def test_a_disk_that_takes_nothing_is_told_and_the_row_is_read_again_after_a_restart(tmp_path):
    first = Process(tmp_path, Venue())
    # nothing can be put where a folder is
    (tmp_path / "transfers.new").mkdir()
    row = moved(-100, START_MS + 5)
    assert first.hear(row)
    assert first.sums.net_transfers == -100
    assert [kind for kind, _ in first.notices] == [NoticeKind.STORAGE]
    (tmp_path / "transfers.new").rmdir()
    assert Process(tmp_path, Venue(row), now_ms=START_MS + 60_000).read() == -100
