"""The first source that has what is asked: the catalogue, the exchange, Yahoo, the offline generator."""

import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Final

from amm500_catalog.errors import SourceUnavailableError
from amm500_catalog.sources.base import DOWNLOAD_TIMEOUT_S
from amm500_catalog.sources.base import BarFrame
from amm500_catalog.sources.base import BarRequest
from amm500_catalog.sources.coverage import ExpectedSpans
from amm500_catalog.sources.coverage import always_open
from amm500_catalog.sources.coverage import coverage
from amm500_catalog.sources.deadline import Clock
from amm500_catalog.sources.deadline import run_within


MIN_COVERAGE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    One source to try.

    Parameters
    ----------
    name : str
        The name in the report, for example ``hyperliquid``.
    symbol : str
        What the source calls the market, for example ``mkts:US500`` or ``^OEX``.
    fetch : callable
        Takes a ``BarRequest``, returns a ``BarFrame`` or raises ``SourceUnavailableError``.
    is_download : bool
        Whether it shares the seconds that downloads may take; others are not timed.
    expected : callable
        The open spans of the source's market inside the asked span.
    must_cover : bool
        Whether it is passed over when less than the needed share is there; the last resort takes what it makes.

    """

    name: str
    symbol: str
    fetch: Callable[[BarRequest], BarFrame]
    is_download: bool = False
    expected: ExpectedSpans = always_open
    must_cover: bool = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one candidate; ``reason`` is empty when it was used, ``share`` None when it gave nothing."""

    name: str
    symbol: str
    used: bool
    seconds: float
    reason: str = ""
    share: float | None = None

    @property
    def line(self) -> str:
        """One line for the log and the report."""
        if self.used:
            return (
                f"{self.name} {self.symbol}: used, {self.share or 0.0:.1%} of the span, {self.seconds:.1f} s"
            )
        return f"{self.name} {self.symbol}: passed over after {self.seconds:.1f} s, {self.reason}"


@dataclass(frozen=True, slots=True)
class AutoResult:
    """
    The bars, the candidate they came from, and every attempt in order.

    ``download_left_s`` is what is left of the downloads' seconds, for what is fetched after the bars (funding rates).
    """

    frame: BarFrame
    used: str
    attempts: tuple[Attempt, ...]
    download_left_s: float = 0.0

    @property
    def lines(self) -> tuple[str, ...]:
        """One line an attempt."""
        return tuple(attempt.line for attempt in self.attempts)


class AutoSource:
    """
    Try candidates in order and take the first that holds enough of the span.

    Parameters
    ----------
    candidates : sequence of Candidate
        In the order of preference; the last should be the generator, which needs no network.
    min_coverage : float, default 0.95
        The share of the expected open time below which the next is tried.
    download_timeout_s : float, default 15.0
        Seconds that all downloads may take together.
    say : callable, optional
        Takes each attempt's line as it happens.
    clock : callable, optional
        Seconds of a clock that never goes back.

    Raises
    ------
    ValueError
        If there are no candidates or the share is not in (0, 1].

    """

    name = "auto"

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        min_coverage: float = MIN_COVERAGE,
        download_timeout_s: float = DOWNLOAD_TIMEOUT_S,
        say: Callable[[str], object] = lambda _: None,
        clock: Clock = time.monotonic,
    ) -> None:
        if not candidates:
            raise ValueError("`candidates` was empty, must hold at least one source")
        if not 0 < min_coverage <= 1:
            raise ValueError(f"`min_coverage` was {min_coverage}, must be above 0 and at most 1")
        self._candidates = tuple(candidates)
        self._min_coverage = min_coverage
        self._download_timeout_s = download_timeout_s
        self._say = say
        self._clock = clock

    def fetch(self, request: BarRequest) -> BarFrame:
        """Return the bars of the first candidate that has enough; see :meth:`resolve`."""
        return self.resolve(request).frame

    def resolve(self, request: BarRequest) -> AutoResult:
        """
        Return the bars together with what was tried.

        Parameters
        ----------
        request : BarRequest
            The span and interval; each candidate puts in its own symbol.

        Raises
        ------
        SourceUnavailableError
            If no candidate has enough; the message holds each one's reason.

        """
        attempts: list[Attempt] = []
        # only downloads run this down: a catalogue read or the generator must not eat their seconds
        budget_s = self._download_timeout_s
        waiting = sum(candidate.is_download for candidate in self._candidates)
        for candidate in self._candidates:
            began = self._clock()
            share_s = request.timeout_s
            if candidate.is_download:
                # an even share, so that one that hangs leaves time for the next
                share_s = min(request.timeout_s, budget_s / waiting)
                waiting -= 1
            frame, attempt = self._try(candidate, request, share_s)
            if candidate.is_download:
                budget_s = max(0.0, budget_s - (self._clock() - began))
            attempts.append(attempt)
            self._say(attempt.line)
            if frame is not None and attempt.used:
                return AutoResult(
                    frame, used=candidate.name, attempts=tuple(attempts), download_left_s=budget_s
                )
        raise SourceUnavailableError(
            "no source has the span: " + "; ".join(attempt.line for attempt in attempts)
        )

    def _try(
        self, candidate: Candidate, request: BarRequest, seconds: float
    ) -> tuple[BarFrame | None, Attempt]:
        began = self._clock()
        failed = Attempt(candidate.name, candidate.symbol, used=False, seconds=0.0)
        if candidate.is_download and seconds <= 0:
            return None, replace(failed, reason="no download time is left")
        asked = replace(request, symbol=candidate.symbol, timeout_s=seconds)
        try:
            if candidate.is_download:
                # kept here too: a candidate may make several requests, each with the whole time
                frame = run_within(seconds, candidate.name, lambda: candidate.fetch(asked))
            else:
                frame = candidate.fetch(asked)
        except SourceUnavailableError as e:
            return None, replace(failed, seconds=self._clock() - began, reason=str(e))
        share = coverage(frame, candidate.expected(request.start_ns, request.end_ns))
        took_s = self._clock() - began
        if candidate.must_cover and share < self._min_coverage:
            reason = f"it has {share:.1%} of the span, less than {self._min_coverage:.0%}"
            return frame, replace(failed, seconds=took_s, reason=reason, share=share)
        return frame, replace(failed, used=True, seconds=took_s, share=share)
