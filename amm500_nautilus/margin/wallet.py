"""Which pot of collateral carries which dex: the standard and the unified account mode."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import AccountMode
from amm500_nautilus.margin.position import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """
    All collateral of one address.

    Parameters
    ----------
    mode : AccountMode
        Standard: one account for each dex besides the spot balances. Unified: the spot balance of a token IS the pot
        of every dex with that collateral.
    dexes : mapping of str to str
        Collateral token of each dex.
    accounts : mapping of str to Account
        By dex in standard mode, by token in unified mode.
    spot : mapping of str to Decimal
        Spot balances by token; empty in unified mode.

    """

    mode: AccountMode
    dexes: Mapping[str, str]
    accounts: Mapping[str, Account]
    spot: Mapping[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        standard = self.mode is AccountMode.STANDARD
        wanted = set(self.dexes) if standard else set(self.dexes.values())
        if set(self.accounts) != wanted:
            msg = f"accounts are given for {sorted(self.accounts)}; allowed in {self.mode} mode: {sorted(wanted)}"
            raise ValueError(msg)
        for key, account in self.accounts.items():
            token = self.dexes[key] if standard else key
            if account.collateral != token or account.mode is not self.mode:
                msg = f"account {key!r} is {account.mode} in {account.collateral}; allowed: {self.mode} in {token}"
                raise ValueError(msg)
        if self.spot and not standard:
            msg = "spot balances are given beside unified accounts; allowed: none, they are the accounts"
            raise ValueError(msg)

    @property
    def ratio(self) -> Decimal:
        """
        The largest cross maintenance ratio of all pots.

        In unified mode this is the venue's unified account ratio (venue docs, account abstraction modes).
        """
        return max((account.unified_ratio for account in self.accounts.values()), default=ZERO)

    def key(self, dex: str) -> str:
        """
        Return the key of the account that carries a dex.

        Raises
        ------
        ValueError
            If the dex is unknown.

        """
        if dex not in self.dexes:
            msg = f"dex is {dex!r}; allowed: {sorted(self.dexes)}"
            raise ValueError(msg)
        return dex if self.mode is AccountMode.STANDARD else self.dexes[dex]

    def account(self, dex: str) -> Account:
        """Return the account that carries a dex."""
        return self.accounts[self.key(dex)]

    def with_account(self, dex: str, account: Account) -> "Wallet":
        """Return the wallet with another state of the account that carries a dex."""
        return replace(self, accounts={**self.accounts, self.key(dex): account})

    def total(self, token: str) -> Decimal:
        """Return the value of everything held in a token, positions at mark."""
        held = sum((a.equity for a in self.accounts.values() if a.collateral == token), ZERO)
        return held + self.spot.get(token, ZERO)

    def sent(self, dex: str, amount: Decimal) -> "Wallet":
        """
        Return the wallet after sending collateral from spot to a dex, or back when negative.

        Raises
        ------
        ValueError
            If the mode is unified, where nothing needs to move, or if either side lacks the amount.

        """
        if self.mode is AccountMode.UNIFIED:
            msg = "Action disabled when unified account is active"
            raise ValueError(msg)
        token = self.dexes[self.key(dex)]
        left = self.spot.get(token, ZERO) - amount
        if left < 0:
            msg = f"Insufficient balance for token transfer: {amount} {token}, held {self.spot.get(token, ZERO)}"
            raise ValueError(msg)
        moved = self.account(dex).transferred(amount)
        return replace(self.with_account(dex, moved), spot={**self.spot, token: left})
