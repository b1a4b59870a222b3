"""Every figure of summary.json, worked out again from the files by other code."""

import json
import shutil
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from amm500_nautilus.report.summary import write_summary
from amm500_nautilus.report.types import TargetLevels
from amm500_nautilus.report.types import VerdictLevels


SECOND = 1_000_000_000
HOUR = 3_600
SESSION = 6.5 * HOUR
DAYS = 20


def drive(run, seed: int) -> None:
    """Twenty cash sessions of random mids, fills, quotes, funding, refusals, a penalty and a transfer."""
    rng = np.random.default_rng(seed)
    mid = 138_010
    for day in range(DAYS):
        begin = day * 24 * HOUR
        for step in range(60):
            at = begin + 1 + step * 380
            mid += int(rng.integers(-12, 13))
            run.set_mid(at, Decimal(mid) / 200)
            half = mid // 2
            two = rng.random() < 0.9
            wide = 400 if rng.random() < 0.05 else 3
            state = {} if two else {"reasons": ("one_sided", "budget")}
            vols = {"1s": rng.random(), "10s": rng.random(), "30s": rng.random(), "60s": rng.random()}
            run.quote(at + 1, half - wide, half + wide if two else None, volatility=vols, **state)
            run.act("place", 2).act("modify", int(rng.integers(0, 5))).act("cancel", 1)
            if rng.random() < 0.1:
                run.refuse(1, "1", "690")
            for offset in range(int(rng.integers(0, 4))):
                side = 1 if rng.random() < 0.5 - 0.2 * np.sign(float(run.position)) else -1
                price = Decimal(half - 1 if side > 0 else half + 2) / 100
                qty = Decimal(int(rng.integers(1, 400))) / 1000
                fee = (qty * price * Decimal("0.0000259")).quantize(Decimal("0.000001"))
                more = {
                    "taker": rng.random() < 0.05,
                    "unseen": rng.random() < 0.2,
                    "level": int(rng.integers(-1, 15)),
                    "crossed": rng.random() < 0.6,
                }
                run.fill(at + 3 + offset * 0.4, side, str(qty), str(price), str(fee), **more)
                run.set_mid(at + 5 + offset * 0.4, Decimal(mid + int(rng.integers(-6, 7))) / 200)
        run.pay_funding(
            begin + 5 * HOUR, str(-(run.position * Decimal("0.0039")).quantize(Decimal("0.000001")))
        )
        if day == 7:
            run.liquidate(begin + 6 * HOUR, "0.25")
        if day == 9:
            run.transfer(begin + 6 * HOUR, "50")
    run.rest(+1, "1.5", "680.00").rest(-1, "0.5", "700.00")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, mini_maker, base_context):
    sessions = [(day * 24 * HOUR, day * 24 * HOUR + SESSION) for day in range(DAYS)]
    seconds = sessions[-1][1]
    run = mini_maker(tmp_path_factory.mktemp("recompute"), seconds, sessions)
    drive(run, seed=5)
    out = run.finish(seconds)
    context = replace(base_context, day_seconds=SESSION, sessions_per_year=252.0)
    write_summary(out, context)
    return out, json.loads((out / "summary.json").read_text()), context


@pytest.fixture(scope="module")
def frames(finished):
    out, _, _ = finished
    fills = pd.read_csv(out / "fills.csv")
    equity = pd.read_parquet(out / "equity.parquet").set_index("ts")
    orders = pd.read_csv(out / "orders.csv")
    sessions = pd.read_csv(out / "sessions.csv", parse_dates=["open", "close"])
    fills["ts"] = pd.to_datetime(fills["ts_ns"], utc=True)
    return fills, equity, orders, sessions


def session_days(sessions: pd.DataFrame) -> float:
    return (sessions["close"] - sessions["open"]).dt.total_seconds().sum() / SESSION


def test_pnl_parts(finished, frames):
    _, summary, _ = finished
    fills, equity, _, _ = frames
    signed = fills["side"] * fills["last_qty"]
    later = fills["mid_5s"].fillna(equity["mid"].iloc[-1])
    # the mid path with both kinds of points, stepped through one by one
    marks, position, mid, done = 0.0, 0.0, np.nan, 0
    for row in equity.itertuples():
        while done < row.fills_cum:
            fill = fills.iloc[done]
            marks += position * (fill["mid_at_fill"] - mid) if position else 0.0
            position, mid, done = fill["position_after"], fill["mid_at_fill"], done + 1
        marks += position * (row.mid - mid) if position else 0.0
        mid = row.mid
    adverse = (signed * (later - fills["mid_at_fill"])).sum()
    expected = {
        "spread_capture": (signed * (fills["mid_at_fill"] - fills["last_px"])).sum(),
        "adverse_selection": adverse,
        "inventory": marks - adverse,
        "fees": -fills["fee"].sum(),
        "funding": equity["funding_cum"].iloc[-1],
        "liquidation": -equity["liquidation_cum"].iloc[-1],
        "total": equity["equity"].iloc[-1] - equity["equity"].iloc[0] - equity["transfers_cum"].iloc[-1],
    }
    assert summary["pnl"] == pytest.approx(expected, abs=1e-7)
    assert sum(v for k, v in expected.items() if k != "total") == pytest.approx(expected["total"], abs=1e-6)
    assert summary["pnl_check"]["ok"]
    assert expected["liquidation"] == -0.25
    assert expected["total"] == pytest.approx(summary["metrics"]["net_pnl"])


def test_block_figures(finished, frames):
    _, summary, _ = finished
    _, equity, _, sessions = frames
    # minute by minute, what was there before and what came in beside it
    moved = equity["transfers_cum"].diff().fillna(0.0)
    assert moved.sum() == 50.0
    before = equity["equity"].shift(1).fillna(equity["equity"].iloc[0]) + moved
    path = (equity["equity"] / before).cumprod()
    closes = [path.iloc[0]]
    for row in sessions.itertuples():
        # 6.5 hours: five blocks of an hour and one of an hour and a half
        ends = [row.open + pd.Timedelta(hours=h) for h in range(1, 6)] + [row.close]
        closes += [path[:end].iloc[-1] for end in ends]
    returns = pd.Series(closes).pct_change().dropna()
    assert len(returns) == summary["blocks"]["count"] == 120
    yearly = np.sqrt(6 * 252)
    assert summary["metrics"]["sharpe"] == pytest.approx(returns.mean() / returns.std() * yearly)
    downside = np.sqrt((returns.clip(upper=0) ** 2).mean())
    assert summary["metrics"]["sortino"] == pytest.approx(returns.mean() / downside * yearly)
    total = path.iloc[-1] / path.iloc[0] - 1
    assert summary["metrics"]["annual_roi"] == pytest.approx(total * 1512 / 120)
    assert summary["metrics"]["max_drawdown"] == pytest.approx((1 - path / path.cummax()).max())


def test_trading_metrics(finished, frames):
    _, summary, _ = finished
    fills, equity, orders, sessions = frames
    metrics = summary["metrics"]
    days = session_days(sessions)
    value = fills["last_px"] * fills["last_qty"]
    accepted = orders[orders["accepted"] == 1]
    expected = {
        "trades": len(fills),
        "trades_per_day": len(fills) / days,
        "maker_ratio": value[fills["liquidity_side"] == "MAKER"].sum() / value.sum(),
        "fill_rate": (accepted["filled_qty"] > 0).mean(),
        "turnover": value.sum() / (equity["equity"].iloc[0] + equity["transfers_cum"].mean()) / days,
        "volume": value.sum(),
        "days": days,
        "session_seconds": days * SESSION,
        "orders": len(orders),
        "max_position": max(fills["position_after"].abs().max(), equity["position"].abs().max()),
        "max_margin_ratio": equity[["margin_ratio", "margin_ratio_max"]].to_numpy().max(),
        "liquidations": 0,
        "equity_start": 1000.0,
        "equity_end": equity["equity"].iloc[-1],
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert len(fills) > 1_000


def test_win_rate_with_both_ends_fees(finished, frames):
    _, summary, _ = finished
    fills, _, _, _ = frames
    position, entry, entry_fees, closes = 0.0, 0.0, 0.0, []
    for fill in fills.itertuples():
        signed = fill.side * fill.last_qty
        if position * signed >= 0:
            entry = (entry * abs(position) + fill.last_px * fill.last_qty) / (abs(position) + fill.last_qty)
            entry_fees += fill.fee
        else:
            closing = min(fill.last_qty, abs(position))
            released = entry_fees * closing / abs(position)
            own = fill.fee * closing / fill.last_qty
            gross = closing * (fill.last_px - entry) * np.sign(position)
            assert fill.closed_pnl == pytest.approx(gross, abs=1e-6)
            assert fill.closed_pnl_net == pytest.approx(gross - released - own, abs=1e-6)
            closes.append((fill.ts, fill.side, gross - released - own))
            entry_fees += fill.fee - own - released
            if closing < fill.last_qty - 1e-9:
                entry = fill.last_px
        position = round(position + signed, 9)
    frame = pd.DataFrame(closes, columns=["ts", "side", "net"])
    groups, starts = [], []
    for _, one_side in frame.groupby("side"):
        start = None
        for row in one_side.itertuples():
            if start is None or row.ts - start > pd.Timedelta(seconds=1):
                start = row.ts
                starts.append(start)
                groups.append(0.0)
            groups[-1] += row.net
    loses = (pd.Series(groups, index=starts).sort_index(kind="stable") < 0).astype(int)
    lengths = loses.groupby((loses != loses.shift()).cumsum().to_numpy()).sum()
    seen = lengths[lengths > 0].value_counts()
    runs = summary["losing_runs"]
    assert runs["seen"] == [seen.get(length, 0) for length in range(1, runs["longest"] + 1)]
    share = loses.mean()
    assert runs["losing_share"] == pytest.approx(share)
    # runs of one: a loser between two winners, or at an end beside one
    one = share * (1 - share) * (2 + (len(loses) - 2) * (1 - share))
    assert runs["by_chance"][0] == pytest.approx(one)
    assert 0 < runs["chance_of_longest"] <= 1
    assert summary["metrics"]["closes"] == len(groups) < len(frame)
    assert summary["metrics"]["win_rate"] == pytest.approx(np.mean([g > 0 for g in groups]))


def test_uptime_from_the_states(finished, frames):
    out, summary, _ = finished
    _, equity, _, sessions = frames
    states = pd.read_csv(out / "states.csv", keep_default_na=False)
    seconds = session_days(sessions) * SESSION
    assert states["seconds"].sum() == pytest.approx(seconds)
    metrics = summary["metrics"]
    quoted = states.loc[states["sides"] != "none", "seconds"].sum()
    two = states.loc[states["two_sided"] == 1, "seconds"].sum()
    assert metrics["quote_uptime"] == pytest.approx(quoted / seconds)
    assert metrics["two_sided_uptime"] == pytest.approx(two / seconds)
    assert 0.5 < metrics["two_sided_uptime"] < metrics["quote_uptime"] < 1
    last = equity.iloc[-1]
    spread = last["spread_bps_seconds"] / last["two_sided_seconds"]
    assert metrics["avg_quoted_spread_bps"] == pytest.approx(spread)
    # six or seven ticks of 0.01 on 690 are 0.87 to 1.01 bp
    assert 0.85 < spread < 1.03


def test_markouts(finished, frames):
    _, summary, _ = finished
    fills, _, _, sessions = frames
    close = sessions["close"].to_numpy()[fills["session"]]
    # what comes after a close is not known, though the last mid is still there
    complete = fills[fills["mid_60s"].notna() & (fills["ts"] + pd.Timedelta(seconds=60) <= close)]
    assert len(complete) > 1_000
    for horizon in (1, 5, 30, 60):
        move = (
            complete["side"] * (complete[f"mid_{horizon}s"] - complete["last_px"]) / complete["last_px"] * 1e4
        )
        expected = np.average(move, weights=complete["last_qty"])
        assert summary["markouts_bps"][f"{horizon}s"] == pytest.approx(expected)


def test_a_fill_of_a_session_s_last_minute_has_no_markout(finished, frames, tmp_path):
    out, summary, context = finished
    _, _, _, sessions = frames
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    fills = pd.read_csv(copy / "fills.csv", dtype=str, keep_default_na=False)
    last = fills.index[fills["session"] == "0"][-1]
    # the mid of after the close is there, and far off
    late = fills.loc[[last]].assign(trade_id="late", ts_ns=str(sessions["close"].iloc[0].value - 59 * 10**9))
    late = late.assign(**{f"mid_{horizon}s": "1.0" for horizon in (1, 5, 30, 60)})
    pd.concat([fills.loc[:last], late, fills.loc[last + 1 :]]).to_csv(copy / "fills.csv", index=False)
    write_summary(copy, context)
    assert json.loads((copy / "summary.json").read_text())["markouts_bps"] == summary["markouts_bps"]


def test_actions_fill_shares_and_volatility(finished, frames):
    _, summary, _ = finished
    fills, equity, orders, _ = frames
    last = equity.iloc[-1]
    sent = int(last["places_cum"] + last["modifies_cum"] + last["cancels_cum"])
    assert summary["actions"] == pytest.approx(
        {
            "sent": sent,
            "per_usd_traded": sent / (fills["last_px"] * fills["last_qty"]).sum(),
            "rejected": (orders["status"] == "REJECTED").sum(),
            "place": last["places_cum"],
            "modify": last["modifies_cum"],
            "cancel": last["cancels_cum"],
        }
    )
    unseen = fills["unseen_level"] == 1
    assert summary["fills"]["unseen_share"] == pytest.approx(unseen.mean())
    assert summary["fills"]["unseen_volume_share"] == pytest.approx(
        fills["last_qty"][unseen].sum() / fills["last_qty"].sum()
    )
    resting = fills[fills["liquidity_side"] == "MAKER"]
    crossed = resting["by_trade"] == 0
    assert summary["fills"]["cross_share"] == pytest.approx(crossed.mean())
    assert summary["fills"]["cross_volume_share"] == pytest.approx(
        np.average(crossed, weights=resting["last_qty"])
    )
    assert 0.5 < crossed.mean() < 0.7
    counts = fills.groupby("level").size()
    # orders at the touch that shed inventory are outside the ladder
    assert counts[-1] > 0
    assert summary["fills"]["by_level"] == {str(int(level)): int(count) for level, count in counts.items()}
    for horizon in ("1s", "10s", "30s", "60s"):
        assert summary["volatility"][horizon] == pytest.approx(equity[f"vol_{horizon}"].mean())


def test_targets_verdict_and_budget(finished, frames):
    _, summary, context = finished
    fills, equity, _, sessions = frames
    metrics = summary["metrics"]
    levels: TargetLevels = context.targets
    reached = {row["name"]: (row["actual"], row["pass"]) for row in summary["targets"]}
    assert reached == {
        "sharpe": (metrics["sharpe"], metrics["sharpe"] > levels.sharpe),
        "trades_per_day": (metrics["trades_per_day"], metrics["trades_per_day"] > levels.trades_per_day),
        "maker_ratio": (metrics["maker_ratio"], metrics["maker_ratio"] > levels.maker_ratio),
        "max_drawdown": (metrics["max_drawdown"], metrics["max_drawdown"] < levels.max_drawdown),
        "max_margin_ratio": (
            metrics["max_margin_ratio"],
            metrics["max_margin_ratio"] < levels.max_margin_ratio,
        ),
    }
    floors: VerdictLevels = context.verdict
    assert metrics["trades_per_day"] < floors.fills_per_day
    assert summary["verdict"] == "not_enough_trading"
    days = session_days(sessions)
    allowance = 10_000 + 0.1 * (fills["last_px"] * fills["last_qty"]).sum()
    sent = equity["actions_cum"].iloc[-1]
    budget = summary["budget"]
    assert budget["affordable_actions_per_day"] == pytest.approx(allowance / days)
    assert budget["sent_per_day"] == pytest.approx(sent / days)
    assert budget["actions_per_fill"] == pytest.approx(sent / len(fills))
    assert budget["affordable_fills_per_day"] == pytest.approx(allowance / days / (sent / len(fills)))


def test_what_is_still_held_is_what_the_fills_left(finished, frames):
    _, summary, _ = finished
    fills, equity, _, _ = frames
    held = summary["account"]["position_end"]
    assert held == pytest.approx(fills["position_after"].iloc[-1])
    assert held == pytest.approx((fills["side"] * fills["last_qty"]).sum())
    assert summary["account"]["position_value_end"] == pytest.approx(held * equity["mid"].iloc[-1])


def test_data_is_what_the_context_says(finished):
    _, summary, context = finished
    assert summary["data"]["simulated"] is True
    assert summary["data"]["market"] == context.market
    assert pd.Timestamp(summary["data"]["start"]).value == context.start_ns
    assert pd.Timestamp(summary["data"]["end"]).value == context.end_ns
