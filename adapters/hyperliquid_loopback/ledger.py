"""The holders of all accounts and their pots, valued at present marks: what everything about accounts stands on."""

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from typing import Final

from amm500_nautilus.margin.account import Account
from hyperliquid_loopback.agents import Agents
from hyperliquid_loopback.fees_view import VolumeBook
from hyperliquid_loopback.holdings import DISABLED
from hyperliquid_loopback.holdings import MODES
from hyperliquid_loopback.holdings import FundingPaid
from hyperliquid_loopback.holdings import Holder
from hyperliquid_loopback.holdings import Terms
from hyperliquid_loopback.holdings import settled
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number
from hyperliquid_loopback.types import transaction_hash
from hyperliquid_loopback.universe import Universe


SPOT: Final = "spot"
# a coin without a mark yet is valued at this
NO_MARK: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Moved:
    """Collateral of a user moved; ``dex`` is ``spot`` or a dex's name."""

    user: str
    dex: str


class Ledger:
    """
    Holders, their pots at present marks, and who has a position of what.

    Parameters
    ----------
    universe : Universe
        The listing, which decides collateral, tiers, modes and fees.
    mode_default : str, default 'disabled'
        The account mode of new accounts: ``disabled`` (standard), ``unifiedAccount`` or ``portfolioMargin``.
    accept_mainnet_source : bool, default False
        Whether actions signed for the mainnet (source ``a``) are taken as well.

    Raises
    ------
    ValueError
        If there is no such mode.

    """

    def __init__(
        self, universe: Universe, *, mode_default: str = DISABLED, accept_mainnet_source: bool = False
    ) -> None:
        if mode_default not in MODES:
            raise ValueError(f"`mode_default` was {mode_default!r}, must be one of {', '.join(MODES)}")
        self.universe = universe
        self.mode_default = mode_default
        self.terms = Terms(universe)
        self.exchange_volume = VolumeBook()
        self.agents = Agents(
            self.has, self.trader_of, self.sub_accounts_of, accept_mainnet_source=accept_mainnet_source
        )
        # what liquidated accounts could not pay
        self.shortfall = ZERO
        self.marks: dict[str, Decimal] = {}
        self.oracles: dict[str, Decimal] = {}
        self.holders: dict[str, Holder] = {}
        # users with a position, by coin, in the order they took it
        self.open_users: dict[str, dict[str, None]] = {}
        self.unsettled = False
        self._moves: list[Moved] = []
        self._liquidation_id = 0

    # accounts

    def open_account(
        self,
        address: str,
        *,
        deposits: Mapping[str, Decimal] | None = None,
        spot: Mapping[str, Decimal] | None = None,
        house: bool = False,
        mode: str | None = None,
        master: str | None = None,
        leader: str | None = None,
        now_ms: int = 0,
    ) -> Holder:
        """
        Open an account, or add to one that is open.

        Parameters
        ----------
        address : str
            Its address.
        deposits : mapping of str to Decimal, optional
            Collateral by dex; the empty name is the validators' own. A pooled account has one balance for each token.
        spot : mapping of str to Decimal, optional
            Spot balances by token name.
        house : bool, default False
            Background flow, without margin, fees or limits.
        mode : str, optional
            The account mode, the venue's default if left out.
        master : str, optional
            Whose sub-account this is.
        leader : str, optional
            Who leads it: it is a vault.
        now_ms : int, default 0
            Time of the deposits.

        Raises
        ------
        KeyError
            If a dex or token is unknown.
        ValueError
            If the mode is, an amount is negative, or it is to be a sub-account and a vault at once.

        """
        holder = self._holder_of(address.lower(), house=house, mode=mode, master=master, leader=leader)
        for dex, amount in (deposits or {}).items():
            self.deposit(holder, dex, amount, now_ms)
        for token, amount in (spot or {}).items():
            self.universe.token(token)
            self.change_spot(holder, token, amount)
        return holder

    def _holder_of(
        self, user: str, *, house: bool, mode: str | None, master: str | None, leader: str | None
    ) -> Holder:
        wanted = self.mode_default if mode is None else mode
        if wanted not in MODES:
            raise ValueError(f"`mode` was {wanted!r}, must be one of {', '.join(MODES)}")
        if master is not None and leader is not None:
            raise ValueError("an account is a sub-account or a vault, not both")
        holder = self.holders.get(user)
        if holder is None:
            holder = self.holders[user] = Holder(
                user,
                house=house,
                mode=wanted,
                master=None if master is None else master.lower(),
                leader=None if leader is None else leader.lower(),
            )
        return holder

    def has(self, address: str) -> bool:
        """Return whether the address has an account; an agent has none."""
        return address.lower() in self.holders

    def holder(self, address: str) -> Holder | None:
        """Return what an address holds; None when it has no account."""
        return self.holders.get(address.lower())

    def master_of(self, address: str) -> str | None:
        """Return the master of a sub-account; None for any other address."""
        holder = self.holder(address)
        return None if holder is None else holder.master

    def trader_of(self, address: str) -> str | None:
        """Return whose keys trade for an address named as `vaultAddress`: a sub-account's master or a vault's leader."""
        holder = self.holder(address)
        return None if holder is None else holder.master or holder.leader

    def sub_accounts_of(self, master: str) -> int:
        """Return how many sub-accounts a master has."""
        return sum(1 for holder in self.holders.values() if holder.master == master)

    @property
    def users(self) -> tuple[str, ...]:
        """Addresses of all accounts, the oldest first."""
        return tuple(self.holders)

    def position(self, user: str, coin: str) -> Decimal:
        """Return the signed position; 0 for a user without an account."""
        holder = self.holder(user)
        return ZERO if holder is None else holder.sizes.get(coin, ZERO)

    def has_position(self, user: str, coin: str | None = None) -> bool:
        """Return whether a user has a position, in a coin or in any."""
        holder = self.holder(user)
        if holder is None:
            return False
        return bool(holder.sizes.get(coin)) if coin is not None else any(holder.sizes.values())

    def open_interest(self, coin: str) -> Decimal:
        """Return the contracts held long, the house's included."""
        return sum(
            (max(ZERO, self.holders[user].sizes.get(coin, ZERO)) for user in self.open_users.get(coin, ())),
            ZERO,
        )

    def coins_of(self, user: str) -> tuple[str, ...]:
        """Return the coins that a user has a position of."""
        holder = self.holder(user)
        return () if holder is None else tuple(coin for coin, size in holder.sizes.items() if size)

    def users_with_position(self, coin: str) -> tuple[str, ...]:
        """Return the users who hold a position of a coin, the house's included."""
        return tuple(self.open_users.get(coin, ()))

    def set_mark(self, coin: str, mark: Decimal, oracle: Decimal | None = None) -> None:
        """Value a coin at another mark, and keep its oracle price; accounts follow when they are next looked at."""
        if mark != self.marks.get(coin):
            self.marks[coin] = mark
            self.unsettled = True
        if oracle is not None:
            self.oracles[coin] = oracle

    def mark_of(self, coin: str, otherwise: Decimal = NO_MARK) -> Decimal:
        """Return the mark of a coin, or ``otherwise`` while it has none."""
        return self.marks.get(coin, otherwise)

    # collateral from outside

    def deposit(self, holder: Holder, dex: str, amount: Decimal, now_ms: int) -> None:
        """Put collateral into the pot of a dex; KeyError for an unknown dex, ValueError for a negative amount."""
        if amount < 0:
            raise ValueError(f"a deposit was {amount}, must not be negative")
        account = self.account(holder, dex)
        self.keep_pot(holder, dex, replace(account, cash=account.cash + amount))
        self.note(holder, now_ms, {"type": "deposit", "usdc": number(amount)})
        self.moved(holder.address, dex)

    def change_spot(self, holder: Holder, token: str, amount: Decimal) -> None:
        """Change the spot balance of a token, which when pooled is the pot of every dex of it."""
        dex = self.dex_of_token(token)
        if holder.pooled and dex is not None:
            account = self.account(holder, dex)
            self.keep_pot(holder, dex, replace(account, cash=account.cash + amount))
        else:
            holder.spot[token] = holder.spot.get(token, ZERO) + amount
        self.moved(holder.address, SPOT)

    def dex_of_token(self, token: str) -> str | None:
        """Return a dex whose collateral is the token, None when there is none; all of them share one pot when pooled."""
        universe = self.universe
        return next((dex for dex in universe.dex_names if universe.collateral_of(dex)[1] == token), None)

    def note(self, holder: Holder, now_ms: int, delta: Json) -> None:
        """Keep a row of ``userNonFundingLedgerUpdates``."""
        tag = transaction_hash("ledger", holder.address, len(holder.ledger), now_ms)
        holder.ledger.append({"time": now_ms, "hash": tag, "delta": delta})

    # what the other modules move

    def drain_moves(self) -> list[Moved]:
        """Return the transfers since the last call, both ends of each."""
        moves, self._moves = self._moves, []
        return moves

    def moved(self, user: str, dex: str) -> None:
        """Note that collateral of a user moved."""
        self._moves.append(Moved(user, dex))
        self.unsettled = True

    def next_liquidation_id(self) -> int:
        """Return the next ``lid``."""
        self._liquidation_id += 1
        return self._liquidation_id

    # the pots, also for the modules beside this one

    def account(self, holder: Holder, dex: str) -> Account:
        """Return the pot that carries a dex, at present marks and terms."""
        return self._valued(holder, dex, self.universe.collateral_of(dex)[1])

    def _valued(self, holder: Holder, dex: str, token: str) -> Account:
        pot = holder.pot(dex, token)
        fresh = tuple(settled(p, self.terms.of(p.coin), self.mark_of(p.coin, p.mark)) for p in pot.positions)
        if any(new is not old for new, old in zip(fresh, pot.positions, strict=True)):
            pot = replace(pot, positions=fresh)
            self._put(holder, dex, pot)
        return pot

    def keep(self, holder: Holder, coin: str, account: Account) -> None:
        """Store the pot of a coin."""
        self._put(holder, self.universe.dex_of(coin), account)
        self.unsettled = True

    def keep_pot(self, holder: Holder, dex: str, account: Account) -> None:
        """Store the pot of a dex."""
        self._put(holder, dex, account)
        self.unsettled = True

    def closed(self, holder: Holder, coins: Iterable[str]) -> None:
        """Note that positions went without a fill of their own."""
        for coin in coins:
            self.sized(holder, coin, ZERO, holder.sizes.get(coin, ZERO))

    def taken(self, user: str, coin: str, size: Decimal) -> None:
        """Give the house a position that was taken over."""
        holder = self.holders.get(user) or self.open_account(user, house=True)
        start = holder.sizes.get(coin, ZERO)
        self.sized(holder, coin, start + size, start)

    def known(self, holder: Holder, coin: str, price: Decimal = NO_MARK) -> Account:
        """Return the pot of a coin with an entry for it, flat at the default leverage when it was never touched."""
        terms = self.terms.of(coin)
        account = self._valued(holder, terms.dex, terms.token)
        if any(position.coin == coin for position in account.positions):
            return account
        added = terms.default_position(self.mark_of(coin, price))
        account = replace(account, positions=(*account.positions, added))
        self._put(holder, terms.dex, account)
        return account

    def _put(self, holder: Holder, dex: str, account: Account) -> None:
        holder.pots[holder.key(dex, account.collateral)] = account

    def sized(self, holder: Holder, coin: str, size: Decimal, before: Decimal) -> None:
        """Note that a position has another size than before."""
        holder.sizes[coin] = size
        held = self.open_users.setdefault(coin, {})
        if size:
            held.setdefault(holder.address)
        else:
            held.pop(holder.address, None)
        if not holder.house:
            total = holder.funding.setdefault(coin, FundingPaid())
            total.since_change = ZERO
            if before * size <= 0:
                total.since_open = ZERO
        self.unsettled = True
