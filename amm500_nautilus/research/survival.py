"""What a run under stress came to: whether the account lived, how near it was to liquidation, and what fired."""

import csv
import io
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table
from rich.text import Text

from amm500_nautilus.report.buffers import replace_with
from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.report.files import floats
from amm500_nautilus.report.files import ints
from amm500_nautilus.report.files import read_run
from amm500_nautilus.report.files import read_table


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SESSION = "session"
# what every run says as it begins and as the data's session ends
ROUTINE = ("no_decision", SESSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class StressRow:
    """
    A scenario's line of the table; amounts in collateral units, ratios as fractions.

    Parameters
    ----------
    scenario : str
        Its name.
    survived : bool
        No liquidation, the equity never at or below zero, and the position never past its liquidation price.
    net_pnl, max_drawdown : float
        As in the run's summary; the drawdown is that of the 1-minute path.
    lowest_equity : float
        Lowest equity at any best bid and offer.
    max_margin_ratio : float
        The largest margin ratio.
    min_distance : float, optional
        The smallest move against the position, as a fraction of the mid, that would have liquidated it, at any best bid and
        offer; 0 when it was liquidated, absent when no move of less than the whole price would have done it.
    liquidations, liquidation_loss : int, float
        How many, and the penalty they cost.
    final_state : str
        The state at the end, the session's close apart.
    fired : tuple of str
        What held the strategy back: reasons of its states and of the risk engine, each once.
    fills, max_position : int, float
        Fills, and the largest position in contracts.
    result_hash : str
        The run's.

    """

    scenario: str
    survived: bool
    net_pnl: float
    max_drawdown: float
    lowest_equity: float
    max_margin_ratio: float
    min_distance: float | None
    liquidations: int
    liquidation_loss: float
    final_state: str
    fired: tuple[str, ...]
    fills: int
    max_position: float
    result_hash: str


@dataclass(frozen=True, slots=True)
class MarketPath:
    """The mid at each best bid and offer, by the exchange's time."""

    ts_ns: Ints
    mid: Floats


def market_path(batches: Iterable[Sequence[Any]], instrument_id: Any) -> MarketPath:
    """Return the path of the mid from a dataset's quotes, in time order."""
    stamps: list[int] = []
    mids: list[float] = []
    for batch in batches:
        for item in batch:
            if hasattr(item, "bid_price") and item.instrument_id == instrument_id:
                stamps.append(item.ts_event)
                mids.append((float(item.bid_price) + float(item.ask_price)) / 2.0)
    return MarketPath(np.array(stamps, dtype=np.int64), np.array(mids, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class AccountPath:
    """The account at each point of a market's path, from the run's fills and funding: position in contracts, equity."""

    position: Floats
    equity: Floats
    mid: Floats


def account_path(run: RunFiles, market: MarketPath) -> AccountPath:
    """
    Return the account along the market's path: starting equity and cash flows, plus the position at the mid.

    It is exact between the minutes that the run's own path has. What a liquidation takes beyond its fills is not in it.
    """
    start = float(run.equity["equity"].iloc[0])
    fills = run.fills
    moves = -fills["side"].to_numpy(dtype=np.float64) * floats(fills, "last_qty") * floats(fills, "last_px")
    cash = np.concatenate(([start], start + np.cumsum(moves - floats(fills, "fee"))))
    held = np.concatenate(([0.0], floats(fills, "position_after")))
    # at one time the fill comes after the quote that made it: what the account is then holds from that quote on
    at = np.searchsorted(ints(fills, "ts_ns"), market.ts_ns, side="right")
    equity = cash[at] + held[at] * market.mid + _funding_by(run, market.ts_ns)
    return AccountPath(held[at], equity, market.mid)


def _funding_by(run: RunFiles, ts_ns: Ints) -> Floats:
    paid = read_table(run.path / "funding.csv", {"ts_ns": "int64", "amount": "float64"})
    total = np.concatenate(([0.0], np.cumsum(floats(paid, "amount"))))
    return np.asarray(total[np.searchsorted(ints(paid, "ts_ns"), ts_ns, side="right")])


def liquidation_distance(path: AccountPath, maintenance_rate: float) -> float | None:
    """
    Return the smallest distance to liquidation along a path, 0 or less where it was passed.

    ``(equity / notional - l) / (1 - side * l)`` of the mid, the venue's formula for one cross position in the first margin tier:
    with 40 of equity on 1,000 held long and ``l`` 2 % it is (0.04 - 0.02) / 0.98 = 2.04 %. None when no move of less than the
    whole price does it, as for a long position smaller than the equity.
    """
    held = path.position != 0
    side = np.sign(path.position[held])
    notional = np.abs(path.position[held]) * path.mid[held]
    away = (path.equity[held] / notional - maintenance_rate) / (1.0 - side * maintenance_rate)
    reachable = away[away < 1.0]
    return float(reachable.min()) if len(reachable) else None


def what_fired(run: RunFiles, risk: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Return what held the strategy back, each once: the reasons of its states in order of appearance, then the risk engine's.

    Reasons of every run's start and end are left out; of ``risk``, the summary's section, the reasons and the reductions count.
    """
    found: dict[str, None] = {}
    for reasons in run.states["reasons"]:
        found.update(dict.fromkeys(part for part in str(reasons).split("|") if part and part not in ROUTINE))
    for section in ("fired", "reductions"):
        found.update(dict.fromkeys(risk.get(section) or {}))
    return tuple(found)


def final_state(run: RunFiles, risk: Mapping[str, Any]) -> str:
    """
    Return the risk engine's state at the end, in lower case; the strategy's last state before the close where there is none.

    The session's close itself pauses every run, so it is left out. Empty when nothing was ever said.
    """
    stated = risk.get("final_state")
    if stated:
        return str(stated).lower()
    lasting = run.states[run.states["reasons"] != SESSION]
    return str(lasting["state"].iloc[-1]) if len(lasting) else ""


def stress_row(
    scenario: str,
    run_dir: str | Path,
    summary: dict[str, Any],
    market: MarketPath,
    maintenance_rate: float,
) -> StressRow:
    """
    Return a scenario's line from its run's files, its summary and the market it ran on.

    Parameters
    ----------
    scenario : str
        The scenario's name.
    run_dir : str or Path
        The run's directory.
    summary : dict
        The run's summary.
    market : MarketPath
        The path of the mid.
    maintenance_rate : float
        Maintenance margin over notional in the first tier.

    """
    run = read_run(run_dir)
    metrics, risk = summary["metrics"], summary.get("risk") or {}
    path = account_path(run, market)
    liquidations = int(metrics["liquidations"])
    distance = liquidation_distance(path, maintenance_rate)
    if liquidations:
        distance = min(0.0, distance or 0.0)
    lowest = min(float(run.equity["equity"].min()), float(path.equity.min()) if len(path.equity) else np.inf)
    survived = liquidations == 0 and lowest > 0 and (distance is None or distance > 0)
    return StressRow(
        scenario=scenario,
        survived=bool(survived),
        net_pnl=float(metrics["net_pnl"]),
        max_drawdown=float(metrics["max_drawdown"]),
        lowest_equity=lowest,
        max_margin_ratio=float(metrics["max_margin_ratio"]),
        min_distance=distance,
        liquidations=liquidations,
        liquidation_loss=float(summary["pnl"]["liquidation"]),
        final_state=final_state(run, risk),
        fired=what_fired(run, risk),
        fills=int(metrics["trades"]),
        max_position=float(metrics["max_position"]),
        result_hash=str(summary["result_hash"]),
    )


# -- the table ----------------------------------------------------------------------------------------


def stress_csv(rows: Sequence[StressRow], data: str) -> str:
    """Return the table as CSV; ``data`` (what the runs saw, for example ``simulated``) stands in every row."""
    names = list(StressRow.__dataclass_fields__)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([names[0], "data", *names[1:]])
    for row in rows:
        values = asdict(row) | {"fired": "|".join(row.fired), "survived": int(row.survived)}
        writer.writerow([values[names[0]], data, *(values[name] for name in names[1:])])
    return text.getvalue()


def write_csv(path: Path, rows: Sequence[StressRow], data: str) -> None:
    """Write the table as CSV, under a temporary name until it is whole."""
    replace_with(path, stress_csv(rows, data))


def stress_table(rows: Sequence[StressRow]) -> Table:
    """Return the figures for a terminal, a scenario a row."""
    table = _narrow_table()
    for head in ("alive", "net PnL", "drawdown", "min equity", "margin", "to liq.", "fills"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        away = "-" if row.min_distance is None else f"{row.min_distance:.2%}"
        table.add_row(
            row.scenario,
            Text("yes", "green") if row.survived else Text("NO", "bold red"),
            f"{row.net_pnl:+,.2f}",
            f"{row.max_drawdown:.2%}",
            f"{row.lowest_equity:,.2f}",
            f"{row.max_margin_ratio:.1%}",
            away,
            f"{row.fills:,}",
        )
    return table


def fired_table(rows: Sequence[StressRow]) -> Table:
    """Return each scenario's liquidations, last state and what fired in it, for a terminal."""
    table = _narrow_table()
    table.add_column("liquidated", justify="right", no_wrap=True)
    table.add_column("last state", no_wrap=True)
    table.add_column("what fired")
    for row in rows:
        lost = f"{row.liquidations}, {row.liquidation_loss:,.2f}" if row.liquidations else "-"
        table.add_row(row.scenario, lost, row.final_state or "-", ", ".join(row.fired) or "-")
    return table


def _narrow_table() -> Table:
    """Return a table that a terminal of 80 columns has room for."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    return table
