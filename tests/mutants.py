"""
Break the code in named ways, each in a copy of the source tree, and demand that a test turns red.

Run it by ``make mutants`` or ``python tests/mutants.py [NAME ...]``. It ends with 1 when a mutant survives or when the chosen
tests are not green to begin with, and with 2 when the text to be replaced is no longer in the code.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
COPIED = ("amm500_nautilus", "adapters", "catalog/amm500_catalog", "configs", "tests", "pyproject.toml")
SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "store", "runs")
FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)
SURVIVED, STALE = 1, 2
LIMIT_S = 120

SIMULATION = "amm500_nautilus/simulation"
QUOTING = "amm500_nautilus/quoting"
STRATEGY = "amm500_nautilus/strategy.py"
LEDGER_TESTS = "tests/simulation/test_ledger.py"
VENUE_TESTS = "tests/simulation/test_venue.py"
MARGIN_TESTS = "tests/margin/test_funding_and_tables.py"
EVENT_TESTS = "tests/strategy/test_order_events.py"
LIFE_TESTS = "tests/strategy/test_quoting_life.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A named change: in ``path`` the text ``old`` (there exactly once) becomes ``new``; one of ``tests`` must fail."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "fee sign flipped",
        f"{SIMULATION}/books.py",
        "self._cash -= side * value + fee\n",
        "self._cash -= side * value - fee\n",
        (LEDGER_TESTS,),
    ),
    Mutant(
        "funding dropped",
        f"{SIMULATION}/clockwork.py",
        "amount = self._ledger.apply_funding(oracle, rate, lots)\n",
        "amount = 0\n",
        (f"{VENUE_TESTS}::test_funding_is_paid_at_the_hour_on_the_oracle_and_the_rate_that_the_data_brings",),
    ),
    Mutant(
        "funding paid to the wrong side",
        "amm500_nautilus/margin/funding.py",
        "return cut(-size * oracle_price",
        "return cut(size * oracle_price",
        (MARGIN_TESTS,),
    ),
    Mutant(
        "liquidation forgotten",
        f"{SIMULATION}/venue.py",
        "            self.liquidator.act(present, client)\n",
        "            pass\n",
        ("tests/simulation/test_liquidation.py",),
    ),
    Mutant(
        "maintenance without the tiers' deductions",
        f"{SIMULATION}/tiers.py",
        "return cut_micro(notional * tier.rate - tier.deduction, tier.scale)\n",
        "return cut_micro(notional * tier.rate, tier.scale)\n",
        (
            "tests/simulation/test_ledger_histories.py::test_the_ledger_is_the_account_recomputed_from_nothing_after_every_event",
        ),
    ),
    Mutant(
        "action limit never asked",
        f"{SIMULATION}/client.py",
        "                action.words = self.gate.judge(ts, _KIND[action.kind], action.count)\n",
        "                pass\n",
        ("tests/simulation/test_action_limits.py",),
    ),
    Mutant(
        "queue ignored",
        f"{SIMULATION}/fill.py",
        "order.queue = QueuePosition(float(displayed))\n",
        "order.queue = QueuePosition(0.0)\n",
        ("tests/simulation/test_fills.py",),
    ),
    Mutant(
        "mids shifted 1 s into the future",
        f"{SIMULATION}/mids.py",
        "queue.append((ts_ns + horizon * SECOND_NS, fill_index))\n",
        "queue.append((ts_ns + (horizon + 1) * SECOND_NS, fill_index))\n",
        ("tests/simulation/test_book_mids_latency.py",),
    ),
    Mutant(
        "skew sign flipped",
        f"{QUOTING}/skew.py",
        "return (away, toward) if delta > 0 else (toward, away)\n",
        "return (away, toward) if delta < 0 else (toward, away)\n",
        ("tests/quoting/test_skew.py",),
    ),
    Mutant(
        "skew sign flipped, seen from the whole strategy",
        f"{QUOTING}/skew.py",
        "return (away, toward) if delta > 0 else (toward, away)\n",
        "return (away, toward) if delta < 0 else (toward, away)\n",
        (f"{LIFE_TESTS}::test_inventory_moves_both_quotes_to_its_own_relief",),
    ),
    Mutant(
        "margin halved",
        "amm500_nautilus/margin/tables.py",
        "        return notional / leverage\n",
        "        return notional / leverage / 2\n",
        (MARGIN_TESTS,),
    ),
    Mutant(
        "margin ratio halved",
        "amm500_nautilus/margin/tables.py",
        "position_margin = notional / leverage\n",
        "position_margin = notional / leverage / 2\n",
        (MARGIN_TESTS,),
    ),
    Mutant(
        "markout sign flipped in the report",
        "amm500_nautilus/report/statistics.py",
        "gains = side[use] * (mid_later[use] - price[use])",
        "gains = side[use] * (price[use] - mid_later[use])",
        ("tests/report/test_statistics.py",),
    ),
    Mutant(
        "markout sign flipped in the quoting",
        f"{QUOTING}/fills.py",
        "side * (self._mid - price) / price",
        "side * (price - self._mid) / price",
        ("tests/quoting/test_fills.py",),
    ),
    Mutant(
        "bids rounded towards fair value",
        f"{QUOTING}/ladder.py",
        "out = [floor(fair_ticks - distance * unit) for distance in distances]\n",
        "out = [ceil(fair_ticks - distance * unit) for distance in distances]\n",
        ("tests/quoting/test_ladder.py",),
    ),
    Mutant(
        "latency ignored",
        f"{SIMULATION}/client.py",
        "arrival = self._action_due[kind] = now + self._latency.draw()\n",
        "arrival = self._action_due[kind] = now\n",
        (f"{VENUE_TESTS}::test_an_order_takes_effect_after_its_latency_to_the_nanosecond",),
    ),
    Mutant(
        "duplicate-fill guard removed",
        STRATEGY,
        "if trade in self._seen_trades:\n",
        "if False:\n",
        (f"{EVENT_TESTS}::test_a_fill_after_the_cancel_is_booked_exactly_once",),
    ),
    Mutant(
        "post-only dropped",
        STRATEGY,
        "post_only=not change.ioc,\n",
        "post_only=False,\n",
        (f"{EVENT_TESTS}::test_a_post_only_rejection_is_followed_by_a_quote_from_the_fresh_book",),
    ),
    Mutant(
        "filled size forgotten in a modify",
        STRATEGY,
        "order.filled_qty.raw + change.lots * self._lot_raw",
        "change.lots * self._lot_raw",
        (f"{EVENT_TESTS}::test_a_modify_after_a_partial_fill_asks_for_filled_and_left_together",),
    ),
    Mutant(
        "orders left behind at the stop",
        STRATEGY,
        "if open_count := len(self._orders.slots):\n",
        "if open_count := 0:\n",
        (f"{LIFE_TESTS}::test_a_stop_leaves_nothing_behind_however_slow_the_venue",),
    ),
    Mutant(
        "stale book ignored",
        f"{QUOTING}/fair.py",
        'out.append("book_stale")\n',
        "pass\n",
        ("tests/quoting/test_fair.py::test_a_book_without_messages_for_two_seconds_is_stale",),
    ),
    Mutant(
        "an order that fills in part goes back behind the level",
        f"{SIMULATION}/fill.py",
        "order.queue.ahead = 0.0\n",
        "pass\n",
        ("tests/simulation/test_fills.py",),
    ),
    Mutant(
        "funding by the engine's clock",
        f"{SIMULATION}/venue.py",
        "present = ts_now - self._lag_ns\n",
        "present = ts_now\n",
        (VENUE_TESTS,),
    ),
    Mutant(
        "taker cap of the hour ignored",
        f"{QUOTING}/rebalance.py",
        "take = min(lots, allowed, self.room_lots)\n",
        "take = min(lots, allowed)\n",
        ("tests/quoting/test_rebalance.py",),
    ),
    Mutant(
        "a close of more than there is",
        f"{QUOTING}/closing.py",
        "        most -= lots\n",
        "        pass\n",
        ("tests/quoting/test_engine.py",),
    ),
    Mutant(
        "budget reserve ignored",
        "amm500_nautilus/risk/budget.py",
        "spendable = remaining - self.kept(resting)\n",
        "spendable = remaining\n",
        ("tests/risk/test_budget.py",),
    ),
)


def run_tests(copy: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Run tests of the copy and return pytest's exit code with what it printed."""
    sources = [copy, copy / "adapters", copy / "catalog"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(path) for path in sources),
        # a mutant of equal size within one second would be hidden by the last one's byte code
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    line = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=line", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        line, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def make_copy(folder: Path) -> None:
    """Copy what the tests need of the source tree."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=SKIPPED)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def mutate(copy: Path, mutant: Mutant) -> str:
    """Put the mutant into the copy and return the file's own text; exit when the text to replace is not there once."""
    path = copy / mutant.path
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        print(
            f"{mutant.name}: {mutant.path} holds {text.count(mutant.old)} times {mutant.old!r}; exactly one is needed"
        )
        raise SystemExit(STALE)
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return text


def caught_by(copy: Path, mutant: Mutant) -> str | None:
    """Return the test that turned red, None when all stayed green; exit when the tests did not run."""
    text = mutate(copy, mutant)
    try:
        code, said = run_tests(copy, mutant.tests)
    finally:
        (copy / mutant.path).write_text(text, encoding="utf-8")
    if code == 0:
        return None
    found = FAILED.search(said)
    if code != 1 or found is None:
        print(f"{mutant.name}: the tests could not be run\n{said}")
        raise SystemExit(STALE)
    return found.group(1).rpartition("::")[2]


def chosen(names: list[str]) -> list[Mutant]:
    """Return the mutants of those names, all when none is named."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"no mutant is called {', '.join(sorted(unknown))}")
        raise SystemExit(STALE)
    return [mutant for mutant in MUTANTS if not names or mutant.name in names]


def main() -> int:
    """Run the chosen mutants and return the exit code."""
    parser = argparse.ArgumentParser(description="Break the code in named ways; each must turn a test red.")
    parser.add_argument("names", nargs="*", help="mutants to run; all when left out")
    mutants = chosen(parser.parse_args().names)
    began = time.monotonic()
    survived: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        make_copy(copy)
        for mutant in mutants:
            # a text that has moved is found before anything runs
            (copy / mutant.path).write_text(mutate(copy, mutant), encoding="utf-8")
        code, said = run_tests(
            copy, tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
        )
        if code != 0:
            print(f"the tests are not green without any mutant\n{said}")
            return SURVIVED
        width = max(len(mutant.name) for mutant in mutants)
        print(f"{'mutant':<{width}}  caught by")
        for mutant in mutants:
            test = caught_by(copy, mutant)
            print(f"{mutant.name:<{width}}  {test or 'NOTHING: it survived'}", flush=True)
            if test is None:
                survived.append(mutant.name)
    print(f"{len(mutants) - len(survived)} of {len(mutants)} caught in {time.monotonic() - began:.0f} s")
    return SURVIVED if survived else 0


if __name__ == "__main__":
    sys.exit(main())
