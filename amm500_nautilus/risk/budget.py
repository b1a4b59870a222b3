"""Our side of the venue's limits: what the address may still send, and at what pace to spend it."""

from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any
from typing import NamedTuple

from amm500_nautilus.quoting.types import ASKS
from amm500_nautilus.quoting.types import BIDS
from amm500_nautilus.quoting.types import BudgetView
from amm500_nautilus.risk.address import CANCEL
from amm500_nautilus.risk.address import GROWTH_SHARE
from amm500_nautilus.risk.address import MICRO
from amm500_nautilus.risk.address import MODIFY
from amm500_nautilus.risk.address import PLACE
from amm500_nautilus.risk.address import SLOW_SECS
from amm500_nautilus.risk.address import WEIGHT_LIMIT
from amm500_nautilus.risk.address import WEIGHT_PRICE
from amm500_nautilus.risk.address import WeightMeter
from amm500_nautilus.risk.address import cancel_limit
from amm500_nautilus.risk.address import exchange_weight
from amm500_nautilus.risk.address import open_order_cap


__all__ = ["GROWTH_SHARE", "ActionBudget", "BudgetConfig", "rank"]

NS_PER_SECOND = 1_000_000_000
# what was sent so long before the venue was asked has arrived by then, or never will: an action without an answer ends after 15 s
ARRIVED_NS = 20 * NS_PER_SECOND
# a mark a second, over twice the time between two readings
MARKS = 128
# a spent budget while a side shows nothing: little is filled, and nothing else earns actions. Then one order goes at a time, to that
# side, with this pause between them: of half of the reserve; or also of the venue's one in ten seconds beyond the limit, where it takes
# off from the position, or the position is so small a share of the exposure limit that an emergency would need no more than one order
LEAN_NS = 60 * NS_PER_SECOND
LEAN_DELTA = 0.02
# a purchase that the venue refused, or never answered, is not asked for again before
BUY_AGAIN_NS = 600 * NS_PER_SECOND
BOUGHT = "bought"
REFUSED = "refused"


class _Mark(NamedTuple):
    """The counters just before the first thing of a second was counted."""

    ts_ns: int
    sent: int
    bought: int
    credited_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """
    How the address's actions are metered and spent.

    Parameters
    ----------
    enabled : bool
        Whether the budget is obeyed; off only for benchmarks.
    initial_actions : int
        Actions a new address starts with (10,000 on Hyperliquid, protocol: rate limits).
    credit_per_usd : float
        Actions earned by each unit of collateral traded; in growth mode a tenth of it counts.
    reserve : int
        Actions kept back for IOC orders of an emergency, on top of the cancels of what rests.
    horizon_hours : float
        What remains is spent evenly over this span.
    burst : int
        The most actions that may be saved up and sent at once.
    max_tolerance_multiple : float
        How far the order diff's bands may widen as the budget runs low.
    weight_limit, weight_reserve : int
        Weight a minute of the IP address, and what of it is kept for cancels.
    buy_weight : bool
        Whether actions may be bought with ``reserveRequestWeight``.
    buy_spend_cap : float
        The most that may be spent on it, in USDC; each action costs 0.0005.
    buy_batch : int
        Actions bought at once.
    buy_below : int
        Spendable actions under which some are bought.

    """

    enabled: bool = True
    initial_actions: int = 10_000
    credit_per_usd: float = 1.0
    reserve: int = 20
    horizon_hours: float = 24.0
    burst: int = 90
    max_tolerance_multiple: float = 8.0
    weight_limit: int = WEIGHT_LIMIT
    weight_reserve: int = 200
    buy_weight: bool = False
    buy_spend_cap: float = 0.0
    buy_batch: int = 1_000
    buy_below: int = 500

    def __post_init__(self) -> None:
        if self.initial_actions < 0 or self.reserve < 0 or self.burst < 1:
            raise ValueError("budget: initial_actions, reserve must be at least 0 and burst at least 1")
        if self.credit_per_usd < 0:
            raise ValueError(f"budget.credit_per_usd: {self.credit_per_usd} is negative; allowed: 0 or more")
        if self.horizon_hours <= 0:
            raise ValueError(f"budget.horizon_hours: {self.horizon_hours} is not positive; allowed: above 0")
        if self.max_tolerance_multiple < 1:
            raise ValueError("budget.max_tolerance_multiple: must be at least 1")
        if not 0 <= self.weight_reserve < self.weight_limit:
            raise ValueError(
                f"budget.weight_reserve: {self.weight_reserve} is not within the weight limit; "
                f"allowed: 0 and more, under weight_limit ({self.weight_limit})"
            )
        if self.buy_spend_cap < 0 or self.buy_batch < 1 or self.buy_below < 0:
            raise ValueError("budget: buy_spend_cap, buy_below must be at least 0 and buy_batch at least 1")
        if self.buy_weight and self.buy_spend_cap == 0:
            raise ValueError(
                "budget.buy_spend_cap: 0 with buy_weight on buys nothing; allowed: above 0, in USDC"
            )


class ActionBudget:
    """
    Meter actions against the venue's limits and pace them.

    The limit is ``initial_actions + credit * traded volume + bought``; each order, modify or cancel of a batch counts one, and
    cancels have a larger allowance (protocol: address limits). Tokens accrue at the pace at which the remaining budget lasts
    ``horizon_hours``; a cycle may send what has accrued. As tokens fall the tolerance multiple rises, so that only the requotes
    worth most are sent. What the cancels of everything resting and the reserve would take is not spent on quotes, with one exception
    that keeps a spent budget from being the end: while a side shows nothing, one order for it goes a minute, until a fill earns more.

    The address may have sent before us, or beside us: where the account tells the venue's own count (``on_report``), that holds.
    """

    def __init__(self, config: BudgetConfig, *, growth_mode: bool = False) -> None:
        self._config = config
        self.credit = config.credit_per_usd * (GROWTH_SHARE if growth_mode else 1.0)
        self._tokens = float(config.burst)
        self._last_ns = 0
        self._slow_ns = self._acted_ns = -(1 << 62)
        self._credited_micro = 0
        self._weight = WeightMeter(config.weight_limit)
        self.sent = 0
        self.restored = 0
        self.bought = 0
        self.volume = 0.0
        # what the venue counts beyond our own count: of actions used, and of actions allowed
        self._used_beyond = 0
        self._limit_beyond = 0.0
        self._told_ns = 0
        self._marks: deque[_Mark] = deque(maxlen=MARKS)
        # purchases: asked for and not answered, and never answered at all, which may have cost their price
        self._asked = 0
        self._asked_ns = -BUY_AGAIN_NS
        self._unsure = 0

    # -- what there is -------------------------------------------------------------------------------------------------

    @property
    def limit(self) -> float:
        """Actions earned and bought so far, sent or not."""
        earned = self._config.initial_actions + self._credited_micro / MICRO
        return earned + self.bought + self._limit_beyond

    @property
    def used(self) -> int:
        """Actions that the address has used: our own, and what the venue counts beside."""
        return self.sent + self._used_beyond

    @property
    def remaining(self) -> float:
        """Actions the address may still send; infinite when the budget is off."""
        return self.limit - self.used if self._config.enabled else float("inf")

    @property
    def spent(self) -> float:
        """What bought actions have cost, in USDC."""
        return self.bought * WEIGHT_PRICE

    def kept(self, resting: int) -> int:
        """Return the actions kept for the cancels of everything resting and for emergency orders."""
        return self._config.reserve + resting

    def open_order_room(self, resting: int) -> int:
        """Return how many more orders may rest."""
        return max(0, open_order_cap(self.volume) - resting)

    def admits(self, ts_ns: int, kind: str, count: int = 1) -> bool:
        """
        Return whether the venue would take ``count`` items of a kind now, reserve and pace left aside: for emergencies.

        Beyond the limit it takes one action in ten seconds.
        """
        if not self._config.enabled or self.used + count <= self._allowed(kind):
            return True
        return count == 1 and ts_ns - self._slow_ns >= SLOW_SECS * NS_PER_SECOND

    def _allowed(self, kind: str) -> float:
        limit = floor(self.limit)
        # also the venue's own types: cancel, cancelByCloid
        return cancel_limit(limit) if kind.startswith(CANCEL) else limit

    # -- events --------------------------------------------------------------------------------------------------------

    def on_volume(self, notional: float) -> None:
        """Credit traded volume, in collateral units."""
        self.volume += notional
        # cut as the venue's own count is, so that the two never differ by a float's last digit
        self._credited_micro += floor(notional * self.credit * MICRO)

    def on_actions(self, count: int, kind: str = PLACE, ts_ns: int = 0) -> None:
        """
        Count actions sent.

        Parameters
        ----------
        count : int
            Items of the signed action.
        kind : str
            ``place``, ``modify``, ``cancel``, or the venue's type of an action.
        ts_ns : int
            Time of sending, for the weight limit and the slow pace; 0 leaves both out.

        """
        if ts_ns:
            if kind in (PLACE, MODIFY):
                # cancels and the client's own actions do not put an order off
                self._acted_ns = ts_ns
            self._mark(ts_ns)
            self._weight.spend(ts_ns, exchange_weight(count))
            if self.used + count > self._allowed(kind):
                self._slow_ns = ts_ns
        self.sent += count
        # urgent cancels go whatever the pace; they must not silence the quotes for hours after
        self._tokens = max(0.0, self._tokens - count)

    def on_request(self, ts_ns: int, weight: int) -> None:
        """Count the weight of a request that is no action."""
        self._weight.spend(ts_ns, weight)

    def weight_to_buy(self, resting: int) -> int:
        """Return how many actions to buy now; 0 unless asked for, needed, and within the spend cap."""
        config = self._config
        if not config.buy_weight or self.remaining - self.kept(resting) >= config.buy_below:
            return 0
        # a float of 0.0005 divides unevenly; the cap is whole actions
        left = floor(config.buy_spend_cap / WEIGHT_PRICE + 1e-6) - self.bought - self._unsure - self._asked
        return max(0, min(config.buy_batch, left))

    def ask_weight(self, ts_ns: int, resting: int) -> int:
        """
        Return how many actions to ask the venue for now, and note that they are asked for; ``on_answer`` says what became of them.

        One purchase at a time: the next waits for the answer, and for ten minutes after a refusal or without an answer.
        """
        if self._asked_ns > ts_ns - BUY_AGAIN_NS or not (count := self.weight_to_buy(resting)):
            return 0
        # never answered: it may have been bought, and paid for
        self._unsure += self._asked
        self._asked, self._asked_ns = count, ts_ns
        return count

    def on_answer(self, answer: tuple[int, str]) -> None:
        """Take what became of a purchase: how many actions, and ``bought``, ``refused``, or anything else where nobody knows."""
        count, outcome = answer
        self._asked = max(0, self._asked - count)
        if outcome == BOUGHT:
            self.on_bought(count)
            self._asked_ns = -BUY_AGAIN_NS
        elif outcome != REFUSED:
            # what it gave, the venue's own count will show
            self._unsure += count

    def on_bought(self, count: int) -> None:
        """Credit bought actions."""
        self.bought += count

    def on_report(self, info: Mapping[str, Any]) -> None:
        """
        Take the venue's own count of the address from a report of the account, once for each reading.

        ``actions_used`` is what the address has used, less what it has bought (negative while bought ones are left),
        ``actions_limit`` what volume and the start allow, ``actions_ns`` when the venue said so. A report without them changes nothing.

        The venue's word is the least that is used. It does not know what was still on its way, so that our own count stands as long as
        the word and what was sent in the seconds before it reach that far; what is counted beyond never arrived, and is given back.
        """
        if "actions_used" not in info or (ts_ns := int(info["actions_ns"])) <= self._told_ns:
            return
        used, limit = int(info["actions_used"]), float(info["actions_limit"])
        before = self._since(ts_ns - ARRIVED_NS)
        own = max(self.used - self.bought, used - (self.bought - before.bought))
        if self._marks and before.ts_ns <= ts_ns - ARRIVED_NS:
            own = min(own, used + self.sent - before.sent)
        self._used_beyond = own + self.bought - self.sent
        earned = self.limit - self.bought
        recent = (self._credited_micro - before.credited_micro) / MICRO
        self._limit_beyond += min(max(earned, limit), limit + recent) - earned
        self._told_ns = ts_ns
        self._mark(ts_ns)

    def _mark(self, ts_ns: int) -> None:
        """Note the counters once a second, from the first word of the venue on: nobody else asks for them."""
        if not self._told_ns or (self._marks and ts_ns < self._marks[-1].ts_ns + NS_PER_SECOND):
            return
        self._marks.append(_Mark(ts_ns, self.sent, self.bought, self._credited_micro))

    def _since(self, ts_ns: int) -> _Mark:
        """Return the last mark up to a time; the first one, or the counters of now, where there is none."""
        found = _Mark(ts_ns, self.sent, self.bought, self._credited_micro)
        for mark in reversed(self._marks):
            found = mark
            if mark.ts_ns <= ts_ns:
                break
        return found

    # -- the cycle -----------------------------------------------------------------------------------------------------

    def view(
        self, ts_ns: int, resting: int, *, shown: tuple[int, int] = (1, 1), delta: float = 1.0
    ) -> BudgetView:
        """
        Return what this cycle may send.

        Parameters
        ----------
        ts_ns : int
            Engine time.
        resting : int
            Resting orders, whose cancels are kept.
        shown : tuple of int
            How many bids and how many asks rest.
        delta : float
            Position as a share of the exposure limit.

        """
        config = self._config
        if not config.enabled:
            return BudgetView()
        self._mark(ts_ns)
        remaining = self.remaining
        spendable = remaining - self.kept(resting)
        if not self._last_ns:
            # after a restart too
            self._acted_ns = max(self._acted_ns, ts_ns)
        elapsed_s = (ts_ns - self._last_ns) / NS_PER_SECOND if self._last_ns else 0.0
        self._last_ns = ts_ns
        bare = (0 if shown[0] else BIDS) + (0 if shown[1] else ASKS)
        is_due = bare > 0 and ts_ns - self._acted_ns >= LEAN_NS
        if spendable < 1:
            sides = self._lean_sides(resting, bare, delta, spendable) if is_due else 0
            return BudgetView(
                remaining=remaining,
                tolerance_multiple=config.max_tolerance_multiple,
                max_changes=int(sides > 0),
                cancel_only=True,
                place_sides=sides,
            )
        pace = spendable / (config.horizon_hours * 3_600.0)
        self._tokens = min(float(config.burst), self._tokens + pace * elapsed_s)
        fullness = max(0.0, min(1.0, self._tokens / config.burst))
        multiple = 1.0 + (config.max_tolerance_multiple - 1.0) * (1.0 - fullness) ** 2
        # nearly spent, it would be hours before the pace lets one go
        changes = max(int(is_due), min(int(self._tokens), int(spendable)))
        if self._weight.left(ts_ns) <= config.weight_reserve:
            changes = 0
        return BudgetView(
            remaining=remaining, tolerance_multiple=multiple, max_changes=changes, cancel_only=False
        )

    def _lean_sides(self, resting: int, bare: int, delta: float, spendable: float) -> int:
        """Return the sides, of those that show nothing, that one order may go to beyond what may be spent."""
        if self.used + 1 + self.kept(resting + 1) > self._allowed(CANCEL):
            # what rests must always be within reach of a cancel
            return 0
        if abs(delta) <= LEAN_DELTA or spendable + self._config.reserve // 2 >= 1:
            return bare
        return bare & (ASKS if delta > 0 else BIDS)

    # -- restart -------------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, float]:
        """Return the counters, for a restart."""
        return {
            "sent": float(self.sent),
            "volume": self.volume,
            "tokens": self._tokens,
            "credited_micro": float(self._credited_micro),
            "bought": float(self.bought),
            "used_beyond": float(self._used_beyond),
            "limit_beyond": self._limit_beyond,
            "unsure": float(self._unsure + self._asked),
        }

    def load(self, state: Mapping[str, float]) -> None:
        """Take up the counters of an earlier session."""
        self.sent = self.restored = int(state["sent"])
        self.volume = state["volume"]
        self._tokens = state["tokens"]
        # older states hold the volume alone
        self._credited_micro = int(state.get("credited_micro", floor(self.volume * self.credit * MICRO)))
        self.bought = int(state.get("bought", 0))
        self._used_beyond = int(state.get("used_beyond", 0))
        self._limit_beyond = state.get("limit_beyond", 0.0)
        self._unsure = int(state.get("unsure", 0))


def rank[T](
    changes: Sequence[T],
    worth: Sequence[float],
    *,
    costs: Sequence[int] | None = None,
    price: float = 0.0,
    limit: int | None = None,
) -> tuple[T, ...]:
    """
    Return the changes worth their actions, the most worth per action first.

    Parameters
    ----------
    changes : sequence
        Whatever may be sent.
    worth : sequence of float
        What each is worth, in any one unit.
    costs : sequence of int, optional
        Actions each takes; one without it.
    price : float
        What an action is worth elsewhere: a change that brings no more per action is left out.
    limit : int, optional
        Actions to spend; a change that does not fit is left out, a cheaper one after it may still go.

    Raises
    ------
    ValueError
        If the sequences differ in length or a cost is not positive.

    """
    spent = costs if costs is not None else [1] * len(changes)
    if not len(changes) == len(worth) == len(spent) or any(cost < 1 for cost in spent):
        raise ValueError("rank: changes, worth and costs must be of one length, and every cost 1 or more")
    per_action = [value / cost for value, cost in zip(worth, spent, strict=True)]
    left = float("inf") if limit is None else limit
    out: list[T] = []
    for index in sorted(range(len(changes)), key=lambda at: -per_action[at]):
        if per_action[index] <= price or spent[index] > left:
            continue
        left -= spent[index]
        out.append(changes[index])
    return tuple(out)
