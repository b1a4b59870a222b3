"""Nonces never repeat: not across threads, restarts, kills or a clock set back."""

import multiprocessing
import os
import signal
import stat
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.nonces import NonceCounter
from hyperliquid_hip3.nonces import wall_clock_ms


NOW = 1_780_000_000_000
DAY_MS = 86_400_000


class HandClock:
    """Stands still until it is set."""

    def __init__(self, now_ms):
        self.now_ms = now_ms

    def __call__(self):
        return self.now_ms


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signer.nonce"


def test_a_nonce_is_the_time_or_one_more_than_the_last(path):
    clock = HandClock(NOW)
    with NonceCounter(path, now_ms=clock) as counter:
        # the clock stands still, then moves 10 ms, then is set back by a minute
        assert [counter.take(), counter.take()] == [NOW, NOW + 1]
        clock.now_ms = NOW + 10
        assert counter.take() == NOW + 10
        clock.now_ms = NOW - 60_000
        assert [counter.take(), counter.take()] == [NOW + 11, NOW + 12]
        assert counter.last == NOW + 12


def test_the_last_nonce_outlives_a_restart_with_the_clock_set_back(path):
    with NonceCounter(path, now_ms=HandClock(NOW)) as counter:
        counter.take()
    with NonceCounter(path, now_ms=HandClock(NOW - 3_600_000)) as counter:
        assert counter.last == NOW
        assert counter.take() == NOW + 1


def test_a_nonce_a_day_ahead_of_the_clock_is_refused_and_not_used_up(path):
    clock = HandClock(NOW)
    with NonceCounter(path, now_ms=clock) as counter:
        counter.take()
        # the next would be NOW + 1; the venue takes at most a day ahead
        clock.now_ms = NOW + 1 - DAY_MS
        assert counter.take() == NOW + 1
        with pytest.raises(SigningError, match="more than a day ahead"):
            counter.take()
        clock.now_ms += 1
        assert counter.take() == NOW + 2


# half a day less the forty nonces, so that the last is never a day ahead of the clock
@given(st.lists(st.integers(-DAY_MS // 2 + 40, DAY_MS // 2), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_nonces_rise_whatever_the_clock_does(tmp_path_factory, steps):
    clock = HandClock(NOW)
    path = tmp_path_factory.mktemp("nonces") / "signer.nonce"
    taken = []
    for step in steps:
        # a new counter each time: every one is a restart
        with NonceCounter(path, now_ms=clock) as counter:
            clock.now_ms = NOW + step
            taken.append(counter.take())
            assert taken[-1] >= clock.now_ms
    assert all(later > earlier for earlier, later in pairwise(taken))


def test_threads_get_different_nonces(path):
    taken = []
    with NonceCounter(path, now_ms=HandClock(NOW)) as counter:

        def work():
            for _ in range(200):
                taken.append(counter.take())  # noqa: PERF401 - one append per nonce is the point

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(taken) == list(range(NOW, NOW + 1600))


def test_the_file_belongs_to_one_process_and_one_user(path):
    with NonceCounter(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(SigningError, match="in use"):
            NonceCounter(path)
    NonceCounter(path).close()


def take_until_killed(path, sender):
    counter = NonceCounter(path, now_ms=HandClock(NOW))
    for _ in range(100_000_000):
        sender.send(counter.take())


def test_a_killed_process_leaves_the_last_nonce_and_no_lock(path):
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=take_until_killed, args=(path, sender))
    child.start()
    sender.close()
    seen = [receiver.recv() for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    # what it sent before it died still stands in the pipe
    while True:
        try:
            seen.append(receiver.recv())
        except (EOFError, OSError):
            break
    with NonceCounter(path, now_ms=HandClock(NOW)) as counter:
        assert counter.take() > max(seen)


@pytest.mark.parametrize("content", [b"x", b"123\n", b"0" * 20, b"0" * 21, b"0" * 20 + b"\n1", b"\x00" * 21])
def test_a_damaged_file_is_not_guessed_at(path, content):
    path.write_bytes(content)
    with pytest.raises(SigningError, match="damaged"):
        NonceCounter(path)
    # and it is left as it was, unlocked
    assert path.read_bytes() == content
    path.write_bytes(b"")
    NonceCounter(path).close()


def test_a_file_made_and_never_written_is_a_fresh_start(path):
    path.touch()
    with NonceCounter(path, now_ms=HandClock(NOW)) as counter:
        assert (counter.last, counter.take()) == (0, NOW)


def test_a_missing_folder_and_a_link_are_errors(tmp_path):
    with pytest.raises(SigningError, match="cannot be opened"):
        NonceCounter(tmp_path / "missing" / "signer.nonce")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SigningError, match="cannot be opened"):
        NonceCounter(tmp_path / "link")


def test_a_write_that_fails_hands_out_nothing(path, monkeypatch):
    with NonceCounter(path, now_ms=HandClock(NOW)) as counter:
        counter.take()

        def refuse(descriptor, content, offset):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", refuse)
            with pytest.raises(SigningError, match="No space left"):
                counter.take()
            patch.setattr(os, "pwrite", lambda descriptor, content, offset: 3)
            with pytest.raises(SigningError, match="disk is full"):
                counter.take()
        assert counter.take() == NOW + 1


def count_writes(monkeypatch):
    written = []
    write = os.pwrite

    def counting(descriptor, content, offset):
        written.append(int(content))
        return write(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", counting)
    return written


def test_a_reserve_spares_the_writes_of_the_nonces_within_it(path, monkeypatch):
    clock = HandClock(NOW)
    written = count_writes(monkeypatch)
    with NonceCounter(path, now_ms=clock, reserve=100) as counter:
        for ahead in (0, 10, 100, 101, 150):
            clock.now_ms = NOW + ahead
            assert counter.take() == NOW + ahead
        assert written == [NOW + 100, NOW + 201]
    # closed, it gives back what it did not use
    assert written[2:] == [NOW + 150]
    with NonceCounter(path, now_ms=HandClock(0), reserve=100) as counter:
        assert counter.last == NOW + 150


def test_a_killed_process_repeats_no_nonce_of_its_reserve(path):
    counter = NonceCounter(path, now_ms=HandClock(NOW), reserve=100)
    taken = [counter.take() for _ in range(150)]
    # what a kill leaves: the file as it is, and no lock
    content = path.read_bytes()
    counter.close()
    path.write_bytes(content)

    with NonceCounter(path, now_ms=HandClock(NOW), reserve=100) as later:
        assert taken[-1] < later.take() <= taken[-1] + 101


def test_a_reserve_that_cannot_be_written_hands_out_nothing(path, monkeypatch):
    with NonceCounter(path, now_ms=HandClock(NOW), reserve=1) as counter:
        assert [counter.take(), counter.take()] == [NOW, NOW + 1]
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", lambda descriptor, content, offset: 3)
            with pytest.raises(SigningError, match="disk is full"):
                counter.take()
        assert counter.take() == NOW + 2


def test_a_reserve_of_a_day_or_a_negative_one_is_refused(path):
    for reserve in (-1, DAY_MS):
        with pytest.raises(SigningError, match="`reserve`"):
            NonceCounter(path, reserve=reserve)


def test_a_closed_counter_hands_out_nothing(path):
    counter = NonceCounter(path)
    counter.close()
    counter.close()
    with pytest.raises(SigningError, match="closed"):
        counter.take()


def test_the_wall_clock_is_in_milliseconds():
    before = time.time()
    assert before * 1000 - 1 <= wall_clock_ms() <= time.time() * 1000 + 1
