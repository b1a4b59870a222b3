"""Plays many scenarios in processes of their own and writes what came of them as a table."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.live.faults.catalogue import FAMILIES
from tests.live.faults.catalogue import Way
from tests.live.faults.catalogue import find
from tests.live.faults.play import Outcome
from tests.live.faults.play import play


Job = tuple[str, int]
# the families of one way of playing, in words
WAYS = {
    Way.ENGINE: "the execution client with message bus, cache, portfolio, risk and execution engine",
    Way.NODE: "a whole `TradingNode`",
    Way.RESTART: "a `TradingNode` that is stopped, and a second one with no memory but the state folder",
    Way.KILL: "a process with a `TradingNode` that gets SIGKILL while it trades, and a second node in the same way",
}
HEAD = """\
# Faults

Written by `python -m tests.live.faults`, which plays every scenario below and takes some minutes; `make soak` plays them too and compares
this file, `make test` plays {few} of them.

A scenario is a name and a seed. A random trader (ladders, modifies, cancels, IOC and reduce-only orders, takers beside them) works against
the loopback venue, whose market moves through its orders, while the fault strikes; it goes on until the fault has struck. Throughout, the
engine's own periodic checks of orders, of orders in flight and of positions run every 0.5 to 2 s. Then everything settles, and these are
compared; any difference would be in the last column:

- open orders: number, price, size left, side; no order in doubt, in flight or pending; none resting that the engine does not know
- fills: every one of the venue's once, by time and trade id, with its fees; none that is not the venue's (none inferred by the engine);
  the filled size of each order
- position, and the balance of the account's report
- limits: no request or action beyond the venue's limits for an address; no false alarm of a second trader or of a differing position
- after a cancel of everything: no order of ours at the venue, and all of the above again

A second node after a restart or a kill starts with an empty cache: what was held before the fills that can still be told comes as one
trade of the adapter at the start, at the price that makes the position the venue's, and the engine makes up none. Fills of the first life
count when either life was told of them, fills of the second each once.

{ways}

{count} scenarios, {same} without a difference.

| scenario | seed | what struck | differences |
|---|---|---|---|
"""


def jobs(names: Sequence[str] = (), seeds: int | None = None) -> list[Job]:
    """Return the scenarios of these families (all without names), each with its own number of seeds or the given one."""
    return [
        (family.name, seed)
        for family in FAMILIES
        if not names or family.name in names
        for seed in range(1, (seeds or family.seeds) + 1)
    ]


def outcomes(wanted: Sequence[Job], *, workers: int | None = None) -> Iterator[Outcome]:
    """Play scenarios side by side and return what came of them, in the order given."""
    count = workers or (os.cpu_count() or 1) + 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_quiet) as pool:
        yield from pool.map(_one, wanted)


def render(found: Iterable[Outcome], *, few: int) -> str:
    """Return the file."""
    rows = list(found)
    ways = Counter(row.way for row in rows)
    head = HEAD.format(
        few=few,
        ways="\n".join(f"- {ways[way.value]} played by {words}" for way, words in WAYS.items()),
        count=len(rows),
        same=sum(not row.differences for row in rows),
    )
    lines = []
    for row in rows:
        struck = "; ".join(row.struck) or "the process ended"
        lines.append(f"| {row.name} | {row.seed} | {struck} | {'; '.join(row.differences) or 'none'} |\n")
    return head + "".join(lines)


def _one(job: Job) -> Outcome:
    name, seed = job
    family = find(name)
    try:
        return play(family, seed)
    except Exception as error:  # noqa: BLE001 - a scenario that breaks is one that failed, not the end of the others
        return Outcome(name, seed, family.way.value, (), (f"it broke: {type(error).__name__}: {error}",))


def _quiet() -> None:
    # nodes say on both what went wrong, which is here what was meant to
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
