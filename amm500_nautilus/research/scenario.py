"""What a stress scenario is, and the configuration that fixes it in time."""

import math
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from amm500_catalog.errors import InputError


NS = 1_000_000_000
FUNDING_HOURS = 8
# the venue caps funding at 4 % an hour (venue docs, funding)
MOST_FUNDING_8H = 0.04 * FUNDING_HOURS
MOST_VOLATILITY = 20.0
# the market simulator needs some steps in a bar, so a fall is cut into pieces of this length
PIECE_S = 15
LONGEST_CRASH_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """
    One thing that goes wrong, or several at once.

    Parameters
    ----------
    name : str
        What the table and the run directory call it.
    volatility : float
        Factor on every log return of the span; 1 leaves the path as it is.
    crash : float
        The fall as a fraction of the price at the event (0.10 is -10 %); 0 for none.
    funding_8h : float, optional
        Funding as a fraction each 8 hours, paid hourly as an eighth through the whole span, longs paying when positive;
        the data's own when absent.
    outage_s : int
        Seconds from the event on in which nothing passes between the venue and the strategy; 0 for none.

    Raises
    ------
    ValueError
        If a value is out of range.

    """

    name: str
    volatility: float = 1.0
    crash: float = 0.0
    funding_8h: float | None = None
    outage_s: int = 0

    def __post_init__(self) -> None:
        where = f"of scenario {self.name!r}"
        if not self.name or any(not (c.isalnum() or c in "._-") for c in self.name) or len(self.name) > 40:
            raise ValueError(f"`name` {where} must be 1 to 40 letters, digits, dots, dashes or underscores")
        if not 0 < self.volatility <= MOST_VOLATILITY:
            raise ValueError(
                f"`volatility` {where} was {self.volatility:g}, must be above 0 and at most {MOST_VOLATILITY:g}"
            )
        if not 0 <= self.crash < 1:
            raise ValueError(
                f"`crash` {where} was {self.crash:g}, must be at least 0 and below 1 (0.1 is a fall of 10 %)"
            )
        if self.funding_8h is not None and not abs(self.funding_8h) < MOST_FUNDING_8H:
            raise ValueError(
                f"`funding_8h` {where} was {self.funding_8h:g}, must be within {MOST_FUNDING_8H:g} (4 % an hour)"
            )
        if self.outage_s < 0:
            raise ValueError(f"`outage_s` {where} was {self.outage_s}, must be 0 or more")

    @property
    def funding_hourly(self) -> float | None:
        """The funding rate of an hour: an eighth of the 8-hour figure."""
        return None if self.funding_8h is None else self.funding_8h / FUNDING_HOURS


BASE = Scenario(name="base")
SCENARIOS = (
    Scenario(name="vol_x1.5", volatility=1.5),
    Scenario(name="vol_x2", volatility=2.0),
    Scenario(name="vol_x3", volatility=3.0),
    Scenario(name="crash_5", crash=0.05),
    Scenario(name="crash_10", crash=0.10),
    Scenario(name="crash_20", crash=0.20),
    Scenario(name="funding_0.1", funding_8h=0.001),
    Scenario(name="funding_0.5", funding_8h=0.005),
    Scenario(name="funding_1", funding_8h=0.01),
    Scenario(name="outage_30", outage_s=30),
    Scenario(name="outage_60", outage_s=60),
    Scenario(name="outage_120", outage_s=120),
    Scenario(name="combined_15", volatility=2.0, crash=0.15, funding_8h=0.005, outage_s=60),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StressConfig:
    """
    Which scenarios there are, and where in the data they happen.

    Every scenario of one configuration and seed sees the same span and the same event, so that they can be compared.

    Parameters
    ----------
    scenario : str, optional
        The scenario this run is under (``base`` is the span without any); the whole data unstressed when absent.
    scenarios : tuple of Scenario
        The scenarios that ``amm500 stress`` runs, ``base`` apart.
    event : datetime or str, optional
        When it happens, UTC, taken down to the whole minute; a bar's open drawn with the run's seed when absent.
    before_min, after_min : int
        Minutes of data before and after the event.
    crash_s : int
        Seconds a fall takes, a multiple of 15.
    crash_depth : float
        Share of the displayed size that is left while the price falls.
    crash_widen_bps : float
        How far each side of the book steps back from the mid while the price falls, in basis points.
    recovery_s : int
        Seconds after the fall until the book is what it was, in a straight line.

    Raises
    ------
    ValueError
        If a value is out of range, or a name is unknown or twice there.

    """

    scenario: str | None = None
    scenarios: tuple[Scenario, ...] = SCENARIOS
    event: datetime | str | None = None
    before_min: int = 60
    after_min: int = 120
    crash_s: int = 300
    crash_depth: float = 0.25
    crash_widen_bps: float = 2.0
    recovery_s: int = 600

    def __post_init__(self) -> None:
        names = [item.name for item in self.scenarios]
        twice = [name for name in names if names.count(name) > 1 or name == BASE.name]
        if twice:
            raise ValueError(
                f"the scenario name {twice[0]!r} is taken; names must differ, and base is built in"
            )
        for name in ("before_min", "after_min"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` was {getattr(self, name)}, must be at least 1 minute")
        if self.crash_s % PIECE_S or not PIECE_S <= self.crash_s <= LONGEST_CRASH_S:
            raise ValueError(
                f"`crash_s` was {self.crash_s}, must be a multiple of {PIECE_S} up to {LONGEST_CRASH_S}"
            )
        if not 0 < self.crash_depth <= 1:
            raise ValueError(f"`crash_depth` was {self.crash_depth:g}, must be above 0 and at most 1")
        if not 0 <= self.crash_widen_bps <= 1_000:
            raise ValueError(f"`crash_widen_bps` was {self.crash_widen_bps:g}, must be 0 to 1000")
        if self.recovery_s < 0:
            raise ValueError(f"`recovery_s` was {self.recovery_s}, must be 0 or more")
        longest = max((item.outage_s for item in self.scenarios), default=0)
        if max(self.crash_s, longest) > self.after_min * 60:
            raise ValueError(
                f"`after_min` was {self.after_min}, must hold the fall of {self.crash_s} s and the longest outage of {longest} s"
            )
        self.event_ns  # noqa: B018 -- a wrong time is refused here
        if self.scenario is not None:
            self.named(self.scenario)

    @property
    def event_ns(self) -> int | None:
        """The event in ns UTC, on a whole minute, if given."""
        if self.event is None:
            return None
        moment = self.event
        if not isinstance(moment, datetime):
            try:
                moment = datetime.fromisoformat(moment)
            except ValueError as error:
                raise ValueError(
                    f"`event` was {moment!r}, must be an ISO 8601 time, for example 2026-01-15T16:30Z"
                ) from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        minutes = math.floor((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(minutes=1))
        return minutes * 60 * NS

    def named(self, name: str) -> Scenario:
        """
        Return a scenario by its name.

        Raises
        ------
        InputError
            If there is none of that name.

        """
        for item in (BASE, *self.scenarios):
            if item.name == name:
                return item
        known = ", ".join(item.name for item in (BASE, *self.scenarios))
        raise InputError(f"there is no scenario {name!r}", "stress.scenarios", known)

    def chosen(self, names: tuple[str, ...] = ()) -> tuple[Scenario, ...]:
        """
        Return the base and then the named scenarios, or all of them, in the configuration's order.

        Raises
        ------
        InputError
            If a name is unknown.

        """
        wanted = {self.named(name).name for name in names} or {item.name for item in self.scenarios}
        return (BASE, *(item for item in self.scenarios if item.name in wanted))
