"""
The queue model's parameter from recorded own fills, by maximum likelihood.

An order joins the back of what is displayed at its price. Trades at the price take from the front; of what is canceled the model
puts a share ahead of the order, and its exponent is what is fitted. For an exponent, the model says after each trade how many lots
still stand ahead; the order is taken to fill at the first trade after which that is less than an error of its own, normal with a
deviation of ``sigma`` times the size displayed when it joined. A fill says between which two trades the error lay, an order that
went unfilled that it was beyond the last: interval-censored observations, as in a probit regression. A small share of orders
(``OUTLIERS``) may have filled at any trade, so that a lost message does not decide the fit.

The interval holds the exponents whose profile likelihood is within 1.92 of the largest (95 %, chi-square with one degree).
"""

import math
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2
from scipy.stats import norm

from amm500_nautilus.simulation.queue import QueueModel
from amm500_nautilus.simulation.queue import QueuePosition
from amm500_nautilus.simulation.queue import make_queue_model


Floats = npt.NDArray[np.float64]
OUTLIERS = 0.01
FEWEST_FILLS = 20
# a fill is of a whole lot: between one that has passed the order and half of one
FILLED_LOTS = 0.75
LOWEST_N, HIGHEST_N = 0.1, 30.0
GRID = 25
SIGMAS = np.geomspace(0.002, 2.0, 40)
DROP = float(chi2.ppf(0.95, 1)) / 2.0


@dataclass(slots=True)
class Episode:
    """
    One order at one price, from joining the queue until it fills, moves or goes; sizes in lots.

    ``events`` are ``(traded, 0)`` for a trade at the price and ``(before, after)`` with ``is_trade`` False for a change of the
    displayed size. ``filled_at`` is the place among the trades of the one that filled it; None when no trade at its price did.
    """

    displayed: int
    events: list[tuple[bool, int, int]] = field(default_factory=list)
    trades: int = 0
    filled_at: int | None = None

    def add_trade(self, lots: int) -> None:
        """Add a trade at the price."""
        self.events.append((True, lots, 0))
        self.trades += 1

    def add_to_trade(self, lots: int) -> None:
        """Add another print of the trade that came last."""
        place = next(at for at in reversed(range(len(self.events))) if self.events[at][0])
        self.events[place] = (True, self.events[place][1] + lots, 0)

    def add_depth(self, before: int, after: int) -> None:
        """Add a look at the displayed size; one that is unchanged still settles the trades before it."""
        self.events.append((False, before, after))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFit:
    """
    What the fills say.

    Parameters
    ----------
    model : str
        The queue model.
    n, low, high : float
        The exponent and its 95 % interval; an end at the edge of what was tried (0.1 to 30) is no bound.
    sigma : float
        Deviation of an order's error, in sizes displayed when it joined.
    orders, fills, trades : int
        Orders that a trade at their price could have filled, those it did, and the trades.
    log_likelihood, risk_adverse : float
        Of the fit, and of the model in which cancellations never help, with its own best ``sigma``.

    """

    model: str
    n: float
    low: float
    high: float
    sigma: float
    orders: int
    fills: int
    trades: int
    log_likelihood: float
    risk_adverse: float


def room_after_trades(episode: Episode, model: QueueModel) -> list[float]:
    """Return after each trade how far the order has passed the front: lots, over the size displayed when it joined (at least 1)."""
    queue = QueuePosition(float(episode.displayed))
    scale = float(max(1, episode.displayed))
    found = []
    for is_trade, first, second in episode.events:
        if is_trade:
            model.on_trade(queue, first)
            found.append((-queue.ahead - FILLED_LOTS) / scale)
        else:
            # it did not fill, so no whole lot can have passed it, whatever this exponent says
            queue.ahead = max(queue.ahead, -1.0)
            model.on_depth(queue, float(first), float(second))
    return found


def fit_queue(
    episodes: Sequence[Episode],
    model: str = "power_prob_queue_model3",
    tell: Callable[[float], None] | None = None,
) -> QueueFit:
    """
    Return the exponent that makes the recorded fills most likely.

    Parameters
    ----------
    episodes : sequence of Episode
        The orders.
    model : str
        One of hftbacktest's power models.
    tell : callable, optional
        Told the share done.

    Raises
    ------
    ValueError
        With fewer than 20 fills by trades at the order's price, or a model without an exponent.

    """
    useful = [episode for episode in episodes if episode.trades]
    fills = sum(episode.filled_at is not None for episode in useful)
    if fills < FEWEST_FILLS:
        raise ValueError(
            f"{fills} fills by trades at the order's own price; allowed: at least {FEWEST_FILLS}"
        )
    if model == "risk_adverse":
        raise ValueError("risk_adverse has no parameter; allowed: power_prob_queue_model, ...2 or ...3")
    exponents, values, sigmas = _profile(useful, model, tell)
    best = _middle_of_top(values)
    low, high = _ends(exponents, values)
    return QueueFit(
        model=model,
        n=float(exponents[best]),
        low=low,
        high=high,
        sigma=float(sigmas[best]),
        orders=len(useful),
        fills=fills,
        trades=sum(episode.trades for episode in useful),
        log_likelihood=float(values[best]),
        risk_adverse=_best_sigma(useful, make_queue_model("risk_adverse"))[0],
    )


def _profile(
    episodes: Sequence[Episode], model: str, tell: Callable[[float], None] | None
) -> tuple[Floats, Floats, Floats]:
    """Return the exponents tried, in order, with the largest log likelihood of each and the deviation that it has there."""
    grid = np.geomspace(LOWEST_N, HIGHEST_N, GRID)
    profile = []
    for place, n in enumerate(grid):
        profile.append(_best_sigma(episodes, make_queue_model(model, float(n))))
        if tell is not None:
            tell((place + 1) / (GRID + 11))
    values = np.array([value for value, _ in profile])
    top = int(values.argmax())
    low, high = grid[max(0, top - 1)], grid[min(GRID - 1, top + 1)]
    # at a whole exponent the model is another than beside it: a power of less than nothing exists there alone
    whole = np.arange(math.ceil(low), math.floor(high) + 1, dtype=np.float64)
    fine = np.setdiff1d(np.concatenate((np.geomspace(low, high, 13)[1:-1], whole)), grid)
    profile.extend(_best_sigma(episodes, make_queue_model(model, float(n))) for n in fine)
    exponents = np.concatenate((grid, fine))
    values = np.array([value for value, _ in profile])
    order = np.argsort(exponents)
    exponents, values = exponents[order], values[order]
    return exponents, values, np.array([sigma for _, sigma in profile])[order]


def _middle_of_top(values: Floats) -> int:
    """Return the middle of the highest values: a likelihood of whole orders may have a flat top."""
    top = np.flatnonzero(values >= values.max() - 1e-9)
    return int(top[len(top) // 2])


def _ends(exponents: Floats, values: Floats) -> tuple[float, float]:
    """Return the exponents at which the profile falls by ``DROP``, by straight lines in the logarithm between those tried."""
    inside = np.flatnonzero(values >= values.max() - DROP)
    first, last = int(inside[0]), int(inside[-1])
    bar = values.max() - DROP
    low, high = float(exponents[first]), float(exponents[last])
    if first > 0:
        low = _crossing(exponents, values, first, first - 1, bar)
    if last < len(exponents) - 1:
        high = _crossing(exponents, values, last, last + 1, bar)
    return low, high


def _crossing(exponents: Floats, values: Floats, inside: int, outside: int, bar: float) -> float:
    share = (values[inside] - bar) / (values[inside] - values[outside])
    ends = math.log(exponents[inside]), math.log(exponents[outside])
    return math.exp(ends[0] + share * (ends[1] - ends[0]))


def _best_sigma(episodes: Sequence[Episode], model: QueueModel) -> tuple[float, float]:
    """Return the largest log likelihood over the deviation of the error, and that deviation."""
    before, after, filled, trades = _observations(episodes, model)
    best = (-math.inf, float(SIGMAS[0]))
    for sigma in SIGMAS:
        reached_after, reached_before = norm.cdf(after / sigma), norm.cdf(before / sigma)
        likely = np.where(filled, reached_after - reached_before, 1.0 - reached_before)
        # an outlier fills at any of its trades, or at none
        mixed = (1.0 - OUTLIERS) * np.maximum(likely, 0.0) + OUTLIERS / (trades + 1.0)
        total = float(np.log(mixed).sum())
        if total > best[0]:
            best = (total, float(sigma))
    return best


def _observations(
    episodes: Sequence[Episode], model: QueueModel
) -> tuple[Floats, Floats, npt.NDArray[np.bool_], Floats]:
    """Return the furthest an order had passed the front without filling, and how far at the trade that filled it."""
    before, after, filled, trades = [], [], [], []
    for episode in episodes:
        room = room_after_trades(episode, model)
        at = episode.filled_at
        passed = room if at is None else room[:at]
        before.append(max(passed, default=-math.inf))
        after.append(math.inf if at is None else room[at])
        filled.append(at is not None)
        trades.append(float(episode.trades))
    return np.array(before), np.array(after), np.array(filled, dtype=bool), np.array(trades)


class QueueWatch:
    """
    Build episodes from a market and what became of our orders in it; feed it in the order of the venue's time.

    Sizes are lots, prices ticks, side 1 buys. The market's sizes are without our own.
    """

    def __init__(self) -> None:
        self.episodes: list[Episode] = []
        self._open: dict[str, tuple[Episode, int, int]] = {}
        self._shown: dict[tuple[int, int], int] = {}
        self._trade_place: dict[str, tuple[int, int]] = {}

    def joined(self, key: str, side: int, ticks: int, displayed: int | None) -> None:
        """Let an order join the queue of its price; one whose displayed size is not known is left out."""
        self.left(key)
        if displayed is None:
            return
        episode = Episode(displayed)
        self._open[key] = (episode, side, ticks)
        self._shown[side, ticks] = displayed

    def left(self, key: str) -> None:
        """Let an order go, unfilled or not."""
        found = self._open.pop(key, None)
        self._trade_place.pop(key, None)
        if found is not None:
            self.episodes.append(found[0])

    def filled(self, key: str, ts_ns: int) -> None:
        """Let an order fill by the last trade at its price at that time; without one it leaves as unfilled by its queue."""
        found, place = self._open.get(key), self._trade_place.get(key)
        if found is not None and place is not None and place[0] == ts_ns:
            found[0].filled_at = place[1]
        self.left(key)

    def trade(self, ts_ns: int, aggressor: int, ticks: int, lots: int) -> None:
        """
        Take a trade; ``aggressor`` 1 bought.

        Prints of one time are one trade: the venue prints each maker that a taker meets, those behind us too, and our own print
        somewhere between them. Taken one by one the last of them would be what filled us, however far it went past us.
        """
        for key, (episode, side, price) in self._open.items():
            if side == -aggressor and price == ticks:
                if self._trade_place.get(key, (None, 0))[0] == ts_ns:
                    episode.add_to_trade(lots)
                else:
                    self._trade_place[key] = (ts_ns, episode.trades)
                    episode.add_trade(lots)

    def level(self, side: int, ticks: int, lots: int) -> None:
        """Take the displayed size of a price that we rest at."""
        before = self._shown.get((side, ticks))
        self._shown[side, ticks] = lots
        for episode, own_side, price in self._open.values():
            if own_side == side and price == ticks:
                episode.add_depth(lots if before is None else before, lots)

    @property
    def resting(self) -> set[tuple[int, int]]:
        """Sides and prices that we rest at."""
        return {(side, ticks) for _, side, ticks in self._open.values()}

    def finish(self) -> list[Episode]:
        """Return all episodes, those still open as unfilled."""
        for key in list(self._open):
            self.left(key)
        return self.episodes
