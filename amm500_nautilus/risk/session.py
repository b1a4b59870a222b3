"""The trading session's equity: where it began, its peak, and what was lost, all net of transfers."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from amm500_nautilus.risk.types import RiskView


_new_tuple: Any = tuple.__new__


class SessionFigures(NamedTuple):
    """
    The session so far, in collateral units net of transfers.

    ``loss`` is counted from the start or from the last resume; ``drawdown`` is the fall from the peak as a share of ``starting``.
    """

    starting: float
    peak: float
    net_equity: float
    loss: float
    drawdown: float


class Session:
    """
    Follow one session over all its restarts.

    A deposit is no profit and a withdrawal no loss: both are taken out of equity before anything is measured. After a person
    has resumed from a halt, loss and drawdown are counted from the equity of that moment, or the halt would return at once.
    """

    def __init__(self) -> None:
        self.started_ns = 0
        self.starting = 0.0
        self._base = 0.0
        self._peak = 0.0
        # transfers made before this session, which its figures leave in
        self._transfers_before = 0.0
        self._is_later = False
        self._rebase = False
        self._was_rebased = False
        # as last reckoned, for whoever watches
        self.figures = SessionFigures(0.0, 0.0, 0.0, 0.0, 0.0)

    def restart(self) -> None:
        """Begin a new session with the next view."""
        self.started_ns, self.starting = 0, 0.0
        self._rebase = self._was_rebased = False
        self._is_later = True

    def rebase(self) -> None:
        """Count loss and drawdown from the next view on."""
        self._rebase = True

    def shift(self, amount: float) -> None:
        """Count from ``amount`` more on: equity has changed by it, and it is neither gain nor loss."""
        self._base += amount
        self._peak += amount

    def net(self, view: RiskView) -> float:
        """Return equity net of the transfers of this session."""
        return view.equity - view.net_transfers + self._transfers_before

    def update(self, view: RiskView) -> SessionFigures:
        """Take a view and return the session's figures; all zero before the first equity above zero."""
        if self.starting <= 0:
            self._begin(view)
        net = self.net(view)
        if self._rebase:
            self._rebase, self._was_rebased = False, True
            self._base = self._peak = net
        elif view.peak_equity > self._peak and not self._was_rebased and not self._is_later:
            self._peak = view.peak_equity
        if net > self._peak:
            self._peak = net
        starting = self.starting
        drawdown = (self._peak - net) / starting if starting > 0 else 0.0
        figures: SessionFigures = _new_tuple(
            SessionFigures, (starting, self._peak, net, self._base - net, drawdown)
        )
        self.figures = figures
        return figures

    def _begin(self, view: RiskView) -> None:
        """Take the starting equity: the caller's for the first session if it knows one, else what there is now."""
        if self._is_later:
            self._transfers_before = view.net_transfers
            self.starting = max(0.0, view.equity)
        elif view.starting_equity > 0:
            self.starting = view.starting_equity
        else:
            self.starting = max(0.0, view.equity - view.net_transfers)
        self._base = self._peak = self.starting
        self.started_ns = view.ts_ns

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "started_ns": self.started_ns,
            "starting": self.starting,
            "base": self._base,
            "peak": self._peak,
            "transfers_before": self._transfers_before,
            "is_later": self._is_later,
            "rebase": self._rebase,
            "was_rebased": self._was_rebased,
            "net_equity": self.figures.net_equity,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        self.started_ns = int(state["started_ns"])
        self.starting = float(state["starting"])
        self._base = float(state["base"])
        self._peak = float(state["peak"])
        self._transfers_before = float(state["transfers_before"])
        self._is_later = bool(state["is_later"])
        self._rebase = bool(state["rebase"])
        self._was_rebased = bool(state["was_rebased"])
        # what it was when last reckoned, for whoever goes on from it
        self.figures = self.figures._replace(net_equity=float(state.get("net_equity", 0.0)))
