"""What the venue lets through: the address's action limit and the weight of its IP address."""

from decimal import Decimal

from amm500_nautilus.risk.address import BATCH_MAX
from amm500_nautilus.risk.address import WEIGHT_PRICE
from amm500_nautilus.risk.address import AddressMeter
from amm500_nautilus.risk.address import WeightMeter
from amm500_nautilus.risk.address import exchange_weight


# the venue answers with this status and no sentence of its own
OVER_IP_WEIGHT = "429 Too Many Requests"


class ActionGate:
    """
    Judge signed actions as they arrive (venue docs, rate limits and user limits).

    Parameters
    ----------
    growth_mode : bool
        Whether traded volume earns a tenth of an action a unit.
    initial_actions : int
        What the address may send before it has traded.

    """

    def __init__(self, *, growth_mode: bool, initial_actions: int) -> None:
        self.address = AddressMeter(growth_mode=growth_mode, initial_actions=initial_actions)
        self._weight = WeightMeter()
        self.refused_actions = 0
        self.refused_items = 0

    def judge(self, ts_ns: int, kind: str, count: int) -> str | None:
        """
        Return the venue's words if an action of ``count`` items is refused; None if it is taken.

        What holds more items than a batch may is counted as several actions that share one fate, the first refusal's.
        """
        left = count
        while left > 0:
            batch = min(left, BATCH_MAX)
            words = self._judge_batch(ts_ns, kind, batch)
            if words is not None:
                self.refused_actions += 1
                self.refused_items += count
                return words
            left -= batch
        return None

    def _judge_batch(self, ts_ns: int, kind: str, batch: int) -> str | None:
        weight = exchange_weight(batch)
        if self._weight.left(ts_ns) < weight:
            return OVER_IP_WEIGHT
        self._weight.spend(ts_ns, weight)
        return self.address.submit(ts_ns, kind, batch)

    def buy(self, actions: int) -> Decimal:
        """Credit bought actions and return what they cost, in USDC."""
        self.address.on_bought(actions)
        return actions * Decimal(str(WEIGHT_PRICE))
