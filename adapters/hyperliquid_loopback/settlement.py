"""What takes positions away without the book: settlement of a halted or delisted market, and liquidation."""

from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Final

from hyperliquid_loopback.holdings import Holder
from hyperliquid_loopback.liquidations import LiquidationOrder
from hyperliquid_loopback.liquidations import backstop_address
from hyperliquid_loopback.liquidations import fill_mark
from hyperliquid_loopback.matching import Matching
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Filled
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import Liquidated
from hyperliquid_loopback.types import Order
from hyperliquid_loopback.types import letter
from hyperliquid_loopback.types import number
from hyperliquid_loopback.types import trade_id
from hyperliquid_loopback.types import transaction_hash
from hyperliquid_loopback.universe import Universe


if TYPE_CHECKING:
    from hyperliquid_loopback.accounts import Accounts

# read-side name of the venue's own market orders (protocol: exchange, order)
LIQUIDATION_TIF: Final = "LiquidationMarket"
# a liquidation takes what there is: its limit is beyond any price that the bands let in
SWEEP_MULTIPLE: Final = 10
# names known from clients, not from a recorded payload (protocol: info endpoints, userFills)
SETTLED: Final = "Settlement"
DELEVERAGED: Final = "Auto-Deleveraging"


class Settlement:
    """
    Closes positions by the venue's own hand.

    Parameters
    ----------
    universe : Universe
        The listing.
    accounts : Accounts
        Whose positions.
    core : Matching
        For the books and the events.

    """

    def __init__(self, universe: Universe, accounts: "Accounts", core: Matching) -> None:
        self._universe = universe
        self._accounts = accounts
        self._core = core

    def cancel_all(self, coin: str, status: str) -> None:
        """Cancel everybody's orders of a market, the house's ladder too."""
        for order in self._core.store.all_open(coin):
            self._core.cancel(order, status, by_venue=True)
        self._core.markets[coin].book.clear_house()

    def settle(self, coin: str) -> None:
        """
        Close every position of a market at its mark, without a fee.

        Source: the venue's docs, HIP-3 deployer actions (haltTrading settles positions at the mark).
        """
        state = self._core.markets[coin].state
        price = state.mark if state.mark is not None else state.oracle
        if price is None:
            return
        for user in self._accounts.users_with_position(coin):
            holder = self._accounts.holder(user)
            size = self._accounts.position(user, coin)
            if holder is None or not size:
                continue
            if holder.house:
                self._accounts.closed(holder, [coin])
            else:
                self._close(holder, coin, size, price, SETTLED)
        self._core.forget_house(coin)
        state.open_interest = ZERO

    def deleverage(self, user: str, coin: str) -> Decimal:
        """
        Close a user's position at the mark against one that is under water; return what was held before, 0 without a position.

        The house takes the other side, and the user's orders stay. Source: the venue's docs, trading/auto-deleveraging.
        """
        state = self._core.markets[coin].state
        price = state.mark if state.mark is not None else state.oracle
        size = self._accounts.position(user, coin)
        if price is None or not size:
            return ZERO
        before = self._accounts.open_interest(coin)
        self._close(self._accounts.holders[user], coin, size, price, DELEVERAGED)
        self._accounts.taken(
            backstop_address(self._universe.dex_index(self._universe.dex_of(coin))), coin, size
        )
        state.open_interest += self._accounts.open_interest(coin) - before
        return size

    def liquidate(self, wanted: LiquidationOrder) -> None:
        """
        Do one step of a liquidation: cancel the user's orders, then sweep the book or hand the position over.

        Source: the venue's docs, liquidations.
        """
        if wanted.notice is not None:
            self._core.events.append(Liquidated(wanted.user, wanted.notice))
        for order in self._core.store.open_on(wanted.user, self._universe.dex_of(wanted.coin)):
            self._core.cancel(order, "liquidatedCanceled", by_venue=True)
        if wanted.is_market:
            self._market_order(wanted)
            return
        held = {coin: self._accounts.open_interest(coin) for coin in self._accounts.coins_of(wanted.user)}
        rows = self._accounts.take_over(wanted.user, wanted.coin, act=wanted.act, ts_ms=self._core.now_ms)
        self._core.events += [Filled(user, row) for user, row in rows]
        for coin, before in held.items():
            # what the backstop takes may close what it holds
            self._core.markets[coin].state.open_interest += self._accounts.open_interest(coin) - before

    def _market_order(self, wanted: LiquidationOrder) -> None:
        core = self._core
        market = core.markets[wanted.coin]
        mark = market.state.reference
        if market.book.side(-wanted.side).best is None or mark is None:
            # nobody to trade with: the next block tries again
            return
        order = Order(
            oid=core.store.new_oid(),
            user=wanted.user,
            coin=wanted.coin,
            side=wanted.side,
            price=mark * SWEEP_MULTIPLE if wanted.side > 0 else mark / SWEEP_MULTIPLE,
            size=wanted.size,
            orig_size=wanted.size,
            tif=LIQUIDATION_TIF,
            reduce_only=True,
            cloid=None,
            ts_ms=core.now_ms,
        )
        core.tx_hash = transaction_hash("liquidation", wanted.user, wanted.coin, core.now_ms)
        core.liquidation = fill_mark(self._accounts, wanted.user, wanted.coin)
        try:
            core.store.add(order)
            core.sweep(order)
        finally:
            core.liquidation = None
        core.finish(order, "filled" if order.size <= 0 else "canceled")

    def _close(self, holder: Holder, coin: str, size: Decimal, price: Decimal, direction: str) -> None:
        row = self._closing_row(holder.address, coin, size, price, direction)
        account = self._accounts.known(holder, coin, price)
        after, effect = account.filled(coin, side=-1 if size > 0 else 1, size=abs(size), price=price)
        row["closedPnl"] = number(effect.printed_pnl)
        self._accounts.keep(holder, coin, after)
        holder.fills.append(row)
        self._core.events.append(Filled(holder.address, row))
        self._accounts.closed(holder, [coin])

    def _closing_row(self, user: str, coin: str, size: Decimal, price: Decimal, direction: str) -> Json:
        core = self._core
        oid = core.store.new_oid()
        return {
            "coin": coin,
            "px": number(price),
            "sz": number(abs(size)),
            "side": letter(-1 if size > 0 else 1),
            "time": core.now_ms,
            "startPosition": number(size),
            "dir": direction,
            "closedPnl": "0.0",
            "hash": transaction_hash(direction, user, coin, core.now_ms),
            "oid": oid,
            "crossed": False,
            "fee": "0.0",
            "tid": trade_id(oid, core.now_ms),
            "feeToken": self._universe.collateral_of(self._universe.dex_of(coin))[1],
            "twapId": None,
        }
