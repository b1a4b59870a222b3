"""A recording into the catalogue, so that a backtest can run on it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Final

import pandas as pd
from nautilus_trader.model.data import FundingRateUpdate
from nautilus_trader.model.data import IndexPriceUpdate
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.errors import InputError
from amm500_catalog.shapes import streams_of
from amm500_catalog.store import CatalogStore
from amm500_catalog.store import ImportResult
from amm500_catalog.tables import StreamTable
from amm500_catalog.tables import stream_table
from amm500_nautilus.margin.funding import HOUR_NS
from amm500_nautilus.runtime.record.session import HEADER
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.log import open_recording
from amm500_nautilus.runtime.replay.own import Netting
from amm500_nautilus.runtime.replay.own import feed_lag_of
from amm500_nautilus.runtime.replay.own import own_orders_of


KIND: Final = "recorded"
IMPORTER_VERSION: Final = 1
Columns = dict[type, list[Any]]


def import_recorded(store: CatalogStore, path: Path) -> tuple[str, ImportResult]:
    """
    Import a recording: merged book, quotes, trades, oracle and funding, at the exchange's time where it gives one.

    Own orders of a recorded run are taken out of the book, and what it took itself out of the trades. The same recording again
    changes nothing.

    Parameters
    ----------
    store : CatalogStore
        Where to.
    path : Path
        A directory of ``amm500 record``, or of a run with ``live.record: true``.

    Returns
    -------
    tuple of str and ImportResult
        The import's name, to open it with, and what changed.

    Raises
    ------
    InputError
        If it cannot be read, or holds no book.

    """
    recording = open_recording(path)
    digest = _digest(recording.folder)
    for name, manifest in store.manifests().items():
        if manifest.get("source_sha256") == digest and manifest.get("importer_version") == IMPORTER_VERSION:
            rows = {stream.folder: stream.rows for stream in streams_of(manifest, f"{store.url} {name}")}
            return name, ImportResult(name, changed=False, rows=rows)
    columns, notes = _columns(recording)
    if not columns[OrderBookDelta]:
        raise InputError("holds no book", str(path), "a recording of a market that trades")
    identifier = recording.instrument.id.value
    streams = [stream_table(items, identifier) for items in columns.values() if items]
    name = _name(recording, columns)
    manifest = _manifest(recording, columns, streams, digest=digest, notes=notes)
    return name, store.commit(name, streams, manifest, instruments=[recording.instrument])


def _columns(recording: Recording) -> tuple[Columns, list[str]]:
    """Return the data by class in order of time, and what was done to them in a sentence each."""
    instrument, notes = recording.instrument, []
    taken: set[str] = set()
    netting = None
    if recording.has_session and recording.nets_own_orders:
        tick, lot = instrument.price_increment.as_decimal(), instrument.size_increment.as_decimal()
        own = own_orders_of(
            recording.steps(), tick, lot, feed_lag_ns=feed_lag_of(data_of(recording)), is_seen=True
        )
        netting, taken = Netting(own, tick, lot), own.taken_trades
        notes.append(
            "our own orders are taken out of the book, and the trades we took ourselves out of the trades"
        )
    columns: Columns = {
        OrderBookDelta: [],
        QuoteTick: [],
        TradeTick: [],
        IndexPriceUpdate: [],
        FundingRateUpdate: [],
    }
    seen: Any = None
    for datum in data_of(recording, netting):
        if isinstance(datum, OrderBookDeltas):
            columns[OrderBookDelta].extend(
                OrderBookDelta(each.instrument_id, each.action, each.order, each.flags, each.sequence, ts, ts)
                for ts in (datum.ts_event,)
                for each in datum.deltas
            )
        elif isinstance(datum, QuoteTick):
            prices = (datum.bid_price, datum.ask_price, datum.bid_size, datum.ask_size)
            columns[QuoteTick].append(QuoteTick(datum.instrument_id, *prices, datum.ts_event, datum.ts_event))
        elif isinstance(datum, TradeTick):
            if datum.trade_id.value not in taken:
                columns[TradeTick].append(_trade(datum))
        elif isinstance(datum, IndexPriceUpdate):
            columns[IndexPriceUpdate].append(datum)
        else:
            _add_hour(columns[FundingRateUpdate], seen, datum)
            seen = datum
    for items in columns.values():
        items.sort(key=lambda item: item.ts_init)
    return columns, notes


def _add_hour(hours: list[Any], seen: Any, now: Any) -> None:
    """Add the rate that an hour ended with: the context tells the running hour's again and again, and is paid when it is over."""
    if seen is None or seen.ts_init // HOUR_NS == now.ts_init // HOUR_NS:
        return
    ts = now.ts_init // HOUR_NS * HOUR_NS
    hours.append(FundingRateUpdate(seen.instrument_id, seen.rate, ts, ts))


def _trade(trade: Any) -> TradeTick:
    return TradeTick(
        trade.instrument_id,
        trade.price,
        trade.size,
        trade.aggressor_side,
        trade.trade_id,
        trade.ts_event,
        trade.ts_event,
    )


def _span(columns: Columns) -> tuple[int, int]:
    books = columns[OrderBookDelta]
    last = max(items[-1].ts_init for items in columns.values() if items)
    return books[0].ts_init, last + 1


def _name(recording: Recording, columns: Columns) -> str:
    stamp = pd.Timestamp(_span(columns)[0], unit="ns").strftime("%Y%m%dT%H%M%S")
    return f"{KIND}-{recording.coin.replace(':', '.')}-{stamp}"


def _manifest(
    recording: Recording,
    columns: Columns,
    streams: Sequence[StreamTable],
    *,
    digest: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    info, simulated = recording.instrument.info, bool(recording.header["simulated"])
    start, end = _span(columns)
    what = "a venue that is not the exchange" if simulated else "the exchange"
    return {
        "kind": KIND,
        "source": KIND,
        "simulated": simulated,
        "bars_simulated": simulated,
        "instrument_id": recording.instrument.id.value,
        "coin": recording.coin,
        "source_sha256": digest,
        "importer_version": IMPORTER_VERSION,
        "start_ns": start,
        "end_ns": end,
        "sessions": [[start, end]],
        "stream_names": [stream.data_cls.__name__ for stream in streams],
        "description": f"own recording of {recording.coin} at {what}",
        "defaults": list(notes),
        "params": {
            "market": {
                "coin": recording.coin,
                "collateral": info["collateral"],
                "sz_decimals": recording.instrument.size_precision,
                "max_leverage": int(info["max_leverage"]),
                "growth_mode": bool(info.get("growth_mode", False)),
                "deployer_fee_scale": float(info.get("deployer_fee_scale", 0.0)),
            }
        },
    }


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in (*sorted(folder.glob("*.lz4*")), folder / HEADER):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
