"""The difference between the plan and what rests: the fewest changes worth an action, the most valuable first."""

from collections.abc import Sequence

from amm500_nautilus.quoting.config import OrderKeepingConfig
from amm500_nautilus.quoting.types import ASKS
from amm500_nautilus.quoting.types import BIDS
from amm500_nautilus.quoting.types import BudgetView
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Change
from amm500_nautilus.quoting.types import Level
from amm500_nautilus.quoting.types import Levels
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.quoting.types import RestingOrder


TOUCH_LEVEL = -1
URGENT = 1e12
MISSING = 3.0
SIZE_CAP = 0.9
STANDING_KEPT = 1_000


class OrderKeeper:
    """
    Decide which resting orders to keep, move, cancel, and which to add.

    An order stays while its price lies within the tolerance bands of its planned level (a share of that level's distance from
    fair value, narrower towards it) and its size within the size tolerance. What does not fit its own level may fill another;
    what fits none is moved in place; only a surplus is canceled. An order on a withdrawn side, or one that has become
    exposed, goes at once whatever the budget.
    """

    def __init__(self, config: OrderKeepingConfig, touch_tolerance_ticks: int) -> None:
        self._config = config
        self._touch_tolerance = touch_tolerance_ticks
        # the level that an order was last found to fit instead of its own: a hint that saves the search, nothing more
        self._standing: dict[str, int] = {}
        # changes of the last call that the budget's pace held back
        self.held_back = 0

    def changes(
        self,
        ts_ns: int,
        *,
        bids: Sequence[Level],
        asks: Sequence[Level],
        fair_ticks: float,
        resting: Sequence[RestingOrder],
        budget: BudgetView,
    ) -> tuple[Change, ...]:
        """Return the changes to send now, at most ``budget.max_changes`` besides urgent cancels."""
        self.held_back = 0
        pass_ = _SidePass(self._config, self._touch_tolerance, ts_ns, fair_ticks, budget, self._standing)
        if (
            type(bids) is Levels
            and type(asks) is Levels
            and len(resting) == len(bids.ticks) + len(asks.ticks)
            and pass_.keeps_all(bids, asks, resting)
        ):
            return ()
        if len(self._standing) > STANDING_KEPT:
            self._standing.clear()
        bid, ask = _Held(bids), _Held(asks)
        pass_.sort(bid, ask, resting)
        pass_.run(1, bid, ask.best)
        pass_.run(-1, ask, bid.best)
        out = pass_.out
        if not out:
            return ()
        out.sort(key=_by_value)
        if budget.cancel_only:
            cancels = [change for _, change in out if type(change) is Cancel]
            return (*cancels, *_allowed_places(out, budget))
        sent = _limited(out, budget.max_changes)
        self.held_back = len(out) - len(sent)
        return sent


def _by_value(item: tuple[float, Change]) -> float:
    return -item[0]


def _allowed_places(ranked: list[tuple[float, Change]], budget: BudgetView) -> list[Change]:
    """Return the new orders that a spent budget lets through: to a side that shows nothing."""
    if not budget.max_changes:
        return []
    sides = budget.place_sides
    places = [
        change
        for _, change in ranked
        if type(change) is Place and sides & (BIDS if change.side > 0 else ASKS)
    ]
    return [*places[: budget.max_changes]]


def _limited(ranked: list[tuple[float, Change]], limit: int) -> tuple[Change, ...]:
    """Keep the first ``limit`` changes, and every urgent one: risk does not wait for the budget's pace."""
    return tuple(change for place, (value, change) in enumerate(ranked) if place < limit or value >= URGENT)


class _Held:
    """What rests on one side: by level, without a level, at the touch; which levels are well filled; our best price."""

    __slots__ = ("best", "kept", "levels", "loose", "slots", "touch", "touch_level")

    def __init__(self, levels: Sequence[Level]) -> None:
        levels = levels.made() if type(levels) is Levels else levels
        self.touch_level = levels[0] if levels and levels[0].reduce_only else None
        self.levels = levels if self.touch_level is None else levels[1:]
        self.slots: list[RestingOrder | None] = [None] * len(self.levels)
        self.loose: list[RestingOrder] = []
        self.touch: list[RestingOrder] = []
        # a bit for each level whose order stays
        self.kept = 0
        self.best = 0


class _SidePass:
    """One cycle's settings, applied to each side in turn."""

    def __init__(
        self,
        config: OrderKeepingConfig,
        touch_tolerance: int,
        ts_ns: int,
        fair_ticks: float,
        budget: BudgetView,
        standing: dict[str, int],
    ) -> None:
        multiple = budget.tolerance_multiple
        if multiple <= 1.0:
            multiple = 1.0
            self._near, self._far, self._size = (
                config.near_tolerance,
                config.far_tolerance,
                config.size_tolerance,
            )
        else:
            self._near = min(config.near_tolerance * multiple, config.near_cap)
            self._far = min(config.far_tolerance * multiple, config.far_cap)
            self._size = min(config.size_tolerance * multiple, max(config.size_tolerance, SIZE_CAP))
        self._least = config.min_tolerance_ticks
        self._touch_tolerance = round(touch_tolerance * multiple)
        self._exposed = config.exposed_fraction
        self._old_ns = ts_ns - int(config.min_age_secs * 1e9)
        self._fair = fair_ticks
        self._cancel_only = budget.cancel_only
        self.out: list[tuple[float, Change]] = []
        self._standing = standing
        # prices of the side at hand that an order of ours holds or is sent to
        self._taken: set[int] = set()

    def keeps_all(self, bids: Levels, asks: Levels, resting: Sequence[RestingOrder]) -> bool:
        """
        Return whether every order fits its own level, no two the same: the usual cycle, in which nothing is sent.

        False decides nothing, it only asks for the full pass. There must be as many orders as levels.
        """
        fair, near, far, least, size = self._fair, self._near, self._far, self._least, self._size
        standing = self._standing
        bid_ticks, bid_lots, ask_ticks, ask_lots = bids.ticks, bids.lots, asks.ticks, asks.lots
        bid_count, ask_count = len(bid_ticks), len(ask_ticks)
        bid_seen = ask_seen = 0
        for order in resting:
            if order.reduce_only or order.pending:
                return False
            at = standing.get(order.key, order.level) if standing else order.level
            if at < 0:
                return False
            if order.side > 0:
                if at >= bid_count:
                    return False
                bid_seen |= 1 << at
                price, lots = bid_ticks[at], bid_lots[at]
                off = order.price_ticks - price
                distance = fair - price
            else:
                if at >= ask_count:
                    return False
                ask_seen |= 1 << at
                price, lots = ask_ticks[at], ask_lots[at]
                off = price - order.price_ticks
                distance = price - fair
            if off and not -least <= off <= least and not -far * distance <= off <= near * distance:
                return False
            odd = order.lots - lots
            if odd and not -size * lots <= odd <= size * lots:
                return False
        return bid_seen + 1 == 1 << bid_count and ask_seen + 1 == 1 << ask_count

    def sort(self, bid: _Held, ask: _Held, resting: Sequence[RestingOrder]) -> None:
        """Give each order the level it was meant for; one in flight keeps it whatever its price."""
        fair, near, far, least, size = self._fair, self._near, self._far, self._least, self._size
        standing = self._standing
        bid_levels, bid_slots, bid_count = bid.levels, bid.slots, len(bid.slots)
        ask_levels, ask_slots, ask_count = ask.levels, ask.slots, len(ask.slots)
        bid_kept = ask_kept = bid_best = 0
        ask_best = 1 << 62
        # the two sides written out: this loop is a fifth of the cycle
        for order in resting:
            price = order.price_ticks
            if order.reduce_only:
                (bid if order.side > 0 else ask).touch.append(order)
            at = standing.get(order.key, order.level) if standing else order.level
            if order.side > 0:
                if price > bid_best:
                    bid_best = price
                if order.reduce_only:
                    continue
                if not 0 <= at < bid_count or bid_slots[at] is not None:
                    bid.loose.append(order)
                    continue
                bid_slots[at] = order
                level = bid_levels[at]
                off = price - level.price_ticks
                distance = fair - level.price_ticks
            else:
                if price < ask_best:
                    ask_best = price
                if order.reduce_only:
                    continue
                if not 0 <= at < ask_count or ask_slots[at] is not None:
                    ask.loose.append(order)
                    continue
                ask_slots[at] = order
                level = ask_levels[at]
                off = level.price_ticks - price
                distance = level.price_ticks - fair
            if -least <= off <= least or -far * distance <= off <= near * distance:
                lots = level.lots
                odd = order.lots - lots
                fits = not odd or -size * lots <= odd <= size * lots
            else:
                fits = False
            if fits or order.pending:
                if order.side > 0:
                    bid_kept |= 1 << at
                else:
                    ask_kept |= 1 << at
        bid.kept, bid.best = bid_kept, bid_best
        ask.kept, ask.best = ask_kept, ask_best

    def run(self, side: int, held: _Held, other_best: int) -> None:
        """Append one side's changes; none of them may reach ``other_best``, our own best order across."""
        if held.touch_level is None and not held.levels:
            gone = [*held.loose, *held.touch]
            self.out.extend((2 * URGENT, Cancel(order.key)) for order in gone if not order.pending)
            return
        if held.touch_level is not None or held.touch:
            self._keep_touch(side, held.touch_level, held.touch, other_best)
        if held.levels:
            self._keep_ladder(side, held, other_best)
        else:
            self.out.extend((URGENT, Cancel(order.key)) for order in held.loose if not order.pending)

    def _keep_touch(
        self, side: int, level: Level | None, orders: list[RestingOrder], other_best: int
    ) -> None:
        free = [order for order in orders if not order.pending]
        held = len(free) != len(orders)
        if level is None or held:
            self.out.extend((URGENT, Cancel(order.key)) for order in free)
            return
        if not free:
            if not _crosses(side, level.price_ticks, other_best):
                place = Place(side, level.price_ticks, level.lots, TOUCH_LEVEL, reduce_only=True)
                self.out.append((URGENT / 2, place))
            return
        first = free[0]
        self.out.extend((URGENT, Cancel(order.key)) for order in free[1:])
        moved = abs(first.price_ticks - level.price_ticks)
        resized = abs(first.lots - level.lots) > self._size * level.lots
        old = first.since_ns <= self._old_ns
        if (
            (moved > self._touch_tolerance or resized)
            and old
            and not _crosses(side, level.price_ticks, other_best)
        ):
            self.out.append((URGENT / 2, Modify(first.key, level.price_ticks, level.lots, TOUCH_LEVEL)))

    def _keep_ladder(self, side: int, held: _Held, other_best: int) -> None:
        kept = held.kept
        if kept + 1 == 1 << len(held.slots) and not held.loose:
            return
        loose = held.loose
        self._taken = {order.price_ticks for order in (*held.slots, *loose) if order is not None}
        open_levels: list[int] = []
        for index, order in enumerate(held.slots):
            if kept >> index & 1:
                continue
            open_levels.append(index)
            if order is not None:
                loose.append(order)
        self._settle(side, held.levels, open_levels, loose, other_best)

    def _band(self, side: int, index: int, level: Level) -> tuple[int, int, float, float, int, float]:
        """Return a level with the range of price differences and of size differences that fit it."""
        distance = (self._fair - level.price_ticks) * side
        inner, outer = self._near * distance, self._far * distance
        least, lots = self._least, level.lots
        return (
            index,
            level.price_ticks,
            -max(least, outer),
            max(least, inner),
            lots,
            self._size * lots,
        )

    def _settle(
        self,
        side: int,
        levels: Sequence[Level],
        open_levels: list[int],
        loose: list[RestingOrder],
        other_best: int,
    ) -> None:
        """Fill open levels from loose orders: what fits stays, what is in flight or too young waits, the rest moves."""
        near_limit = self._fair - self._exposed * (self._fair - levels[0].price_ticks)
        movable: list[tuple[bool, RestingOrder]] = []
        waiting: list[RestingOrder] = []
        bands = [self._band(side, index, levels[index]) for index in open_levels] if loose else []
        for order in loose:
            if order.pending:
                waiting.append(order)
                continue
            price, lots = order.price_ticks, order.lots
            found = -1
            for at, (index, target, low, high, wanted, slack) in enumerate(bands):
                if low <= (price - target) * side <= high and -slack <= lots - wanted <= slack:
                    if index == order.level:
                        # its own level, which another had taken: nobody else has to move for it
                        found = at
                        break
                    if found < 0:
                        found = at
            if found >= 0:
                index = bands.pop(found)[0]
                open_levels.remove(index)
                self._standing[order.key] = index
            else:
                exposed = (price - near_limit) * side > 0
                if exposed or order.since_ns <= self._old_ns:
                    movable.append((exposed, order))
                else:
                    waiting.append(order)
        if not movable and len(waiting) >= len(open_levels):
            return  # every open level waits for an order
        for order in waiting:
            if open_levels:
                nearest = min(open_levels, key=lambda k: abs(levels[k].price_ticks - order.price_ticks))
                open_levels.remove(nearest)
        self._move(side, levels, open_levels, movable, other_best)

    def _move(
        self,
        side: int,
        levels: Sequence[Level],
        open_levels: list[int],
        movable: list[tuple[bool, RestingOrder]],
        other_best: int,
    ) -> None:
        out = self.out
        left: list[tuple[bool, RestingOrder]] = []
        for exposed, order in movable:
            if order.level in open_levels:
                open_levels.remove(order.level)
                self._modify(side, levels, order.level, exposed, order, other_best)
            else:
                left.append((exposed, order))
        for exposed, order in left:
            if open_levels:
                self._modify(side, levels, open_levels.pop(0), exposed, order, other_best)
            elif exposed or not self._cancel_only:
                out.append((2 * URGENT if exposed else float(order.lots), Cancel(order.key)))
        for index in open_levels:
            level = levels[index]
            price = self._free_price(side, level.price_ticks)
            if not _crosses(side, price, other_best):
                self._taken.add(price)
                value = MISSING * level.lots / (1 + 0.1 * index)
                out.append((value, Place(side, price, level.lots, index)))

    def _free_price(self, side: int, price: int, own: int = 0) -> int:
        """Return the price, or the next one away from fair value that no order of ours holds: two at one price share a queue."""
        while price in self._taken and price != own:
            price -= side
        return price

    def _modify(
        self,
        side: int,
        levels: Sequence[Level],
        index: int,
        exposed: bool,
        order: RestingOrder,
        other_best: int,
    ) -> None:
        level = levels[index]
        price = self._free_price(side, level.price_ticks, order.price_ticks)
        self._standing.pop(order.key, None)
        if exposed and (self._cancel_only or _crosses(side, price, other_best)):
            self.out.append((2 * URGENT, Cancel(order.key)))
            return
        if _crosses(side, price, other_best):
            return
        if price == order.price_ticks and abs(order.lots - level.lots) <= self._size * level.lots:
            # every price between here and its level is held by another of ours
            return
        self._taken.add(price)
        distance = max(1.0, (self._fair - price) * side)
        off = (order.price_ticks - price) * side
        # an order too near loses money, one too far only misses a fill
        severity = min(
            MISSING,
            abs(off) / distance * (8.0 if off > 0 else 2.0) + abs(order.lots - level.lots) / level.lots,
        )
        value = URGENT if exposed else severity * level.lots / (1 + 0.1 * index)
        self.out.append((value, Modify(order.key, price, level.lots, index)))


def _crosses(side: int, price: int, other_best: int) -> bool:
    return (price - other_best) * side >= 0
