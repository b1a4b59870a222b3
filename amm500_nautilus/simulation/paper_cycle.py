"""The commands of one decision, held until all of them have come, so that they travel as the actions a venue would be sent."""

from typing import Any
from typing import Final

from nautilus_trader.execution.messages import BatchCancelOrders
from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.execution.messages import SubmitOrderList


SUBMIT: Final = 0
CHANGE: Final = 1
CANCEL: Final = 2

# a cycle's commands come within a turn or two of the loop
QUIET_NS: Final = 1_000_000
LIMIT_NS: Final = 3_000_000


class CommandCycle:
    """
    Holds commands until the cycle's marker counts no more of them, a moment is quiet, or the longest wait is over.

    In a live node cancels reach the client a turn of the loop before modifies and submits. The simulated venue sends the commands of
    one instant as one action of each kind, as the venue's own client does; without this each command would be an action.

    Parameters
    ----------
    quiet_ns : int
        Without another command for so long, what is there goes.
    limit_ns : int
        And at the latest so long after the first of it.

    """

    def __init__(self, *, quiet_ns: int = QUIET_NS, limit_ns: int = LIMIT_NS) -> None:
        self._quiet_ns = quiet_ns
        self._limit_ns = limit_ns
        self._commands: list[tuple[int, Any]] = []
        self._first_ns = self._last_ns = 0
        self._seen = [0, 0, 0]
        self._expected = [0, 0, 0]
        self._is_marked = False

    def __len__(self) -> int:
        return len(self._commands)

    def add(self, command: Any, now_ns: int) -> None:
        """Hold a command that came at ``now_ns`` of a monotonic clock."""
        if not self._commands:
            self._first_ns = now_ns
        self._last_ns = now_ns
        kind, count = _kind_of(command)
        self._seen[kind] += count
        self._commands.append((kind, command))

    def mark_end(self, submits: int, modifies: int, cancels: int) -> None:
        """Note how many commands a cycle has sent; once so many have come, all of them go without waiting."""
        for kind, more in enumerate((submits, modifies, cancels)):
            self._expected[kind] += more
        self._is_marked = True

    def due_ns(self) -> int | None:
        """Return when what is held goes, on the monotonic clock; 0 for at once, None with nothing held."""
        if not self._commands:
            return None
        if self._is_marked and all(s >= e for s, e in zip(self._seen, self._expected, strict=True)):
            return 0
        return min(self._last_ns + self._quiet_ns, self._first_ns + self._limit_ns)

    def drain(self) -> list[Any]:
        """Return the commands in the order in which a venue is sent them: cancels, changes, new orders; a cycle ends here."""
        held, self._commands = self._commands, []
        self._seen, self._expected, self._is_marked = [0, 0, 0], [0, 0, 0], False
        fresh = {key for kind, command in held if kind == SUBMIT for key in _orders_of(command)}
        # what concerns an order that has not been sent yet goes behind it
        early = [row for row in held if row[0] != SUBMIT and fresh.isdisjoint(_orders_of(row[1]))]
        late = [row for row in held if row[0] != SUBMIT and not fresh.isdisjoint(_orders_of(row[1]))]
        submits = [row for row in held if row[0] == SUBMIT]
        early.sort(key=lambda row: -row[0])
        return [command for _, command in (*early, *submits, *late)]


def _kind_of(command: Any) -> tuple[int, int]:
    if isinstance(command, SubmitOrder):
        return SUBMIT, 1
    if isinstance(command, SubmitOrderList):
        return SUBMIT, len(command.order_list.orders)
    if isinstance(command, ModifyOrder):
        return CHANGE, 1
    return CANCEL, len(command.cancels) if isinstance(command, BatchCancelOrders) else 1


def _orders_of(command: Any) -> tuple[Any, ...]:
    if isinstance(command, SubmitOrder):
        return (command.order.client_order_id,)
    if isinstance(command, SubmitOrderList):
        return tuple(order.client_order_id for order in command.order_list.orders)
    if isinstance(command, BatchCancelOrders):
        return tuple(cancel.client_order_id for cancel in command.cancels)
    key = getattr(command, "client_order_id", None)
    return () if key is None else (key,)
