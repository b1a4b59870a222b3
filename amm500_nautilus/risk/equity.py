"""How much of a reported equity can be explained, and what is done with the part that cannot."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from amm500_nautilus.risk.types import RiskView


NS_PER_SECOND = 1_000_000_000
# a change that is explained to within this share of the implausible is believed at once: marks and reports differ by less
DOUBT_SHARE = 0.2
# a change in between counts when it is still reported after so long: two of the longest times between two reports of the account
DOUBT_SECS = 10.0


def certain(view: RiskView, explained: RiskView) -> RiskView:
    """Return a view with the equity of ``explained``, and with as much maintenance margin as before."""
    maintenance = max(0.0, view.maintenance_ratio * view.equity)
    ratio = maintenance / explained.equity if explained.equity > 0 else view.maintenance_ratio
    return view._replace(equity=explained.equity, maintenance_ratio=ratio)


class EquityCheck:
    """
    Compare each report of the account with what our fills, the price, funding and transfers make of the last one believed.

    Equity is read, transfers are streamed, and either may come first. ``apart`` is the part of the last report that nothing
    explains; loss, drawdown and peak leave it out. It ends when a later report is explained. Otherwise a small part is believed
    after ten seconds, and one over the limit only when a person says so. While ``is_fresh`` the report may be torn, and what is
    missing from it takes no position off.

    Parameters
    ----------
    limit : float
        Share of equity that may go unexplained before it is implausible.

    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        # the last report believed: its equity, and the value of the position in it
        self._believed: tuple[float, float] | None = None
        # since then: cash of fills, funding and transfers; and transfers alone
        self._told = self._transfers = 0.0
        # since when a part has been asked for again, and how much it was then
        self._doubted_ns, self._doubted = 0, 0.0
        # since when the part is over the limit; 0 while it is not
        self._over_ns = 0
        self.apart = 0.0

    def is_fresh(self, now_ns: int) -> bool:
        """Return whether equity lacks more than the limit since less than ten seconds: the next reports may take it back."""
        return self.apart < 0 < self._over_ns and now_ns - self._over_ns < DOUBT_SECS * NS_PER_SECOND

    def on_cash(self, amount: float) -> None:
        """Take the cash of a fill: what was received less what was paid, the fee included."""
        self._told += amount

    def on_report(
        self, now_ns: int, *, equity: float, position_value: float, funding: float, transfers: float
    ) -> dict[str, float] | None:
        """
        Take a report; return what was reported and expected if it is implausible, else None.

        Parameters
        ----------
        now_ns : int
            Engine time, of the last view at the latest.
        equity, position_value : float
            As reported, and the signed value of our own record of the position at the report's mark, in collateral units.
        funding, transfers : float
            Funding received and net deposits since the last report.

        """
        self._told += funding + transfers
        self._transfers += transfers
        if self._believed is None or self._believed[0] <= 0:
            # the first after a restart: what was apart before it still is
            if isfinite(equity):
                self._believe(equity - self.apart, position_value)
            return None
        before, value_before = self._believed
        expected = before - value_before + position_value + self._told
        apart = equity - expected
        if not abs(apart) <= self._limit * before:
            if isfinite(apart):
                self.apart, self._doubted_ns = apart, 0
                self._over_ns = self._over_ns or now_ns
            return {"equity": equity, "expected": expected, "limit": self._limit}
        self._over_ns = 0
        if self._is_doubtful(now_ns, apart, before):
            self.apart = apart
        else:
            self.apart = 0.0
            self._believe(equity, position_value)
        return None

    def _is_doubtful(self, now_ns: int, apart: float, before: float) -> bool:
        """Return whether to ask again before what is apart counts: it is large, or it is a transfer that equity does not hold yet."""
        early = abs(apart + self._transfers) < 0.5 * abs(self._transfers)
        least = DOUBT_SHARE * self._limit * before
        if not early and abs(apart) <= least:
            return False
        if not self._doubted_ns or abs(apart - self._doubted) > least:
            # another amount than the one that has been waited for
            self._doubted_ns, self._doubted = now_ns, apart
        return now_ns - self._doubted_ns < DOUBT_SECS * NS_PER_SECOND

    def _believe(self, equity: float, position_value: float) -> None:
        self._believed = (equity, position_value)
        self._told = self._transfers = 0.0
        self._doubted_ns = 0

    def accept(self) -> float:
        """Believe what is apart, as a person does who resumes, and return how much it was."""
        apart, self.apart = self.apart, 0.0
        if self._believed is not None:
            self._believed = (self._believed[0] + apart, self._believed[1])
        self._transfers, self._doubted_ns, self._over_ns = 0.0, 0, 0
        return apart

    def recall(self, net: float, net_before: float) -> None:
        """
        Believe what was apart before a restart if equity net of transfers went on without it.

        The transfer may have been told while nobody looked: then ``net`` is what it was, and only leaving it out would be a change.
        """
        if abs(net - net_before) < abs(net - self.apart - net_before):
            self.accept()

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"apart": self.apart, "over_ns": self._over_ns}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned; what was reported before the restart explains nothing that happened while nobody looked."""
        self._believed = None
        self._told = self._transfers = 0.0
        self._doubted_ns = 0
        # kept states of an earlier version do not have it
        self._over_ns = int(state.get("over_ns", 0))
        self.apart = float(state["apart"])
