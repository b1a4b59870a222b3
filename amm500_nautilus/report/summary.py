"""A run's summary, from its files alone: metrics, PnL parts, targets, verdict and the result hash."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amm500_nautilus.report.account import account_figures
from amm500_nautilus.report.account import limit_figures
from amm500_nautilus.report.account import liquidation_figures
from amm500_nautilus.report.account import liquidation_times
from amm500_nautilus.report.budget import BudgetUse
from amm500_nautilus.report.budget import budget_report
from amm500_nautilus.report.buffers import write_json
from amm500_nautilus.report.columns import HORIZONS_S
from amm500_nautilus.report.files import Floats
from amm500_nautilus.report.files import RunFiles
from amm500_nautilus.report.files import floats
from amm500_nautilus.report.files import ints
from amm500_nautilus.report.files import read_run
from amm500_nautilus.report.risk import risk_figures
from amm500_nautilus.report.statistics import BlockFigures
from amm500_nautilus.report.statistics import FillArrays
from amm500_nautilus.report.statistics import PathArrays
from amm500_nautilus.report.statistics import block_figures
from amm500_nautilus.report.statistics import block_returns
from amm500_nautilus.report.statistics import blocks_per_year
from amm500_nautilus.report.statistics import closes_of
from amm500_nautilus.report.statistics import losing_runs
from amm500_nautilus.report.statistics import markout_bps
from amm500_nautilus.report.statistics import max_drawdown
from amm500_nautilus.report.statistics import mean_capital
from amm500_nautilus.report.statistics import pnl_path
from amm500_nautilus.report.statistics import ratio
from amm500_nautilus.report.statistics import win_rate
from amm500_nautilus.report.statistics import without_transfers
from amm500_nautilus.report.types import ReportContext
from amm500_nautilus.report.words import halt_line
from amm500_nautilus.risk.streak import chance_of_run
from amm500_nautilus.risk.streak import expected_runs


PNL_PARTS = ("spread_capture", "adverse_selection", "inventory", "fees", "funding", "liquidation")
PNL_TOLERANCE = 1e-6
VOL_HORIZONS = ("1s", "10s", "30s", "60s")
NOT_ENOUGH = "not_enough_trading"


def fill_arrays(run: RunFiles) -> FillArrays:
    """Return the fills as arrays, in the ledger's order."""
    frame = run.fills
    return FillArrays(
        side=frame["side"].to_numpy(dtype=np.float64),
        qty=floats(frame, "last_qty"),
        price=floats(frame, "last_px"),
        mid=floats(frame, "mid_at_fill"),
        mid_5s=floats(frame, "mid_5s"),
        fee=floats(frame, "fee"),
        position_after=floats(frame, "position_after"),
    )


def path_arrays(run: RunFiles) -> PathArrays:
    """Return the equity path as arrays."""
    frame = run.equity
    return PathArrays(
        ts_ns=ints(frame, "ts_ns"),
        fills=ints(frame, "fills_cum"),
        equity=floats(frame, "equity"),
        position=floats(frame, "position"),
        mid=floats(frame, "mid"),
        funding=floats(frame, "funding_cum"),
        liquidation=floats(frame, "liquidation_cum"),
        transfers=floats(frame, "transfers_cum"),
        weight_cost=np.nan_to_num(floats(frame, "weight_cost_cum")),
    )


def summarize(run_dir: str | Path, context: ReportContext) -> dict[str, Any]:
    """
    Return the run's summary, reading its files and nothing else of the run.

    Every figure is defined in product.md section 13; ratios are fractions, amounts collateral units. A figure that the run
    cannot give is None, with its reason under ``reasons``. ``pnl_check`` says by how much the PnL parts miss the ledger's total.

    Raises
    ------
    InputError
        When the run's files are missing or empty.

    """
    run = read_run(run_dir)
    fills, path = fill_arrays(run), path_arrays(run)
    parts = pnl_path(fills, path)
    pnl = {name: float(getattr(parts, name)[-1]) for name in (*PNL_PARTS, "total")}
    day = _Day.of(run, context)
    equity = without_transfers(path.equity, path.transfers)
    blocks = block_figures(
        block_returns(path.ts_ns, equity, run.session_bounds()),
        float(equity[-1] - equity[0]) / float(equity[0]),
        blocks_per_year(context.day_seconds, context.sessions_per_year),
    )
    metrics = _metrics(run, fills, path, pnl["total"], day, blocks)
    reasons = {"sharpe": blocks.reason} if blocks.reason else {}
    targets = _targets(context, metrics)
    risk = risk_figures(run.path, context.end_ns, run.session_bounds())
    verdict, verdict_reasons = _verdict(context, metrics, targets, halted=halt_line({"risk": risk}))
    summary: dict[str, Any] = {
        "name": context.name,
        "mode": context.mode,
        "model": context.model,
        "data": _data(context),
        "targets": targets,
        "verdict": verdict,
        "verdict_reasons": verdict_reasons,
        "metrics": metrics,
        "pnl": pnl,
        "pnl_check": pnl_check(pnl, run, fills),
        "markouts_bps": _markouts(run, fills),
        "actions": _actions(run, day.volume),
        "limits": limit_figures(run),
        "fills": _fill_shares(run),
        "budget": _budget(run, context, pnl["total"], day),
        "account": account_figures(run, context.collateral),
        "liquidations": liquidation_figures(run),
        "risk": risk,
        "losing_runs": _losing_runs(_closes(run, fills)),
        "volatility": {h: _mean(floats(run.equity, f"vol_{h}")) for h in VOL_HORIZONS},
        "blocks": {
            "count": blocks.blocks,
            "per_year": blocks_per_year(context.day_seconds, context.sessions_per_year),
        },
        "reasons": reasons,
        "performance": _performance(context),
        "result_hash": result_hash(run),
        **context.extra,
    }
    cleaned: dict[str, Any] = _plain(summary)
    return cleaned


def write_summary(run_dir: str | Path, context: ReportContext) -> dict[str, Any]:
    """Summarize a run and write ``summary.json`` atomically."""
    summary = summarize(run_dir, context)
    write_json(Path(run_dir) / "summary.json", summary)
    return summary


def result_hash(run: RunFiles) -> str:
    """
    Return the SHA-256 of what the run did: fills, the orders open when the data ended, and the 1-minute equity path.

    Fills count by time, side, price, size, fee and liquidity; open orders by side, price, size and filled size. Nothing of ids, clock
    times, paths, seed or speed is in it.
    """
    digest = hashlib.sha256()
    columns = ("ts_ns", "side", "last_px_text", "last_qty_text", "fee_text", "liquidity_side")
    for row in zip(*(run.fills[name].astype(str) for name in columns), strict=True):
        digest.update(("fill," + ",".join(row) + "\n").encode())
    names = ("side", "price", "quantity", "filled_qty")
    for row in sorted(zip(*(run.open_orders[name] for name in names), strict=True)):
        digest.update(("open," + ",".join(row) + "\n").encode())
    for ts_ns, equity in zip(run.equity["ts_ns"].tolist(), run.equity["equity"].tolist(), strict=True):
        digest.update(f"equity,{ts_ns},{equity:.6f}\n".encode())
    return digest.hexdigest()


def pnl_check(pnl: dict[str, float], run: RunFiles, fills: FillArrays) -> dict[str, Any]:
    """
    Compare the PnL parts with the ledger.

    ``difference`` is the sum of the parts less ``total``; ``fee_difference`` the fills' fees less the ledger's. ``ok`` only
    when both are within 1e-6 and every fill comes before the path's last row.
    """
    difference = math.fsum(pnl[name] for name in PNL_PARTS) - pnl["total"]
    fees = floats(run.equity, "fees_cum")
    fee_difference = float(fills.fee.sum()) - float(fees[-1] - fees[0])
    unpriced = len(run.fills) - int(run.equity["fills_cum"].iloc[-1])
    ok = abs(difference) <= PNL_TOLERANCE and abs(fee_difference) <= PNL_TOLERANCE and unpriced == 0
    message = (
        ""
        if ok
        else f"THE PNL PARTS DO NOT ADD UP: parts less total {difference:+.9f}, fees of the fills less the ledger's "
        f"{fee_difference:+.9f}, fills after the last row {unpriced}"
    )
    return {"ok": ok, "difference": difference, "fee_difference": fee_difference, "message": message}


@dataclass(frozen=True, slots=True)
class _Day:
    """Session time and volume; ``days`` are trading days of the context's length."""

    seconds: float
    days: float
    volume: float

    @classmethod
    def of(cls, run: RunFiles, context: ReportContext) -> "_Day":
        seconds = float(run.equity["session_seconds"].iloc[-1])
        volume = float((run.fills["last_px"] * run.fills["last_qty"]).sum())
        return cls(seconds, seconds / context.day_seconds, volume)


def _metrics(
    run: RunFiles, fills: FillArrays, path: PathArrays, total: float, day: _Day, blocks: BlockFigures
) -> dict[str, Any]:
    frame, last = run.equity, run.equity.iloc[-1]
    maker = (run.fills["liquidity_side"] == "MAKER").to_numpy()
    accepted = run.orders[run.orders["accepted"] == 1]
    filled = pd.to_numeric(accepted["filled_qty"]).to_numpy(dtype=np.float64) > 0
    closes = _closes(run, fills)
    positions = np.concatenate([fills.position_after, path.position, [0.0]])
    return {
        "net_pnl": total,
        "annual_roi": blocks.annual_roi,
        "sharpe": blocks.sharpe,
        "sortino": blocks.sortino,
        "max_drawdown": max_drawdown(without_transfers(path.equity, path.transfers)),
        "trades": len(run.fills),
        "trades_per_day": ratio(len(run.fills), day.days),
        "maker_ratio": ratio(float((fills.price * fills.qty)[maker].sum()), day.volume),
        "fill_rate": ratio(float(filled.sum()), len(accepted)),
        "win_rate": win_rate(closes),
        "quote_uptime": ratio(float(last["quoted_seconds"]), day.seconds),
        "two_sided_uptime": ratio(float(last["two_sided_seconds"]), day.seconds),
        "avg_quoted_spread_bps": ratio(float(last["spread_bps_seconds"]), float(last["two_sided_seconds"])),
        "turnover": day.volume / mean_capital(path.equity, path.transfers) / day.days
        if day.days > 0
        else None,
        "max_position": float(np.nanmax(np.abs(positions))),
        "max_margin_ratio": float(frame[["margin_ratio", "margin_ratio_max"]].max().max()),
        "liquidations": len(liquidation_times(run)),
        "closes": len(closes),
        "orders": len(run.orders),
        "volume": day.volume,
        "days": day.days,
        "session_seconds": day.seconds,
        "equity_start": float(path.equity[0]),
        "equity_end": float(path.equity[-1]),
    }


def _closes(run: RunFiles, fills: FillArrays) -> Floats:
    return closes_of(ints(run.fills, "ts_ns"), fills.side, floats(run.fills, "closed_pnl_net"))


def _losing_runs(closes: Floats) -> dict[str, Any]:
    """Return the runs of losing closes beside those that as many independent closes would bring."""
    seen = losing_runs(closes)
    if not seen:
        return {"longest": 0}
    share = float((closes < 0).mean())
    return {
        "longest": len(seen),
        "losing_share": share,
        "seen": list(seen),
        "by_chance": list(expected_runs(len(closes), share, len(seen))),
        "chance_of_longest": chance_of_run(len(closes), len(seen), share),
    }


def _targets(context: ReportContext, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    levels = context.targets
    rows = (
        ("sharpe", ">", levels.sharpe),
        ("trades_per_day", ">", levels.trades_per_day),
        ("maker_ratio", ">", levels.maker_ratio),
        ("max_drawdown", "<", levels.max_drawdown),
        ("max_margin_ratio", "<", levels.max_margin_ratio),
    )
    targets = []
    for name, rule, target in rows:
        actual = metrics[name]
        passed = None if actual is None else bool(actual > target if rule == ">" else actual < target)
        targets.append({"name": name, "rule": rule, "target": target, "actual": actual, "pass": passed})
    return targets


def _verdict(
    context: ReportContext, metrics: dict[str, Any], targets: list[dict[str, Any]], *, halted: str
) -> tuple[str, list[str]]:
    """``not_enough_trading``, else ``fail`` when a target is missed or it is halted, ``not_enough_data`` when one is unknown, ``pass``."""
    stopped = [halted] if halted else []
    levels = context.verdict
    floors = (
        ("trades_per_day", levels.fills_per_day, "fills a day"),
        ("two_sided_uptime", levels.two_sided_uptime, "of session time quoted on both sides"),
        ("turnover", levels.turnover_per_day, "times equity of turnover a day"),
    )
    short = [
        f"{metrics[name] or 0.0:.4g} {words}, under {floor:g}"
        for name, floor, words in floors
        if (metrics[name] or 0.0) < floor
    ]
    if short:
        return NOT_ENOUGH, stopped + short
    missed = [str(row["name"]) for row in targets if row["pass"] is False]
    if missed or stopped:
        return "fail", [*stopped, *([f"missed: {', '.join(missed)}"] if missed else [])]
    unknown = [str(row["name"]) for row in targets if row["pass"] is None]
    return ("not_enough_data", [f"unknown: {', '.join(unknown)}"]) if unknown else ("pass", [])


def _data(context: ReportContext) -> dict[str, Any]:
    return {
        "source": context.source,
        "simulated": context.simulated,
        "bars_simulated": context.bars_simulated,
        "market": context.market,
        "collateral": context.collateral,
        "start": pd.Timestamp(context.start_ns, tz="UTC").isoformat(),
        "end": pd.Timestamp(context.end_ns, tz="UTC").isoformat(),
        "description": context.description,
        "defaults": list(context.defaults),
    }


def _performance(context: ReportContext) -> dict[str, Any]:
    return {
        "wall_seconds": context.wall_seconds,
        "engine_seconds": context.engine_seconds,
        "events": context.events,
        "peak_rss_mb": context.peak_rss_mb,
    }


def _budget(run: RunFiles, context: ReportContext, net_pnl: float, day: _Day) -> dict[str, object]:
    use = BudgetUse(
        sent=int(run.equity["actions_cum"].iloc[-1]),
        fills=len(run.fills),
        volume=day.volume,
        days=day.days,
        net_pnl=net_pnl,
        wanted_fills_per_day=context.targets.trades_per_day,
    )
    return budget_report(context.budget, use)


def has_markout(run: RunFiles) -> np.ndarray:
    """Return, for each fill, whether it counts for markouts: only with 60 s of its session's data after it (product.md section 13)."""
    complete: np.ndarray = np.isfinite(floats(run.fills, f"mid_{HORIZONS_S[-1]}s"))
    # between sessions there is no data, and the last mid before the gap says nothing of what came after a fill
    closes = np.array([*(end for _, end in run.session_bounds()), np.iinfo(np.int64).max])
    ends = closes[np.clip(ints(run.fills, "session"), 0, len(closes) - 1)]
    inside: np.ndarray = ints(run.fills, "ts_ns") + HORIZONS_S[-1] * 1_000_000_000 <= ends
    complete &= inside
    return complete


def _markouts(run: RunFiles, fills: FillArrays) -> dict[str, float | None]:
    complete = has_markout(run)
    return {
        f"{h}s": markout_bps(fills.side, fills.qty, fills.price, floats(run.fills, f"mid_{h}s"), complete)
        for h in HORIZONS_S
    }


def _actions(run: RunFiles, volume: float) -> dict[str, Any]:
    last = run.equity.iloc[-1]
    sent = int(last["actions_cum"])
    return {
        "sent": sent,
        "per_usd_traded": ratio(sent, volume),
        "rejected": int(last["rejected_cum"]),
        "place": int(last["places_cum"]),
        "modify": int(last["modifies_cum"]),
        "cancel": int(last["cancels_cum"]),
    }


def _fill_shares(run: RunFiles) -> dict[str, Any]:
    unseen = run.fills["unseen_level"].to_numpy() == 1
    qty = run.fills["last_qty"].to_numpy()
    maker = (run.fills["liquidity_side"] == "MAKER").to_numpy()
    crossed = maker & (run.fills["by_trade"].to_numpy() == 0)
    levels = run.fills["level"].value_counts().sort_index()
    return {
        "unseen_share": ratio(float(unseen.sum()), len(unseen)),
        "unseen_volume_share": ratio(float(qty[unseen].sum()), float(qty.sum())),
        # of the fills of resting orders: those that the displayed opposite side caused by reaching our price
        "cross_share": ratio(float(crossed.sum()), float(maker.sum())),
        "cross_volume_share": ratio(float(qty[crossed].sum()), float(qty[maker].sum())),
        "by_level": {
            str(int(level)): int(count)
            for level, count in zip(levels.index.tolist(), levels.tolist(), strict=True)
        },
    }


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _plain(value: Any) -> Any:
    """Turn what JSON cannot carry (NaN, infinity, numpy scalars) into None or plain values."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
