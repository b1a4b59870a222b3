"""Our order ids in the venue's form, and back, over a restart."""

import pytest

from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.cloids import cloid_of
from hyperliquid_hip3.errors import HyperliquidError


def test_a_cloid_is_the_same_as_in_the_engines_own_adapter():
    assert cloid_of("O-1") == "0xc9396ad17bd1bbff0f8cc148c8f56baf"


def test_the_way_back_survives_a_restart(tmp_path):
    path = tmp_path / "orders"
    with CloidBook(path) as book:
        cloids = [book.add(f"O-{n}") for n in range(3)]

    with CloidBook(path) as again:
        assert [again.client_order_id(cloid) for cloid in cloids] == ["O-0", "O-1", "O-2"]
        assert again.client_order_id("0x" + "0" * 32) is None
        assert again.client_order_id(None) is None


def test_what_was_flushed_survives_a_kill(tmp_path):
    path = tmp_path / "orders"
    book = CloidBook(path)
    cloid = book.add("O-1")
    book.flush()
    book.add("O-2")

    assert CloidBook(path).client_order_id(cloid) == "O-1"
    assert len(CloidBook(path)) == 1


def test_half_a_line_at_the_end_is_cut_off(tmp_path):
    path = tmp_path / "orders"
    with CloidBook(path) as book:
        kept = book.add("O-1")
    with path.open("ab") as file:
        file.write(b"0xdead")

    with CloidBook(path) as again:
        assert again.client_order_id(kept) == "O-1"
        later = again.add("O-2")
    with CloidBook(path) as third:
        assert third.client_order_id(later) == "O-2"
        assert len(third) == 2


def test_only_the_newest_ids_are_kept(tmp_path):
    path = tmp_path / "orders"
    with CloidBook(path, limit=10) as book:
        cloids = [book.add(f"O-{n}") for n in range(25)]
        book.flush()
        assert len(book) == 10
        assert book.client_order_id(cloids[0]) is None
        assert book.wants_compaction
        book.compact()
        assert len(path.read_text().splitlines()) == 10
        book.add("O-25")

    with CloidBook(path, limit=10) as again:
        assert again.client_order_id(cloid_of("O-25")) == "O-25"
        assert len(again) == 10


def test_the_file_is_private(tmp_path):
    path = tmp_path / "orders"
    CloidBook(path).close()

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(HyperliquidError, match="orders"):
        CloidBook(tmp_path / "missing" / "orders")


def test_without_a_file_nothing_is_written():
    book = CloidBook()
    cloid = book.add("O-1")
    book.flush()
    book.close()

    assert book.client_order_id(cloid) == "O-1"


def test_a_full_disk_is_an_error_and_nothing_is_forgotten(tmp_path):
    book = CloidBook(tmp_path / "orders")
    book.add("O-1")
    file = book._file
    file._descriptor, real = 10_000, file._descriptor

    with pytest.raises(HyperliquidError, match="cannot be written"):
        book.flush()

    file._descriptor = real
    book.close()
    assert len(CloidBook(tmp_path / "orders")) == 1
