"""Recorded markets played on the venue: raw frames and catalogue datasets."""

import gzip
import json
from decimal import Decimal

import pytest

from amm500_catalog.calibrate_report import walk_bars
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.simulator import simulate
from amm500_catalog.sources.recordings import import_raw_lines
from amm500_catalog.sources.recordings import instrument_of
from amm500_catalog.spec import MarketSpec
from amm500_catalog.store import CatalogStore
from hyperliquid_loopback.flow import OraclePrice
from hyperliquid_loopback.flow import Shown
from hyperliquid_loopback.flow import Taken
from hyperliquid_loopback.replay import ReplayFlow


D = Decimal
COIN = "km:US500"


# 2026-01-15 00:00 UTC; frames are stamped in ms after it
T0_MS = 1_768_435_200_000


def book_frame(ms, bid, ask, coin="TEST"):
    rows = [[{"px": str(price), "sz": "4.5", "n": 1}] for price in (bid, ask)]
    return {"channel": "l2Book", "data": {"coin": coin, "time": T0_MS + ms, "levels": rows}}


def trade_frame(ms, side, price, tid, coin="TEST"):
    row = {
        "coin": coin,
        "side": side,
        "px": str(price),
        "sz": "0.7",
        "time": T0_MS + ms,
        "hash": "0x0",
        "tid": tid,
    }
    return {"channel": "trades", "data": [{**row, "users": ["0x1", "0x2"]}]}


def ctx_frame(price, coin="TEST"):
    return {"channel": "activeAssetCtx", "data": {"coin": coin, "ctx": {"oraclePx": str(price)}}}


def write(path, frames, *, stamped=False):
    lines = [
        (f"{(T0_MS + i) * 1_000_000} " if stamped else "") + json.dumps(frame)
        for i, frame in enumerate(frames)
    ]
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt") as out:
        out.write("\n".join(lines) + "\n")
    return str(path)


FRAMES = [
    trade_frame(4_000, "B", "101", 7),
    book_frame(5_000, "100", "101"),
    trade_frame(5_200, "A", "100", 8),
    trade_frame(5_200, "A", "100", 8),
    book_frame(5_150, "50", "51", coin="OTHER"),
    book_frame(5_500, "99", "102"),
]


@pytest.mark.parametrize(("name", "stamped"), [("frames.jsonl", False), ("frames.jsonl.gz", True)])
def test_frames_are_replayed_from_the_first_book_on_each_trade_once(tmp_path, name, stamped):
    flow = ReplayFlow.from_lines(write(tmp_path / name, FRAMES, stamped=stamped), "TEST", "km:US500")
    moves = [move for move in flow.moves() if not isinstance(move, OraclePrice)]
    assert [(type(move), move.at_ms) for move in moves] == [(Shown, 0.0), (Taken, 200.0), (Shown, 500.0)]
    assert moves[0] == Shown(0.0, "km:US500", [(D(100), D("4.5"))], [(D(101), D("4.5"))])
    assert moves[1] == Taken(200.0, "km:US500", -1, D("0.7"), D(100), printed=True)


def test_the_oracle_is_the_mid_until_one_was_recorded(tmp_path):
    frames = [*FRAMES[1:2], ctx_frame("100.2"), *FRAMES[2:]]
    flow = ReplayFlow.from_lines(write(tmp_path / "f", frames), "TEST")
    assert [move.price for move in flow.moves() if isinstance(move, OraclePrice)] == [D("100.5"), D("100.2")]


def test_archived_frames_are_found_in_their_wrapping(tmp_path):
    frames = [{"time": "2026-01-01T00:00:00", "ver_num": 1, "raw": frame} for frame in FRAMES]
    flow = ReplayFlow.from_lines(write(tmp_path / "f", frames), "TEST")
    assert sum(isinstance(move, Shown) for move in flow.moves()) == 2


def test_a_repeated_replay_goes_on_after_its_end(tmp_path):
    flow = ReplayFlow.from_lines(write(tmp_path / "f", FRAMES), "TEST", repeat=True)
    moves = flow.moves()
    times = [next(moves).at_ms for _ in range(12)]
    assert times == sorted(times)
    assert times[-1] > 1_500


def test_a_file_without_the_coin_s_books_and_a_broken_line_are_named(tmp_path):
    with pytest.raises(ValueError, match="holds no book"):
        ReplayFlow.from_lines(write(tmp_path / "f", FRAMES), "NONE")
    path = tmp_path / "broken"
    path.write_text("{nothing\n")
    with pytest.raises(ValueError, match="broken, line 1: not a frame"):
        ReplayFlow.from_lines(str(path), "TEST")
    with pytest.raises(FileNotFoundError):
        ReplayFlow.from_lines(str(tmp_path / "absent"), "TEST")


@pytest.mark.real_data
def test_a_recorded_file_is_replayed_whole(shared_dir):
    (path,) = (shared_dir / "data" / "hl_raw_ws_sample").glob("*.gz")
    moves = list(ReplayFlow.from_lines(str(path), "BTC").moves())
    books = [move for move in moves if isinstance(move, Shown)]
    assert len(books) > 20
    assert all(book.bids[0][0] < book.asks[0][0] for book in books)
    assert any(isinstance(move, Taken) for move in moves)


def test_an_imported_dataset_is_replayed_from_the_catalog(tmp_path):
    frames = [
        {"channel": frame["channel"], "data": json.loads(json.dumps(frame["data"]).replace("TEST", "SOL"))}
        for frame in FRAMES
    ]
    store = CatalogStore(str(tmp_path / "catalog"))
    name, _ = import_raw_lines(store, write(tmp_path / "f", frames), "SOL")
    flow = ReplayFlow.from_catalog(str(tmp_path / "catalog"), name, COIN)
    moves = [move for move in flow.moves() if not isinstance(move, OraclePrice)]
    assert [(type(move), move.at_ms) for move in moves] == [(Shown, 0.0), (Taken, 200.0), (Shown, 500.0)]
    assert moves[0].bids == [(D(100), D("4.5"))]
    assert (moves[1].side, moves[1].size, moves[1].printed) == (-1, D("0.7"), True)


def test_a_simulated_dataset_is_replayed_with_its_own_oracle(tmp_path):
    store = CatalogStore(str(tmp_path / "catalog"))
    start = 1_768_435_200 * 10**9
    bars = walk_bars(hours=1, seed=1, start_ns=start)
    with store.stage("sim") as staged:
        staged.catalog.write_data([instrument_of(MarketSpec(), bars["close"].to_numpy(), ts_ns=start)])
        simulate(bars, (), MarketSpec(), SimulatorConfig(), 1, str(staged.folder))
        meta = {"instrument_id": MarketSpec().instrument_id, "source": "test", "simulated": True}
        end = start + 3_600 * 10**9
        staged.publish({**meta, "start_ns": start, "end_ns": end, "sessions": [[start, end]], "notes": []})
    flow = ReplayFlow.from_catalog(str(tmp_path / "catalog"), "sim", COIN)
    moves = list(flow.moves())
    books = [move for move in moves if isinstance(move, Shown)]
    assert len(books) == 7_200
    assert all(len(book.bids) == 10 for book in books)
    oracles = [move for move in moves if isinstance(move, OraclePrice)]
    assert len(oracles) == 1_200
    assert any(isinstance(move, Taken) for move in moves)
    assert [move.at_ms for move in moves] == sorted(move.at_ms for move in moves)
