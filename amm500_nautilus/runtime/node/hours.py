"""The sessions that a run on the wall clock quotes by: those of the index, on the exchange's own markets."""

from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.assembly import seconds_of
from amm500_nautilus.runtime.node.lock import NETWORKS
from amm500_nautilus.runtime.node.lock import network_of
from amm500_nautilus.runtime.node.paper import paper_endpoint
from amm500_nautilus.runtime.node.venue import venue_url
from amm500_nautilus.runtime.sessions import session_spans


Session = tuple[int, int, str]
NS = 1_000_000_000
DAY_NS = 86_400 * NS
# a run that is wound down, or began later than it is told here, must not come to the end of its calendar
BEFORE_NS, AFTER_NS = DAY_NS, 7 * DAY_NS


def hears_exchange(config: RunConfig) -> bool:
    """Return whether a run file's market is the exchange's own: a loopback venue's has no hours."""
    if config.mode in REAL_MODES:
        return network_of(venue_url(config)) in NETWORKS.values()
    return config.mode == "paper" and network_of(paper_endpoint(config).url) in NETWORKS.values()


def trading_hours(config: RunConfig, start_ns: int) -> tuple[Session, ...]:
    """
    Return the sessions of a whole run, by which the backtest's strategy widens its spread or pauses; none on a market without hours.

    Parameters
    ----------
    config : RunConfig
        The run file.
    start_ns : int
        When the run begins, ns UTC.

    """
    if not hears_exchange(config):
        return ()
    seconds = seconds_of(config.live.duration)
    return session_spans(((start_ns - BEFORE_NS, start_ns + int(seconds) * NS + AFTER_NS),))
