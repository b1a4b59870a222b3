"""When cancels that were not answered go again: at once, at a bounded pace, and no longer than they are needed."""

from itertools import pairwise

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3.effects import Canceled
from hyperliquid_hip3.effects import CancelRejected
from hyperliquid_hip3.repeats import GAPS_NS
from hyperliquid_hip3.repeats import UNANSWERED_NS
from hyperliquid_hip3.repeats import WHOLE
from hyperliquid_hip3.repeats import Pace
from tests.adapter.test_tracking import kinds
from tests.adapter.test_tracking import order
from tests.adapter.test_tracking import track


MS = 1_000_000
S = 1_000 * MS
KEYS = [f"o{n}" for n in range(30)]


def play_outage(keys, until_ns, *, fails_after_ns):
    """The repeats of an outage: at what time, and how many items each."""
    pace, now, sent = Pace(), 0, []
    pace.sent(keys, now)
    pace.lost(keys, fails_after_ns)
    while (due := pace.due_at()) is not None and due <= until_ns:
        now = max(now, due)
        going = pace.take(now)
        if going:
            sent.append((now, len(going)))
            pace.lost(going, now + fails_after_ns)
    return pace, sent


def test_an_answered_cancel_is_not_repeated():
    pace = Pace()
    pace.sent(["a"], 0)
    assert pace.take(UNANSWERED_NS - 1) == []
    pace.answered(5 * MS)
    pace.settled("a")
    assert pace.due_at() is None
    assert pace.take(10 * S) == []


def test_a_lost_cancel_goes_again_in_a_moment_and_one_without_any_word_after_a_second():
    pace = Pace()
    pace.sent(["lost", "silent"], 0)
    pace.lost(["lost"], 10 * MS)
    assert pace.due_at() == 10 * MS + GAPS_NS[0]
    assert pace.take(10 * MS + GAPS_NS[0]) == ["lost"]
    assert pace.take(UNANSWERED_NS) == ["silent"]
    assert pace.take(UNANSWERED_NS) == []


def test_after_a_few_losses_one_cancel_asks_for_all_and_its_answer_sends_the_rest_at_once():
    pace, sent = play_outage(KEYS, 20 * S, fails_after_ns=MS)
    whole = [count for _, count in sent if count == len(KEYS)]
    assert len(whole) == WHOLE - 1
    assert {count for _, count in sent[len(whole) :]} == {1}

    pace.answered(20 * S)
    assert sorted(pace.take(20 * S)) == sorted(KEYS)


# whoever else uses the machine is no fault of a pace that reads no clock
@settings(deadline=None)
@given(
    size=st.integers(min_value=1, max_value=200),
    fails_after_ms=st.integers(min_value=0, max_value=900),
    seconds=st.integers(min_value=2, max_value=120),
)
def test_an_outage_costs_little_and_its_end_is_met_within_a_second(size, fails_after_ms, seconds):
    keys = [f"o{n}" for n in range(size)]
    pace, sent = play_outage(keys, seconds * S, fails_after_ns=fails_after_ms * MS)
    # the longest pause between two tries, with the time that a failure takes
    due = pace.due_at()
    assert due is not None
    assert due - seconds * S <= GAPS_NS[-1] + fails_after_ms * MS
    times = [now for now, _ in sent]
    assert all(later - now >= GAPS_NS[0] for now, later in pairwise(times))
    assert len(times) <= WHOLE + seconds * S // GAPS_NS[-1]
    assert sum(count for _, count in sent) <= size * (WHOLE - 1) + len(times)


def test_a_connection_that_never_fails_nor_answers_counts_as_lost():
    pace = Pace()
    pace.sent(KEYS, 0)
    now, counts = 0, []
    while now < 30 * S:
        due = pace.due_at()
        assert due is not None
        now = due
        counts.append(len(pace.take(now)))
    assert counts.count(len(KEYS)) == WHOLE - 1
    assert set(counts) == {1, len(KEYS)}
    assert sum(counts) < len(KEYS) * WHOLE + 30 * S // GAPS_NS[-1] * 2


def test_an_answer_does_not_hurry_a_cancel_that_is_on_its_way():
    pace = Pace()
    pace.sent(["a", "b"], 0)
    pace.answered(MS)
    assert pace.due_at() == UNANSWERED_NS


def test_where_the_venue_wants_fewer_requests_even_an_answer_waits_for_that():
    pace = Pace()
    pace.sent(["a"], 0)
    pace.lost(["a"], 0, pause_ns=2 * S)
    pace.answered(S)
    assert pace.due_at() == 2 * S
    assert pace.take(2 * S - 1) == []
    assert pace.take(2 * S) == ["a"]


def test_an_order_that_is_over_asks_for_nothing_and_the_next_loss_starts_anew():
    pace, _ = play_outage(["a"], 10 * S, fails_after_ns=MS)
    pace.settled("a")
    pace.settled("a")
    assert len(pace) == 0
    pace.sent(["b"], 20 * S)
    pace.lost(["b"], 20 * S)
    assert pace.due_at() == 20 * S + GAPS_NS[0]


def lost_cancel(made):
    """A cancel that was lost and goes again."""
    made.placed(10, 1)
    cancel = made.start_cancel()
    cancel.is_sent = cancel.goes_again = True
    made.cancel_lost(1_000)
    return cancel


def test_a_cancel_that_goes_again_has_not_failed_however_long_that_takes():
    made = track()
    cancel = lost_cancel(made)

    assert made.confirmed(order(), "open", 10**15, 5) == []
    assert made.cancel is cancel
    # and its latest loss counts
    made.cancel_lost(5_000)
    made.cancel_lost(3_000)
    assert made.deadline_ms == 5_000
    assert kinds(made.confirmed(order(), "canceled", 1, 6)) == [Canceled]


def test_a_repeat_that_is_refused_says_nothing_of_the_cancel_before_it():
    made = track()
    lost_cancel(made)

    assert made.cancel_refused("User or API Wallet does not exist.", 4, is_gone=False) == []
    assert made.wants_query
    # from then on it is a cancel that nobody repeats
    assert made.confirmed(order(), "open", 1_000, 5) == []
    assert kinds(made.confirmed(order(), "open", 1_001, 6)) == [CancelRejected]


def test_a_cancel_that_was_done_is_neither_gone_nor_lost_by_what_comes_late_of_another():
    made = track()
    cancel = lost_cancel(made)
    made.cancel_done(4)

    assert made.cancel_refused("Order was never placed, already canceled, or filled.", 5, is_gone=True) == []
    made.cancel_lost(9_000)
    assert (cancel.is_done, cancel.is_gone, cancel.unknown_until_ms) == (True, False, None)
    assert made.confirmed(order(), "open", 10**15, 6) == []
    assert kinds(made.confirmed(order(), "canceled", 10**15, 7)) == [Canceled]


def test_a_repeat_that_finds_no_order_waits_for_word_of_its_end():
    made = track()
    lost_cancel(made)

    assert made.cancel_refused("Order was never placed, already canceled, or filled.", 5, is_gone=True) == []
    # an answer that lags behind is no sign that it rests
    assert made.confirmed(order(), "open", 1_000, 6) == []
    assert kinds(made.confirmed(order(), "canceled", 1_000, 7)) == [Canceled]
