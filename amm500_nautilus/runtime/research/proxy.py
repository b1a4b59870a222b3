"""``amm500 proxy``: two markets' recorded prices and books side by side, and how far a result on one carries to the other."""

import json
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from amm500_catalog.errors import InputError
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.files import ColumnMap
from amm500_catalog.sources.files import read_bars
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.research.proxy import BookFacts
from amm500_nautilus.research.proxy import as_plain
from amm500_nautilus.research.proxy import book_facts
from amm500_nautilus.research.proxy import common_returns
from amm500_nautilus.research.proxy import compare_returns
from amm500_nautilus.research.proxy import proxy_sentences


NS = 1_000_000_000
PRICE_NAMES = ("mid", "px", "price")


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """The sentences, and what the JSON file holds."""

    lines: tuple[str, ...]
    facts: dict[str, Any]


def proxy_report(
    proxy: str,
    target: str,
    *,
    proxy_book: str | None = None,
    target_book: str | None = None,
    timezone: str | None = None,
) -> ProxyReport:
    """
    Compare two markets.

    Parameters
    ----------
    proxy : str
        A bar file (CSV or Parquet).
    target : str
        A bar file, or a JSON list of fills or trades (``px``, ``time`` in ms), whose last price in each of the proxy's bars is taken.
    proxy_book, target_book : str, optional
        CSV samples of best quotes and depth (``bid``, ``ask``, ``bid_depth10_usd``, ``ask_depth10_usd``).
    timezone : str, optional
        Of bar times that carry none.

    Raises
    ------
    InputError
        If a file cannot be used, or too little is in common.

    """
    columns = ColumnMap(timezone=timezone)
    first = read_bars(proxy, columns=columns)
    second, kind = _target_bars(target, first, columns)
    try:
        moves = common_returns(first.bars, second)
        returns = compare_returns(*moves)
    except ValueError as error:
        raise InputError(str(error), f"{proxy} and {target}") from error
    books = _book(proxy_book), _book(target_book)
    lines = proxy_sentences(returns, *books)
    facts = {
        "label": "recorded",
        "proxy": Path(proxy).name,
        "target": Path(target).name,
        "target_prices": kind,
        "interval_s": first.interval_s,
        "returns": asdict(returns),
        "proxy_book": as_plain(books[0]),
        "target_book": as_plain(books[1]),
        "sentences": list(lines),
    }
    return ProxyReport(lines, facts)


def _target_bars(target: str, first: BarFrame, columns: ColumnMap) -> tuple[pd.DataFrame, str]:
    """Return the target's bars, as long as the proxy's, and what they were made from."""
    if target.endswith(".json"):
        return prints_as_bars(target, first.bars), "last print in each of the proxy's bars"
    frame = read_bars(target, columns=columns)
    if frame.interval_s != first.interval_s:
        raise InputError(
            f"has bars of {frame.interval_s} s and the proxy of {first.interval_s} s",
            target,
            "bars of one length",
        )
    return frame.bars, "bars"


def prints_as_bars(path: str, bars: pd.DataFrame) -> pd.DataFrame:
    """
    Return the last print in each bar as that bar's close; bars without a print are left out.

    Raises
    ------
    InputError
        If the file is no list of prints.

    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        stamps = np.array([int(row["time"]) for row in rows], dtype=np.int64) * 1_000_000
        prices = np.array([float(row["px"]) for row in rows])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"is no list of prints ({error})", path, "a JSON list with px and time in ms"
        ) from error
    order = np.argsort(stamps, kind="stable")
    stamps, prices = stamps[order], prices[order]
    opens = bars["ts_open_ns"].to_numpy(dtype=np.int64)
    closes = bars["ts_close_ns"].to_numpy(dtype=np.int64)
    last = np.searchsorted(stamps, closes, side="left") - 1
    inside = (last >= 0) & (stamps[np.maximum(last, 0)] >= opens)
    return pd.DataFrame({"ts_close_ns": closes[inside], "close": prices[last[inside]]})


def _book(path: str | None) -> BookFacts | None:
    if path is None:
        return None
    try:
        return book_facts(pd.read_csv(path))
    except (OSError, ValueError) as error:
        raise InputError(str(error), path, "a CSV of best quotes and depth") from error


def print_proxy(report: ProxyReport, out: Path | None, console: Console | None = None) -> None:
    """Print what carries, and write the figures where asked."""
    console = console or Console()
    facts = report.facts
    console.print(
        f"RECORDED DATA: {facts['proxy']} as the proxy of {facts['target']} ({facts['target_prices']}, {facts['interval_s']} s)",
        style="bold",
        highlight=False,
        soft_wrap=True,
    )
    for line in report.lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if out is not None:
        write_json(out, facts)
        console.print(f"files: {out}", highlight=False, markup=False, soft_wrap=True)
