"""
Order by order, where two runs over the same market differ: plain rows in, counted differences out.

A decision is one moment at which a strategy chose what to send. Two runs are compared decision by decision: what both sent with the same
side, price and size is equal, whatever its id; what is left over is paired by side and ladder level, and the rest is missing or surplus.
"""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from typing import NamedTuple


PLACE: Final = "place"
MODIFY: Final = "modify"
CANCEL: Final = "cancel"

PRICE: Final = "price"
SIZE: Final = "size"
PRICE_AND_SIZE: Final = "price and size"
MISSING: Final = "missing"
SURPLUS: Final = "surplus"

# a difference that nothing known accounts for
UNEXPLAINED: Final = "unexplained"


class OrderRow(NamedTuple):
    """
    One thing sent: ``kind`` is place, modify or cancel, side +1 buys, price in ticks, size in lots.

    A cancel carries price and size of what it takes away; ``level`` is the ladder's, negative outside it.
    """

    kind: str
    side: int
    ticks: int
    lots: int
    level: int = 0


class FillRow(NamedTuple):
    """One fill: exchange time in ns, the order's id, side +1 bought, price in ticks, size in lots, fee in collateral units."""

    ts_ns: int
    order: str
    side: int
    ticks: int
    lots: int
    fee: float = 0.0
    is_maker: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One order that the two runs do not share, or do not share alike; ``number`` is the decision's, from 0."""

    number: int
    ts_ns: int
    what: str
    recorded: OrderRow | None
    replayed: OrderRow | None
    cause: str


@dataclass(slots=True)
class OrderParity:
    """
    How many orders are equal.

    ``recorded`` and ``replayed`` count places and modifies, ``equal`` those of the same side, price and size; cancels are counted
    apart. ``share`` is equal over the larger of the two.
    """

    decisions: int = 0
    equal_decisions: int = 0
    recorded: int = 0
    replayed: int = 0
    equal: int = 0
    recorded_cancels: int = 0
    replayed_cancels: int = 0
    equal_cancels: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Equal orders over all; 1 where neither run sent any."""
        most = max(self.recorded, self.replayed)
        return self.equal / most if most else 1.0

    @property
    def causes(self) -> dict[str, int]:
        """Differences by cause, the most frequent first."""
        return dict(Counter(each.cause for each in self.differences).most_common())

    @property
    def unexplained(self) -> int:
        """Differences without a cause."""
        return sum(each.cause == UNEXPLAINED for each in self.differences)

    def add(
        self,
        ts_ns: int,
        recorded: Sequence[OrderRow],
        replayed: Sequence[OrderRow],
        cause: str = UNEXPLAINED,
    ) -> bool:
        """Compare one decision, give its differences this cause, and return whether it was equal."""
        number = self.decisions
        self.decisions += 1
        self.recorded += sum(row.kind != CANCEL for row in recorded)
        self.replayed += sum(row.kind != CANCEL for row in replayed)
        self.recorded_cancels += sum(row.kind == CANCEL for row in recorded)
        self.replayed_cancels += sum(row.kind == CANCEL for row in replayed)
        equal, pairs = pair_rows(recorded, replayed)
        self.equal += sum(row.kind != CANCEL for row in equal)
        self.equal_cancels += sum(row.kind == CANCEL for row in equal)
        for ours, theirs in pairs:
            self.differences.append(
                Difference(number, ts_ns, what_differs(ours, theirs), ours, theirs, cause)
            )
        self.equal_decisions += not pairs
        return not pairs

    def to_plain(self) -> dict[str, Any]:
        """Return the figures and every difference as plain values."""
        return {
            "decisions": self.decisions,
            "equal_decisions": self.equal_decisions,
            "orders": {"recorded": self.recorded, "replayed": self.replayed, "equal": self.equal},
            "cancels": {
                "recorded": self.recorded_cancels,
                "replayed": self.replayed_cancels,
                "equal": self.equal_cancels,
            },
            "share": self.share,
            "causes": self.causes,
            "differences": [plain_difference(each) for each in self.differences],
        }


def plain_difference(each: Difference) -> dict[str, Any]:
    """Return a difference as plain values."""
    return {
        "decision": each.number,
        "ts_ns": each.ts_ns,
        "what": each.what,
        "recorded": None if each.recorded is None else each.recorded._asdict(),
        "replayed": None if each.replayed is None else each.replayed._asdict(),
        "cause": each.cause,
    }


def pair_rows(
    recorded: Sequence[OrderRow], replayed: Sequence[OrderRow]
) -> tuple[list[OrderRow], list[tuple[OrderRow | None, OrderRow | None]]]:
    """Return the rows that are equal (side, price, size; a cancel only with a cancel), and the rest paired by side and level."""
    left = list(replayed)
    equal: list[OrderRow] = []
    rest: list[OrderRow] = []
    for row in recorded:
        found = next((each for each in left if _same(row, each)), None)
        if found is None:
            rest.append(row)
        else:
            left.remove(found)
            equal.append(row)
    pairs: list[tuple[OrderRow | None, OrderRow | None]] = []
    for row in rest:
        partner = next((each for each in left if _partner(row, each)), None)
        if partner is not None:
            left.remove(partner)
        pairs.append((row, partner))
    pairs.extend((None, row) for row in left)
    return equal, pairs


def what_differs(recorded: OrderRow | None, replayed: OrderRow | None) -> str:
    """Return in a word how two rows differ."""
    if recorded is None:
        return SURPLUS
    if replayed is None:
        return MISSING
    if recorded.ticks == replayed.ticks:
        return SIZE
    return PRICE if recorded.lots == replayed.lots else PRICE_AND_SIZE


def _same(one: OrderRow, other: OrderRow) -> bool:
    is_cancel = one.kind == CANCEL
    return is_cancel == (other.kind == CANCEL) and one[1:4] == other[1:4]


def _partner(one: OrderRow, other: OrderRow) -> bool:
    if (one.kind == CANCEL) != (other.kind == CANCEL):
        return False
    return one.side == other.side and one.level == other.level


@dataclass(frozen=True, slots=True)
class OrderFills:
    """What one order was filled in each of two runs, in lots; ``cause`` says why not the same."""

    order: str
    side: int
    ticks: int
    recorded: int
    replayed: int
    cause: str = ""


@dataclass(slots=True)
class FillParity:
    """
    How far the fills of two runs agree.

    ``recorded_lots`` and ``replayed_lots`` are totals, ``shared_lots`` what the same order was filled in both. ``gap`` is the
    difference of the totals over the recorded one, ``overlap`` the shared lots over the larger total.
    """

    recorded: int = 0
    replayed: int = 0
    recorded_lots: int = 0
    replayed_lots: int = 0
    shared_lots: int = 0
    orders: list[OrderFills] = field(default_factory=list)

    @property
    def gap(self) -> float:
        """The total's difference as a share of what was recorded; 0 where nothing was filled in either."""
        if not self.recorded_lots:
            return 0.0 if not self.replayed_lots else 1.0
        return abs(self.replayed_lots - self.recorded_lots) / self.recorded_lots

    @property
    def overlap(self) -> float:
        """Lots that the same order was filled in both, over the larger total."""
        most = max(self.recorded_lots, self.replayed_lots)
        return self.shared_lots / most if most else 1.0

    @property
    def causes(self) -> dict[str, int]:
        """Orders whose fills differ, by cause."""
        return dict(Counter(each.cause for each in self.orders).most_common())

    def to_plain(self) -> dict[str, Any]:
        """Return the figures and each order that differs as plain values."""
        return {
            "fills": {"recorded": self.recorded, "replayed": self.replayed},
            "lots": {
                "recorded": self.recorded_lots,
                "replayed": self.replayed_lots,
                "same_order": self.shared_lots,
            },
            "gap": self.gap,
            "overlap": self.overlap,
            "causes": self.causes,
            "differences": [asdict(each) for each in self.orders],
        }


def compare_fills(
    recorded: Iterable[FillRow], replayed: Iterable[FillRow], causes: Mapping[str, str] | None = None
) -> FillParity:
    """
    Compare the fills of two runs order by order.

    Parameters
    ----------
    recorded, replayed : Iterable of FillRow
        The fills; the same order must have the same id in both.
    causes : mapping of str to str, optional
        Why an order's fills differ, by its id, as far as that is known.

    """
    parity = FillParity()
    ours, theirs = list(recorded), list(replayed)
    parity.recorded, parity.replayed = len(ours), len(theirs)
    lots: dict[str, list[int]] = {}
    about: dict[str, FillRow] = {}
    for place, rows in enumerate((ours, theirs)):
        for row in rows:
            lots.setdefault(row.order, [0, 0])[place] += row.lots
            about.setdefault(row.order, row)
    for order, (one, other) in lots.items():
        parity.recorded_lots += one
        parity.replayed_lots += other
        parity.shared_lots += min(one, other)
        if one != other:
            row = about[order]
            cause = (causes or {}).get(order, UNEXPLAINED)
            parity.orders.append(OrderFills(order, row.side, row.ticks, one, other, cause))
    return parity


def pnl_of(fills: Iterable[FillRow], *, tick: float, lot: float, end_mid: float) -> dict[str, float]:
    """
    Return what fills earned, a position left over valued at a mid, in collateral units.

    Parameters
    ----------
    fills : Iterable of FillRow
        The fills.
    tick, lot : float
        The market's units.
    end_mid : float
        The mid at the end, in collateral units.

    """
    cash = fees = position = 0.0
    for fill in fills:
        size = fill.side * fill.lots * lot
        cash -= size * fill.ticks * tick
        position += size
        fees += fill.fee
    trading = cash + position * end_mid
    return {"trading": trading, "fees": -fees, "total": trading - fees, "position": position}
