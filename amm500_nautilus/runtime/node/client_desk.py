"""What the modes have in common whose orders the adapter's own execution client sends: local, testnet and live."""

from typing import Any

from amm500_nautilus.runtime.node.books import LiveBooks
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.market import MarketNow


class ClientDesk:
    """
    A desk with an account at the venue.

    Parameters
    ----------
    endpoint : Endpoint
        The venue and its account.
    market : MarketNow
        What is quoted.

    """

    # the venue's book shows our own orders
    nets_own_orders = True
    # the venue's, however often a process ends
    new_account = ""

    def __init__(self, endpoint: Endpoint, market: MarketNow) -> None:
        self.endpoint = endpoint
        self.market = market

    def open(self, node: Any, maker: Any) -> LiveBooks:  # noqa: ARG002 - one shape for all modes
        """Return the books: the node's own client executes."""
        kernel = node.kernel
        return LiveBooks(self.market.instrument, kernel.msgbus, kernel.clock.timestamp_ns, self.market.touch)

    def watch(self) -> None:
        """Do nothing: the client looks after itself."""

    def account_words(self, node: Any) -> str:
        """Return the account's address, equity and leverage."""
        account = node.cache.account_for_venue(self.market.instrument.id.venue)
        state = {} if account is None or account.last_event is None else account.last_event.info
        equity, leverage = state.get("equity", "unknown"), state.get("leverage", "?")
        return f"account {self.endpoint.user}, equity {equity}, leverage {leverage}"
