"""What the venue did to a run's account beside fills and funding: liquidations, transfers, refusals, and the value in USD."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amm500_nautilus.report.buffers import CsvStream
from amm500_nautilus.report.columns import timestamp_text
from amm500_nautilus.report.files import Ints
from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.report.files import floats
from amm500_nautilus.report.files import ints
from amm500_nautilus.report.files import read_table
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.simulation.listener import LiquidationRecord


LIQUIDATION_FILE = "liquidations.csv"
LIQUIDATION_COLUMNS = (
    "ts",
    "ts_ns",
    "act",
    "side",
    "lots",
    "left_lots",
    "mark",
    "value",
    "maintenance",
    "slippage",
    "fee",
    "forfeited",
    "loss",
    "canceled",
)
TRANSFER_COLUMNS = ("ts", "ts_ns", "amount")
# what a live run calls the orders that the venue traded against our will, before the number of the venue's order
FORCED = ("LIQUIDATION-", "ADL-")


class VenueStreams:
    """
    Write liquidations and transfers as they happen.

    Parameters
    ----------
    out_dir : Path
        The run directory.

    """

    def __init__(self, out_dir: Path) -> None:
        self._liquidations = CsvStream(out_dir / LIQUIDATION_FILE, LIQUIDATION_COLUMNS)
        self._transfers = CsvStream(out_dir / "transfers.csv", TRANSFER_COLUMNS)
        self.streams = (self._liquidations, self._transfers)

    def on_liquidation(self, record: LiquidationRecord) -> None:
        """Write one act of liquidation."""
        row: dict[str, Any] = {name: getattr(record, name) for name in LIQUIDATION_COLUMNS[1:]}
        self._liquidations.write({"ts": timestamp_text(record.ts_ns), **row})

    def on_transfer(self, ts_ns: int, amount: Any) -> None:
        """Write one deposit (positive) or withdrawal (negative)."""
        self._transfers.write({"ts": timestamp_text(ts_ns), "ts_ns": ts_ns, "amount": amount})


def venue_columns(account: AccountRow) -> dict[str, float]:
    """Return the columns of the equity path that come from the venue's own reckoning."""
    return {
        "liquidations_cum": float(account.liquidations),
        "transfers_cum": float(account.transfers_cum),
        "weight_cost_cum": float(account.weight_cost_cum),
        "collateral_price": float(account.collateral_price),
        "equity_usd": float(account.equity) * float(account.collateral_price),
        "limit_refusals_cum": float(account.limit_refusals),
        "address_used": float(account.address_used),
        "address_limit": float(account.address_limit),
        "liquidation_price": float(account.liquidation_price),
        "leverage": float(account.leverage),
    }


def account_figures(run: RunFiles, collateral: str) -> dict[str, Any]:
    """
    Return the summary's account section, amounts in the collateral and, valued at its price then, in USD.

    ``net_pnl_usd`` is the change of the equity's USD value less transfers, each valued at the time of its row; it holds what the
    collateral's own price did, which ``collateral_effect_usd`` states apart. ``position_end`` is what was still held when the run ended
    (contracts, negative for short), which the equity values at the last mid and nothing was paid to close.
    """
    equity = floats(run.equity, "equity")
    # before the first known price that one, or its coming would be a loss; 1 only where none is known at all
    known = pd.Series(floats(run.equity, "collateral_price")).ffill().bfill()
    price = known.fillna(1.0).to_numpy()
    transfers = floats(run.equity, "transfers_cum")
    moved = float(transfers[-1] - transfers[0])
    moved_usd = sum(
        float(change * at) for change, at in zip(transfers[1:] - transfers[:-1], price[1:], strict=True)
    )
    change = float(equity[-1] - equity[0]) - moved
    position = float(np.nan_to_num(floats(run.equity, "position"))[-1])
    change_usd = float(equity[-1] * price[-1] - equity[0] * price[0]) - moved_usd
    return {
        "collateral": collateral,
        "equity_start": float(equity[0]),
        "equity_end": float(equity[-1]),
        "transfers": moved,
        "collateral_price_start": float(price[0]),
        "collateral_price_end": float(price[-1]),
        "collateral_price_low": float(price.min()),
        "equity_start_usd": float(equity[0] * price[0]),
        "equity_end_usd": float(equity[-1] * price[-1]),
        "transfers_usd": moved_usd,
        "net_pnl_usd": change_usd,
        "collateral_effect_usd": change_usd - change * float(price[-1]),
        "bought_weight_cost": float(np.nan_to_num(floats(run.equity, "weight_cost_cum"))[-1]),
        "position_end": position,
        "position_value_end": position * float(np.nan_to_num(floats(run.equity, "mid"))[-1]),
    }


def liquidation_times(run: RunFiles) -> Ints:
    """
    Return when the venue liquidated (UTC nanoseconds), by whichever file knows of most.

    The acts of a simulated venue have a file of their own. A live run is told of the venue's trades alone: of each order that was not
    ours there is a fill or more, and the minute's count.
    """
    path = run.path / LIQUIDATION_FILE
    acts = ints(read_table(path, {"ts_ns": "int64"}), "ts_ns")
    forced = run.fills[run.fills["client_order_id"].astype(str).str.startswith(FORCED)]
    orders = forced["client_order_id"].str.rpartition("-")[0] if len(forced) else forced["client_order_id"]
    traded = forced.groupby(orders)["ts_ns"].min().sort_values().to_numpy(dtype=np.int64)
    count = np.nan_to_num(floats(run.equity, "liquidations_cum")).astype(np.int64)
    counted = np.repeat(ints(run.equity, "ts_ns"), np.maximum(np.diff(count, prepend=0), 0))
    return max((acts, traded, counted), key=len)


def liquidation_figures(run: RunFiles) -> dict[str, Any]:
    """
    Return the summary's liquidation section: acts of each kind, and the loss beyond the PnL at mark with its parts.

    A live run is told of the trades, not of the venue's reckoning: its acts are counted as the venue's, and their loss lies in the fills.
    """
    path, count = run.path / LIQUIDATION_FILE, len(liquidation_times(run))
    if not path.exists():
        acts = {"venue": count} if count else {}
        return {"count": count, "acts": acts, "loss": 0.0, "slippage": 0.0, "fees": 0.0, "forfeited": 0.0}
    frame = pd.read_csv(path, keep_default_na=False)
    kinds = frame["act"].value_counts().sort_index()
    return {
        "count": count,
        "acts": {str(name): int(number) for name, number in kinds.items()},
        "loss": float(frame["loss"].sum()),
        "slippage": float(frame["slippage"].sum()),
        "fees": float(frame["fee"].sum()),
        "forfeited": float(frame["forfeited"].sum()),
    }


def limit_figures(run: RunFiles) -> dict[str, Any]:
    """Return the summary's limits section: signed actions that the venue's limits refused, and what the address has used."""
    last = run.equity.iloc[-1]
    return {
        "refused_actions": int(last.get("limit_refusals_cum", 0)),
        "address_used": float(last.get("address_used", math.nan)),
        "address_limit": float(last.get("address_limit", math.nan)),
    }
