"""
Fills of the simulated venue against hftbacktest's, on one open-loop order schedule.

Both engines get the same market, the same post-only orders at the same times (no feedback from fills), the same
feed and order latency, and partial fills. Printed: filled lots a side, and the share of filled orders in common.
hftbacktest is not a dependency: name a Python that has ``hftbacktest`` and ``numba``.

    python benchmarks/hftbacktest_parity.py --hft-python /path/to/venv/bin/python \
        --gen-data ../shared/bench/hftbacktest_day/gen_data.py --hours 1

The environment variable ``HFT_PYTHON`` stands for ``--hft-python``. The data is generated into a temporary folder.
"""

# ruff: noqa: PLC0415 - the two sides run in different Pythons, each importing what the other lacks

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


TICK, LOT = 0.1, 0.001
FEED_NS = 20_000_000
ORDER_NS = 50_000_000
SECOND = 1_000_000_000
QUEUES = {"risk_adverse": 0.0, "power_prob_queue_model3": 3.0}
# an odd order among even market sizes: when a trade leaves exactly an order's size, hftbacktest 2.4.4 reports it filled
# but keeps it, and stops with error 14 at the next fill
LOTS = 201
SIZE_MULTIPLE = 2
LIFETIME_S = 30


# -- the hftbacktest side, run by the other Python --------------------------------------------------------


def generate(gen_data: str, hours: float, changes: int, out: str) -> None:
    spec = importlib.util.spec_from_file_location("gen_data", gen_data)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gen_data"] = module
    # its compiled functions are cached by module name; a folder of our own keeps other caches out
    os.environ["NUMBA_CACHE_DIR"] = str(Path(out).parent)
    os.environ.setdefault("BENCH_DATA", str(Path(out).parent))
    spec.loader.exec_module(module)
    steps = int(hours * 36_000)
    rows = module.gen(20260105, steps, changes, 0.14, 0.1, steps * (changes + 4) + 1000)
    np.savez(out, **dict(zip(("ts", "kind", "side", "px", "qty", "last"), rows, strict=True)))


def hft_side(data: str, schedule: str, queue: str, out: str) -> None:
    import hftbacktest as hb
    from hftbacktest import types as ht
    from numba import njit
    from numba import uint64

    plan = np.load(schedule)["plan"]
    events = hft_events(ht, dict(np.load(data)))
    # hftbacktest reads the array in place, so it must outlive the run
    hbt = hft_market(hb, events, queue)

    @njit
    def run(hbt, plan, filled, lots):
        hbt.elapse(1)  # before the first step the clock has no value
        for i in range(len(plan)):
            wait = plan[i, 0] - hbt.current_timestamp
            if wait > 0:
                code = hbt.elapse(wait)
                if code != 0:
                    return code
                values = hbt.orders(0).values()
                while values.has_next():
                    order = values.get()
                    filled[order.order_id] = lots - round(order.leaves_qty)
                hbt.clear_inactive_orders(0)
            number = uint64(plan[i, 2])
            if plan[i, 1] == 0:
                price = plan[i, 4] * 0.1
                if plan[i, 3] > 0:
                    hbt.submit_buy_order(0, number, price, lots * 1.0, 1, 0, False)
                else:
                    hbt.submit_sell_order(0, number, price, lots * 1.0, 1, 0, False)
            elif number in hbt.orders(0):
                hbt.cancel(0, number, False)
        hbt.elapse(1_000_000_000)
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            filled[order.order_id] = lots - round(order.leaves_qty)
        return 0

    filled = np.zeros(int(plan[:, 2].max()) + 1, np.int64)
    code = run(hbt, plan, filled, LOTS)
    if code != 0:
        sys.exit(f"hftbacktest stopped with code {code}")
    hbt.close()
    np.save(out, filled)


def hft_events(ht: Any, rows: dict[str, Any]) -> np.ndarray:
    """The market in hftbacktest's events."""
    kind, side = rows["kind"], rows["side"]
    events = np.zeros(len(kind), ht.event_dtype)
    base = np.where(kind == 1, ht.TRADE_EVENT, np.where(kind == 2, ht.DEPTH_SNAPSHOT_EVENT, ht.DEPTH_EVENT))
    sides = np.where(side == 0, ht.BUY_EVENT, ht.SELL_EVENT)
    both = np.uint64(ht.EXCH_EVENT | ht.LOCAL_EVENT)
    events["ev"] = base.astype(np.uint64) | sides.astype(np.uint64) | both
    events["exch_ts"] = rows["ts"]
    events["local_ts"] = rows["ts"] + FEED_NS
    events["px"] = rows["px"] * TICK
    events["qty"] = rows["qty"] * SIZE_MULTIPLE
    return events


def hft_market(hb: Any, events: np.ndarray, queue: str) -> Any:
    """A market loaded into hftbacktest, with partial fills and the named queue model."""
    asset = (
        hb.BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(ORDER_NS, ORDER_NS)
        .partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(TICK)
        .lot_size(1.0)
        .last_trades_capacity(0)
    )
    asset = (
        asset.risk_adverse_queue_model()
        if queue == "risk_adverse"
        else asset.power_prob_queue_model3(QUEUES[queue])
    )
    return hb.HashMapMarketDepthBacktest([asset])


# -- the schedule -----------------------------------------------------------------------------------------


def make_schedule(data: dict[str, Any], seed: int, per_second: int) -> np.ndarray:
    """Each second, orders at 0 to 6 ticks from the touch as then seen, canceled 30 s later; nothing looks at fills."""
    rng = np.random.default_rng(seed)
    ts, kind, side, px, qty = (data[k] for k in ("ts", "kind", "side", "px", "qty"))
    bids: set[int] = set()
    asks: set[int] = set()
    rows = []
    number = 0
    at = 0
    seconds = int((ts[-1] - ts[0]) // SECOND) - LIFETIME_S - 3
    for second in range(1, seconds):
        now = int(ts[0]) + second * SECOND
        while at < len(ts) and ts[at] + FEED_NS <= now:
            if kind[at] != 1:
                book = bids if side[at] == 0 else asks
                (book.add if qty[at] > 0 else book.discard)(int(px[at]))
            at += 1
        for _ in range(per_second):
            number += 1
            order_side = 1 if rng.random() < 0.5 else -1
            offset = int(rng.integers(0, 7))
            ticks = max(bids) - offset if order_side > 0 else min(asks) + offset
            rows.append((now, 0, number, order_side, ticks))
            rows.append((now + LIFETIME_S * SECOND, 1, number, order_side, ticks))
    return np.array(sorted(rows), np.int64)


# -- our side ---------------------------------------------------------------------------------------------


def our_side(data: dict[str, Any], plan: np.ndarray, queue: str) -> np.ndarray:
    from decimal import Decimal

    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.backtest.engine import BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.config import RiskEngineConfig

    from amm500_nautilus.simulation.config import FillConfig
    from amm500_nautilus.simulation.config import FundingConfig
    from amm500_nautilus.simulation.config import VenueConfig
    from amm500_nautilus.simulation.latency import LatencyConfig
    from amm500_nautilus.simulation.rules import VenueRules
    from amm500_nautilus.simulation.setup import add_simulated_venue

    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    instrument = _instrument()
    config = VenueConfig(
        starting_equity=Decimal(100_000_000),
        fill=FillConfig(queue_model=queue, queue_n=QUEUES[queue] or 1.0),
        latency=LatencyConfig(kind="constant", p50_ms=ORDER_NS / 1e6),
        rules=VenueRules(asset=None),
        funding=FundingConfig(enabled=False),
    )
    filled = np.zeros(int(plan[:, 2].max()) + 1, np.int64)
    venue = add_simulated_venue(engine, instrument=instrument, config=config, seed=1, listener=None)
    deltas, trades = _market(instrument, data)
    engine.add_data(deltas, sort=False)
    engine.add_data(trades, sort=False)
    engine.sort_data()
    engine.add_strategy(_strategy(instrument, plan, filled))
    engine.run()
    venue.finish()
    engine.dispose()
    return filled


def _instrument() -> Any:
    from decimal import Decimal

    from nautilus_trader.model.enums import AssetClass
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.identifiers import Symbol
    from nautilus_trader.model.instruments import PerpetualContract
    from nautilus_trader.model.objects import Price
    from nautilus_trader.model.objects import Quantity

    from amm500_catalog import USDH

    return PerpetualContract(
        instrument_id=InstrumentId.from_str("km:US500-USD-PERP.HYPERLIQUID"),
        raw_symbol=Symbol("km:US500"),
        underlying="US500",
        asset_class=AssetClass.INDEX,
        quote_currency=USDH,
        settlement_currency=USDH,
        is_inverse=False,
        price_precision=1,
        size_precision=3,
        price_increment=Price(TICK, 1),
        size_increment=Quantity(LOT, 3),
        margin_init=Decimal("0.1"),
        margin_maint=Decimal("0.02"),
        ts_event=0,
        ts_init=0,
    )


def _market(instrument: Any, data: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    from nautilus_trader.model.data import BookOrder
    from nautilus_trader.model.data import OrderBookDelta
    from nautilus_trader.model.data import OrderBookDeltas
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.model.enums import AggressorSide
    from nautilus_trader.model.enums import BookAction
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import TradeId
    from nautilus_trader.model.objects import Price
    from nautilus_trader.model.objects import Quantity

    iid = instrument.id
    deltas, trades, batch = [], [], []
    names = ("ts", "kind", "side", "px", "qty", "last")
    for i, (ts, kind, side, px, qty, last) in enumerate(
        zip(*(data[name].tolist() for name in names), strict=True)
    ):
        price = Price(px * TICK, 1)
        if kind == 1:
            aggressor = AggressorSide.BUYER if side == 0 else AggressorSide.SELLER
            trades.append(
                TradeTick(iid, price, Quantity(qty * LOT, 3), aggressor, TradeId(str(i)), ts, ts + FEED_NS)
            )
            continue
        action = BookAction.DELETE if qty == 0 else BookAction.ADD if kind == 2 else BookAction.UPDATE
        order = BookOrder(OrderSide.BUY if side == 0 else OrderSide.SELL, price, Quantity(qty * LOT, 3), px)
        batch.append(OrderBookDelta(iid, action, order, 128 if last else 0, i, ts, ts + FEED_NS))
        if last:
            deltas.append(OrderBookDeltas(iid, batch))
            batch = []
    return deltas, trades


def _strategy(instrument: Any, plan: np.ndarray, filled: np.ndarray) -> Any:
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.enums import TimeInForce
    from nautilus_trader.model.objects import Price
    from nautilus_trader.model.objects import Quantity
    from nautilus_trader.trading.strategy import Strategy

    rows = plan.tolist()

    class Schedule(Strategy):
        def on_start(self) -> None:
            self.at = 0
            self.placed: dict[int, Any] = {}
            self.numbers: dict[Any, int] = {}
            self.clock.set_timer_ns(
                "cycle", SECOND, rows[0][0], 0, self.cycle, allow_past=True, fire_immediately=True
            )

        def cycle(self, event: Any) -> None:
            while self.at < len(rows) and rows[self.at][0] <= event.ts_event:
                _, kind, number, side, ticks = rows[self.at]
                self.at += 1
                if kind == 0:
                    order = self.order_factory.limit(
                        instrument.id,
                        OrderSide.BUY if side > 0 else OrderSide.SELL,
                        Quantity(LOTS * LOT, 3),
                        Price(ticks * TICK, 1),
                        TimeInForce.GTC,
                        post_only=True,
                    )
                    self.placed[number] = order
                    self.numbers[order.client_order_id] = number
                    self.submit_order(order)
                else:
                    order = self.placed.pop(number)
                    if not order.is_closed:
                        self.cancel_order(order)

        def on_order_filled(self, event: Any) -> None:
            filled[self.numbers[event.client_order_id]] += round(event.last_qty.as_double() / LOT)

    return Schedule()


# -- comparison -------------------------------------------------------------------------------------------


def compare(plan: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Return filled lots a side, their differences, and the share of filled orders in common (of either's)."""
    places = plan[plan[:, 1] == 0]
    result: dict[str, float] = {"orders": len(places)}
    for name, side in (("buy", 1), ("sell", -1)):
        numbers = places[places[:, 3] == side][:, 2]
        mine, other = int(ours[numbers].sum()), int(theirs[numbers].sum())
        result |= {f"{name}_ours": mine, f"{name}_hft": other, f"{name}_diff": mine / max(other, 1) - 1.0}
    either = (ours > 0) | (theirs > 0)
    result["filled_ours"], result["filled_hft"] = int((ours > 0).sum()), int((theirs > 0).sum())
    result["in_common"] = float(((ours > 0) & (theirs > 0)).sum() / max(either.sum(), 1))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hft-python", default=os.environ.get("HFT_PYTHON"))
    parser.add_argument(
        "--gen-data", help="gen_data.py of the shared benchmark; needed unless --data is given"
    )
    parser.add_argument("--data", help="an .npz in its format")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--changes", type=int, default=1, help="level changes a step: 1 is light, 8 is heavy")
    parser.add_argument("--orders-a-second", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--role", choices=["both", "generate", "hft"], default="both", help=argparse.SUPPRESS)
    parser.add_argument("--schedule", help=argparse.SUPPRESS)
    parser.add_argument("--queue", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "generate":
        generate(args.gen_data, args.hours, args.changes, args.out)
        return 0
    if args.role == "hft":
        hft_side(args.data, args.schedule, args.queue, args.out)
        return 0
    if not args.hft_python or not (args.gen_data or args.data):
        parser.error("--hft-python (or HFT_PYTHON) and one of --gen-data and --data are needed")
    with tempfile.TemporaryDirectory() as folder:
        return run_both(args, Path(folder))


def run_both(args: argparse.Namespace, folder: Path) -> int:
    other = [args.hft_python, str(Path(__file__).resolve())]
    data_path = args.data or str(folder / "market.npz")
    if not args.data:
        shape = ["--hours", str(args.hours), "--changes", str(args.changes)]
        subprocess.run(
            [*other, "--role", "generate", "--gen-data", args.gen_data, *shape, "--out", data_path],
            check=True,
        )
    rows = dict(np.load(data_path))
    rows["qty"] = rows["qty"] * SIZE_MULTIPLE
    plan = make_schedule(rows, args.seed, args.orders_a_second)
    schedule = str(folder / "schedule.npz")
    np.savez(schedule, plan=plan)
    passed = True
    for queue in QUEUES:
        out = str(folder / f"{queue}.npy")
        role = ["--role", "hft", "--data", data_path, "--schedule", schedule, "--queue", queue, "--out", out]
        subprocess.run([*other, *role], check=True)
        result = compare(plan, our_side(rows, plan, queue), np.load(out))
        passed &= (
            max(abs(result["buy_diff"]), abs(result["sell_diff"])) <= 0.05 and result["in_common"] >= 0.90
        )
        print(json.dumps({"queue": queue, **result}))
    print("within 5 % a side and 90 % in common" if passed else "OUTSIDE 5 % a side or 90 % in common")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("", "adapters", "catalog")]
    sys.exit(main())
