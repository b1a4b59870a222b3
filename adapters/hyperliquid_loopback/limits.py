"""
What an address and an IP address may send, in the venue's figures and words.

See https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits. Every time is the venue's own, ms UTC, and
is given by the caller.
"""

from collections import deque
from decimal import ROUND_FLOOR
from decimal import Decimal
from typing import Final

from amm500_nautilus.margin.fees import counted_volume
from amm500_nautilus.risk.address import BATCH_MAX
from amm500_nautilus.risk.address import CANCEL_EXTRA
from amm500_nautilus.risk.address import CANCEL_MULTIPLE
from amm500_nautilus.risk.address import EXPIRED_COST
from amm500_nautilus.risk.address import INITIAL_ACTIONS
from amm500_nautilus.risk.address import OPEN_ORDERS
from amm500_nautilus.risk.address import OPEN_ORDERS_MAX
from amm500_nautilus.risk.address import OVER_WEIGHT
from amm500_nautilus.risk.address import exchange_weight
from hyperliquid_hip3.constants import WEIGHT_PER_MINUTE
from hyperliquid_hip3.constants import info_weight
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json


MINUTE_MS: Final = 60_000
SLOW_MS: Final = 10_000
OPEN_ORDERS_STEP: Final = Decimal(5_000_000)
# collateral units for one more action (protocol: exchange, reserveRequestWeight)
ACTION_PRICE: Final = Decimal("0.0005")

MAX_CONNECTIONS: Final = 10
MAX_NEW_CONNECTIONS: Final = 30
MAX_SUBSCRIPTIONS: Final = 1_000
MAX_USERS: Final = 10
MAX_MESSAGES: Final = 2_000
MAX_POSTS: Final = 100

TOO_MANY_USERS: Final = "Cannot track more than 10 total users."
TOO_MANY_CHANNELS: Final = "Cannot subscribe to more than 1000 channels."
# the venue's exact words were never seen; the status name is tooManyOpenOrdersRejected
TOO_MANY_ORDERS: Final = "Too many open orders."
EMPTY: Final = "Orders are empty."

# the list whose items an action is made of
ITEMS: Final[dict[str, str]] = {
    "order": "orders",
    "batchModify": "modifies",
    "cancel": "cancels",
    "cancelByCloid": "cancels",
}
CANCELS: Final = frozenset(("cancel", "cancelByCloid", "scheduleCancel"))
# transfers and approvals are signed by a wallet, not sent by a program, and bought actions must be had when none are left
FREE: Final = frozenset(
    (
        "usdClassTransfer",
        "sendAsset",
        "agentSendAsset",
        "userSetAbstraction",
        "approveAgent",
        "reserveRequestWeight",
    )
)


def action_size(action: Json) -> int:
    """Return how many items an action has: the orders, modifies or cancels of a batch, 1 for anything else."""
    field = ITEMS.get(str(action.get("type")))
    items = None if field is None else action.get(field)
    return len(items) if isinstance(items, list) else 1


def action_weight(action: Json) -> int:
    """Return the IP weight of a signed action: 1, and one more for every 40 items."""
    return exchange_weight(action_size(action))


class AddressLimits:
    """
    What one address has sent and may send.

    An address may have sent one action for each collateral unit of credited volume, and 10,000 to begin with; volume of a
    growth-mode coin counts a tenth, bought actions do not count, cancels are taken up to a larger allowance. Above it one
    action in ten seconds is taken; refused ones neither count nor put that off.

    Parameters
    ----------
    initial : int, default 10000
        What a new address may send.

    """

    def __init__(self, initial: int = INITIAL_ACTIONS) -> None:
        self.initial = initial
        self.sent = 0
        self.bought = 0
        self.refused = 0
        # what was really traded, and what the limit credits of it
        self.traded = ZERO
        self.credited = ZERO
        self._slow_ms = -SLOW_MS

    @property
    def cap(self) -> int:
        """``nRequestsCap``: the actions that volume and the start allow."""
        return self.initial + int(self.credited.to_integral_value(rounding=ROUND_FLOOR))

    @property
    def used(self) -> int:
        """``nRequestsUsed``: the actions sent, less those bought, 0 at least."""
        return max(0, self.sent - self.bought)

    @property
    def surplus(self) -> int:
        """``nRequestsSurplus``: the bought actions not yet used."""
        return max(0, self.bought - self.sent)

    def on_volume(self, value: Decimal, *, growth: bool) -> None:
        """Credit a fill of ``value`` collateral units."""
        self.traded += value
        self.credited += counted_volume(value, growth_mode=growth)

    def buy(self, actions: int) -> None:
        """Add bought actions."""
        self.bought += actions

    def admit(self, action: Json, now_ms: int) -> str | None:
        """
        Take a signed action; return None when it is taken, else the venue's words.

        A batch of more than 200 items is refused whatever was sent before; a batch of n items counts n.
        """
        kind, count = str(action.get("type")), action_size(action)
        if kind in ITEMS and count == 0:
            return EMPTY
        if count > BATCH_MAX:
            return OVER_WEIGHT
        if kind in FREE:
            return None
        cap = self.cap
        allowed = min(cap + CANCEL_EXTRA, CANCEL_MULTIPLE * cap) if kind in CANCELS else cap
        after = self.sent + count - self.bought
        if after > allowed:
            if count != 1 or now_ms - self._slow_ms < SLOW_MS:
                self.refused += 1
                return too_many(after, allowed, self.credited)
            self._slow_ms = now_ms
        self.sent += count
        return None

    def on_expired(self, action: Json) -> None:
        """Charge an action that came after its own ``expiresAfter``: five times its items."""
        self.sent += EXPIRED_COST * action_size(action)

    @property
    def max_orders(self) -> int:
        """Orders that may rest: 1,000 and one more for each 5 million traded, 5,000 at most."""
        return min(OPEN_ORDERS_MAX, OPEN_ORDERS + int(self.traded // OPEN_ORDERS_STEP))

    def order_refusal(self, resting: int, *, reduce_only: bool = False, trigger: bool = False) -> str | None:
        """
        Return why one more order may not rest beside ``resting`` others; None when it may.

        From 1,000 on reduce-only and trigger orders are refused whatever the cap.
        """
        if resting >= self.max_orders or (resting >= OPEN_ORDERS and (reduce_only or trigger)):
            return TOO_MANY_ORDERS
        return None


def too_many(sent: int, allowed: int, volume: Decimal) -> str:
    """Return the venue's words for an address above its limit (protocol: error strings, recorded)."""
    return (
        f"Too many cumulative requests sent ({sent} > {allowed}) for cumulative volume traded ${volume:.2f}. "
        "Place taker orders to free up 1 request per USDC traded."
    )


class _Minute:
    """Amounts of the last minute, to the millisecond."""

    def __init__(self) -> None:
        self._amounts: deque[tuple[int, int]] = deque()
        self._sum = 0

    def within(self, now_ms: int) -> int:
        while self._amounts and self._amounts[0][0] <= now_ms - MINUTE_MS:
            self._sum -= self._amounts.popleft()[1]
        return self._sum

    def add(self, now_ms: int, amount: int) -> None:
        self._amounts.append((now_ms, amount))
        self._sum += amount


class IpLimits:
    """
    What one IP address may ask for: HTTP weight in a minute, and WebSocket connections, subscriptions, messages and posts.

    Parameters
    ----------
    weight : int, default 1200
        HTTP weight of a minute.
    connections, new_connections, subscriptions, users, messages, posts : int
        The venue's figures; smaller ones make a test short.

    """

    def __init__(
        self,
        *,
        weight: int = WEIGHT_PER_MINUTE,
        connections: int = MAX_CONNECTIONS,
        new_connections: int = MAX_NEW_CONNECTIONS,
        subscriptions: int = MAX_SUBSCRIPTIONS,
        users: int = MAX_USERS,
        messages: int = MAX_MESSAGES,
        posts: int = MAX_POSTS,
    ) -> None:
        self.weight_limit = weight
        self.max_connections = connections
        self.max_new_connections = new_connections
        self.max_subscriptions = subscriptions
        self.max_users = users
        self.max_messages = messages
        self.max_posts = posts
        self._weight = _Minute()
        self._new = _Minute()
        self._messages = _Minute()
        self._subscriptions: dict[int, dict[str, str | None]] = {}
        self._posts = 0
        self._next = 1

    # HTTP

    def weight_used(self, now_ms: int) -> int:
        """Return the weight of the last minute."""
        return self._weight.within(now_ms)

    def take(self, now_ms: int, weight: int) -> bool:
        """Count a request and return True, or return False (429) when its weight is above what is left; then nothing counts."""
        if self._weight.within(now_ms) + weight > self.weight_limit:
            return False
        self._weight.add(now_ms, weight)
        return True

    def take_info(self, now_ms: int, request_type: str) -> bool:
        """Count an info request before it is answered; see ``rows`` for what its reply adds."""
        return self.take(now_ms, info_weight(request_type))

    def take_action(self, now_ms: int, action: Json) -> bool:
        """Count a signed action."""
        return self.take(now_ms, action_weight(action))

    def rows(self, now_ms: int, request_type: str, rows: int) -> None:
        """Add the weight of a reply's rows, which may lead above the limit: the request was answered by then."""
        more = info_weight(request_type, rows) - info_weight(request_type)
        if more:
            self._weight.add(now_ms, more)

    # WebSocket

    @property
    def connections(self) -> int:
        """Sockets that are open."""
        return len(self._subscriptions)

    @property
    def users(self) -> int:
        """Distinct users of the subscriptions of all sockets."""
        return len(self._users())

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all sockets."""
        return sum(len(mine) for mine in self._subscriptions.values())

    def connect(self, now_ms: int) -> int | None:
        """Return a number for a new socket, or None when there are too many, or too many new ones within the minute."""
        if self.connections >= self.max_connections or self._new.within(now_ms) >= self.max_new_connections:
            return None
        self._new.add(now_ms, 1)
        socket, self._next = self._next, self._next + 1
        self._subscriptions[socket] = {}
        return socket

    def disconnect(self, socket: int) -> None:
        """Forget a socket and its subscriptions; one that is unknown is no error."""
        self._subscriptions.pop(socket, None)

    def subscribe(self, socket: int, key: str, user: str | None = None) -> str | None:
        """
        Count a subscription; return None, or the words of the error frame, and then nothing counts.

        Parameters
        ----------
        socket : int
            From ``connect``.
        key : str
            What tells the subscription from others of the socket.
        user : str, optional
            The address subscribed to.

        """
        if self.subscriptions >= self.max_subscriptions:
            return TOO_MANY_CHANNELS
        who = None if user is None else user.lower()
        users = self._users()
        if who is not None and who not in users and len(users) >= self.max_users:
            return TOO_MANY_USERS
        self._subscriptions[socket][key] = who
        return None

    def unsubscribe(self, socket: int, key: str) -> None:
        """Forget a subscription; one that is unknown is no error."""
        self._subscriptions.get(socket, {}).pop(key, None)

    def message(self, now_ms: int) -> bool:
        """Count a message from a client; False when it is above the minute's limit."""
        if self._messages.within(now_ms) >= self.max_messages:
            return False
        self._messages.add(now_ms, 1)
        return True

    def post(self, number: int) -> str | None:
        """Count a post in flight; return the words of the error frame when there are too many, and then it does not count."""
        if self._posts >= self.max_posts:
            return f"too many pending post requests id={number}"
        self._posts += 1
        return None

    def post_done(self) -> None:
        """Forget a post that was answered."""
        self._posts = max(0, self._posts - 1)

    def _users(self) -> set[str]:
        return {user for mine in self._subscriptions.values() for user in mine.values() if user is not None}
