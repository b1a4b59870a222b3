"""``amm500 replay-diff``: what a recorded run and its replay do not share, printed."""

import argparse

from amm500_nautilus.report.parity import Difference
from amm500_nautilus.report.parity import OrderParity
from amm500_nautilus.report.parity import OrderRow
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.replay.compare import EQUAL
from amm500_nautilus.runtime.replay.compare import ReplayDiff
from amm500_nautilus.runtime.replay.compare import replay_diff
from amm500_nautilus.runtime.replay.compare import write_diff
from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import run_path


SHOWN = 10


def _order(row: OrderRow | None) -> str:
    if row is None:
        return "nothing"
    side = {1: "buy", -1: "sell"}.get(row.side, "an order that is gone")
    return f"{row.kind} {side} {row.lots} lots at {row.ticks} ticks (level {row.level})"


def _line(each: Difference) -> str:
    return (
        f"  decision {each.number}, {each.what}: recorded {_order(each.recorded)}, "
        f"replayed {_order(each.replayed)}; {each.cause}"
    )


def _orders(parity: OrderParity, shown: int) -> list[str]:
    lines = [
        f"  decisions: {parity.equal_decisions} of {parity.decisions} equal",
        f"  orders: {parity.recorded} recorded, {parity.replayed} replayed, {parity.equal} equal ({parity.share:.2%})",
        f"  cancels: {parity.recorded_cancels} recorded, {parity.replayed_cancels} replayed, {parity.equal_cancels} equal",
        *(f"  {count} because: {cause}" for cause, count in parity.causes.items()),
        *(_line(each) for each in parity.differences[:shown]),
    ]
    more = len(parity.differences) - shown
    return [*lines, f"  and {more} more, in the file"] if more > 0 and shown else lines


def lines_of(diff: ReplayDiff, shown: int = SHOWN) -> list[str]:
    """Return what is printed of a comparison: the three replays, PnL, and the verdict last."""
    header, data, fills = diff.recording.header, diff.decisions.data, diff.fills.parity
    what = "SIMULATED DATA" if header["simulated"] else "recorded data"
    per_ms = diff.to_plain()["action_ms"]
    lines = [
        f"{header['mode']} run on {diff.recording.coin}, {diff.seconds:.0f} s, {what}",
        (
            f"frames: {data.found} data found, {data.without_frame} without a frame; "
            f"{per_ms['count']} actions, from decision to answer p50 {per_ms['p50'] or 0:.0f} ms"
        ),
        "",
        "decided again (open loop: the recorded market, timer, answers, fills and account; bar 99 %)",
        *_orders(diff.decisions.parity, shown),
        "",
        "the recorded orders at the simulated exchange (bar: 2 % of the lots)",
        (
            f"  fills: {fills.recorded} recorded, {fills.replayed} simulated; lots: {fills.recorded_lots} recorded, "
            f"{fills.replayed_lots} simulated, {fills.shared_lots} for the same order"
        ),
        *(f"  {count} orders because: {cause}" for cause, count in fills.causes.items()),
        *(
            f"  order {each.order}: {each.recorded} lots recorded, {each.replayed} simulated; {each.cause}"
            for each in fills.orders[:shown]
        ),
        f"  without the trades that our resting orders made: {diff.fills_alone.parity.replayed_lots} lots (no bar)",
    ]
    if diff.closed is not None:
        own = diff.closed.fills
        lines += [
            "",
            "traded anew (closed loop: fills, answers and account are the simulated exchange's; no bar)",
            *_orders(diff.closed.parity, shown),
            (
                f"  fills: {fills.recorded} recorded, {len(own)} simulated; lots: {fills.recorded_lots} recorded, "
                f"{sum(fill.lots for fill in own)} simulated"
            ),
        ]
    lines += ["", "PnL at the same last mid, fees included, in collateral units"]
    lines += [f"  {name.replace('_', ' ')}: {row['total']:+.6f}" for name, row in diff.pnl().items()]
    return [*lines, *(f"note: {note}" for note in diff.notes), "", diff.sentence]


def run(args: argparse.Namespace) -> int:
    """Run ``amm500 replay-diff``: exit code 0 where the verdict is ``equal``, 1 otherwise."""
    with Progress(quiet=args.quiet) as progress:
        diff = replay_diff(args.run, overrides=args.overrides, closed=not args.no_closed, progress=progress)
    file = write_diff(diff, args.run)
    print("\n".join(lines_of(diff, args.list)))
    print(f"file: {file}")
    return DONE if diff.verdict == EQUAL else FAILED


def register(add: Add) -> None:
    """Add the command."""
    parser = add(
        "replay-diff", run, "play a recorded run again through the backtest and list where they differ"
    )
    parser.add_argument("run", type=run_path, help="the run directory of a run with live.record: true")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the run's configuration, to see what another would have decided",
    )
    parser.add_argument("--no-closed", action="store_true", help="leave out the run traded anew")
    parser.add_argument(
        "--list", type=int, default=SHOWN, metavar="N", help="differences printed of each kind (10)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but the result")
