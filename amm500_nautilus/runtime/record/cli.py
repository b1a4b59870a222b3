"""``amm500 record``: a market to disk."""

import argparse
from collections import Counter
from pathlib import Path

from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.exits import FAILED
from amm500_nautilus.runtime.node.assembly import seconds_of
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.record.market import record_market
from amm500_nautilus.runtime.record.session import NAMES
from amm500_nautilus.runtime.replay import cli as replay_cli
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.log import open_recording
from amm500_nautilus.runtime.subcommand import Add
from amm500_nautilus.runtime.subcommand import add_run_file


def run(args: argparse.Namespace) -> int:
    """Run ``amm500 record``: exit code 1 where frames were lost or no book came, 4 where the venue cannot be reached."""
    duration = [] if args.duration is None else [f"live.duration={args.duration}"]
    config = load_config(args.config, [*args.overrides, *duration])
    seconds = None if config.live.duration is None else seconds_of(config.live.duration)
    with Progress(quiet=args.quiet) as progress:
        done = record_market(config, seconds=seconds, out=args.out, progress=progress)
    # read as a replay reads it: what cannot be decoded was not recorded
    counts = Counter(NAMES[type(datum)] for datum in data_of(open_recording(done.folder)))
    decoded = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    print(f"{done.coin}: {done.frames:,} frames in {done.seconds:.0f} s, {done.dropped} dropped")
    print(f"decoded: {decoded or 'nothing'}")
    if done.failure is not None:
        print(f"ended early: {done.failure}")
    print(f"files: {done.folder}")
    print(f"a backtest on it: --set data.source=recorded --set data.path={done.folder}")
    return FAILED if done.failure is not None or done.dropped or not counts["book"] else DONE


def register(add: Add) -> None:
    """Add ``record``, and ``replay-diff``, which reads what a recorded run left."""
    sub = add("record", run, "record the market of a run file to disk, without trading")
    add_run_file(sub, "a YAML run file, for example configs/paper.yaml")
    sub.add_argument(
        "--duration", default=None, help="how long, for example 120s, 6h or 7d; otherwise until stopped"
    )
    sub.add_argument(
        "--out", type=Path, default=None, help="the directory (runs/<name>-recording-<utc> by default)"
    )
    sub.add_argument("--quiet", action="store_true", help="print nothing but the result")
    replay_cli.register(add)
