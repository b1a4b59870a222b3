"""The forecast in a running strategy: marks on the training clock, one forecast a mark, and a reason whenever it is not used."""

from collections import Counter
from collections.abc import Callable
from math import sqrt
from typing import Any
from typing import Protocol

import numpy as np

from amm500_nautilus.forecast.card import ModelCard
from amm500_nautilus.forecast.card import when
from amm500_nautilus.forecast.features import IMBALANCE
from amm500_nautilus.forecast.features import FeatureClock
from amm500_nautilus.forecast.model_file import VolatilityModel


NS = 1_000_000_000
USED = "used"
NO_MODEL = "no_model"
LOST = "lost"
OTHER_MARKET = "other_market"
SIMULATED = "simulated"
CLOCK = "clock"
IN_SAMPLE = "in_sample"
STALE = "stale"
WARM_UP = "warm_up"
NO_PRICE = "no_price"
# a mark that is read later than this share of the interval is not of the training clock
LATE_SHARE = 0.05
# a touch that nobody has confirmed for so long is no mark
MAX_BOOK_AGE_NS = 30 * NS


class Market(Protocol):
    """What the forecast looks at: the quoting engine."""

    @property
    def touch(self) -> tuple[int, int] | None:
        """Best bid and offer in ticks; None while there is none."""
        ...

    @property
    def funding_rate(self) -> float:
        """The hourly funding rate last heard of."""
        ...

    @property
    def book(self) -> Any:
        """The keeper of the book, whose ``analyze(ts_ns)`` gives the imbalance."""
        ...

    def ages(self, ts_ns: int) -> tuple[float | None, float | None, bool]:
        """Return the seconds since the last book message first; None for it between sessions."""
        ...


class VolatilityForecast:
    """
    Turn a running market into the spread's forecast factor.

    The factor is the forecast volatility of the next horizon over the window's own exponentially weighted one: what the model adds to
    the estimate that quoting goes by. It changes at each whole interval and holds until the next; the spread pipeline limits it to 0.8 to
    1.2. Whenever there is a reason not to use the model the factor is 1, and ``say`` hears the reason once.

    Parameters
    ----------
    model : VolatilityModel, optional
        The model; None with ``off``.
    coin : str
        The market that is quoted.
    cycle_ms : int
        How often the strategy looks.
    max_age_ns : int
        A model whose training ended longer ago than this is not used.
    require_win : bool, default True
        Whether a model that lost to a baseline stays off; False only to measure what it would do.
    is_real : bool, default False
        Whether the market is a venue's: a model that learned from simulated prices, and won on them, knows nothing of it.
    off : str, default ''
        Why there is no model.
    say : callable, optional
        Told each new reason in words.

    """

    def __init__(
        self,
        model: VolatilityModel | None,
        *,
        coin: str,
        cycle_ms: int,
        max_age_ns: int,
        require_win: bool = True,
        is_real: bool = False,
        off: str = "",
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._model = model
        self._max_age_ns = max_age_ns
        self._say = say
        self._factor = 1.0
        self._mark = -1
        self._counts: Counter[str] = Counter()
        self._used: list[float] = []
        self._reason, self._words = "", ""
        self._never = self._standing_reason(coin, cycle_ms, require_win=require_win, is_real=is_real, off=off)
        if model is not None:
            card = model.card
            self._step_ns = card.interval_s * NS
            self._late_ns = int(self._step_ns * LATE_SHARE)
            self._clock = FeatureClock(card.features, card.sequence)
            self._reads_book = IMBALANCE in card.features

    def _standing_reason(
        self, coin: str, cycle_ms: int, *, require_win: bool, is_real: bool, off: str
    ) -> tuple[str, str] | None:
        """Return the reason that holds for the whole run, if there is one."""
        model = self._model
        if model is None:
            return NO_MODEL, off or "there is no model"
        card = model.card
        if card.market != coin:
            return OTHER_MARKET, f"the model is of {card.market}, not of {coin}"
        if card.simulated and is_real:
            return SIMULATED, "the model was trained and judged on SIMULATED prices alone"
        if cycle_ms * NS // 1_000 > card.interval_s * NS * LATE_SHARE:
            return CLOCK, f"a cycle of {cycle_ms} ms cannot keep the model's clock of {card.interval_s} s"
        if require_win and not card.use:
            return LOST, f"the model {card.why}"
        return None

    def __call__(self, ts_ns: int, market: Market) -> float:
        """Return the factor of this cycle; times never run backwards."""
        if self._never is not None:
            return self._without(*self._never)
        mark = ts_ns // self._step_ns
        if mark != self._mark:
            self._on_mark(ts_ns, mark, market)
        self._counts[self._reason] += 1
        return self._factor

    def _on_mark(self, ts_ns: int, mark: int, market: Market) -> None:
        assert self._model is not None  # noqa: S101  otherwise there is a standing reason
        card, clock = self._model.card, self._clock
        follows = mark == self._mark + 1
        self._mark = mark
        touch, age = market.touch, market.ages(ts_ns)[0]
        if ts_ns - mark * self._step_ns > self._late_ns:
            clock.restart()
            self._set(CLOCK, f"a mark was read {(ts_ns - mark * self._step_ns) / NS:.1f} s late")
            return
        if touch is None or age is None or age * NS > MAX_BOOK_AGE_NS:
            clock.restart()
            self._set(NO_PRICE, "the book has no fresh touch at the mark")
            return
        if not follows:
            # a session's gap, or marks that nobody read: no window goes across
            clock.restart()
        book = market.book.analyze(ts_ns) if self._reads_book else None
        clock.push(
            (touch[0] + touch[1]) * 0.5,
            imbalance=0.0 if book is None else book.imbalance,
            funding=market.funding_rate,
        )
        if ts_ns <= card.trained_until_ns:
            self._set(IN_SAMPLE, f"the model was trained on data up to {when(card.trained_until_ns)}")
        elif ts_ns - card.trained_until_ns > self._max_age_ns:
            self._set(STALE, f"the model's training ended {when(card.trained_until_ns)}, too long ago")
        elif clock.marks - 1 < card.warm_up:
            self._set(WARM_UP, f"{card.warm_up} returns of this session are needed first")
        else:
            self._forecast()

    def _forecast(self) -> None:
        assert self._model is not None  # noqa: S101  otherwise there is a standing reason
        rows = self._clock.rows()
        forecaster = self._model.forecaster
        anchor = float(forecaster.scaler.anchors(rows[None], np.array([len(rows)]))[0])
        variance = forecaster.variance(rows)
        self._set(USED, f"forecast by the model of {self._model.card.market}, which {self._model.card.why}")
        self._factor = sqrt(variance / (anchor * self._model.card.steps))
        self._used.append(self._factor)

    def _set(self, reason: str, words: str) -> None:
        self._factor = 1.0
        if reason != self._reason and self._say is not None:
            self._say(
                f"volatility forecast {'in use' if reason == USED else 'not in use'} ({reason}): {words}"
            )
        self._reason, self._words = reason, words

    def _without(self, reason: str, words: str) -> float:
        if reason != self._reason:
            self._set(reason, words)
        self._counts[reason] += 1
        return 1.0

    @property
    def card(self) -> ModelCard | None:
        """The model's card, where there is a model."""
        return None if self._model is None else self._model.card

    @property
    def reason(self) -> str:
        """Why the factor is what it is now: ``used``, or the reason it is 1."""
        return self._reason

    def summary(self) -> dict[str, Any]:
        """Return what it did: the share of cycles by reason, and the factors it gave."""
        total = sum(self._counts.values())
        used = np.array(self._used) if self._used else np.ones(1)
        return {
            "share_used": self._counts[USED] / total if total else 0.0,
            "share_by_reason": {name: count / total for name, count in sorted(self._counts.items())},
            "forecasts": len(self._used),
            "factor_mean": float(used.mean()),
            "factor_low": float(used.min()),
            "factor_high": float(used.max()),
            "reason": self._reason,
            "words": self._words,
        }
