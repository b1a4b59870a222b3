"""The figures for Prometheus: their names in one table, and the page that shows them."""

import math
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.risk.types import RiskLevel
from amm500_nautilus.risk.types import RiskState


PREFIX = "amm500_"
GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
NS = 1e9
LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True, slots=True)
class MetricRule:
    """One exported figure: its name after the prefix, its kind, what it says, and its labels."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name of the family as it is exported, without a suffix."""
        return PREFIX + self.name


# gauge: the field of a Reading
_READ = {
    "position_contracts": ("position", "signed position, contracts"),
    "entry_price": ("entry", "average entry price; NaN when flat"),
    "mid_price": ("mid", "middle of the market's best bid and ask"),
    "best_bid_price": ("best_bid", "the market's best bid"),
    "best_ask_price": ("best_ask", "the market's best ask"),
    "quoted_bid_price": ("bid", "our best resting bid"),
    "quoted_ask_price": ("ask", "our best resting ask"),
    "resting_bids": ("n_bids", "our resting bids"),
    "resting_asks": ("n_asks", "our resting asks"),
    "delta_ratio": ("delta", "position value over the exposure limit"),
    "spread_bps": ("spread_bps", "our quoted spread, basis points of the mid"),
    "funding_rate": ("funding_rate", "hourly funding rate; positive is paid by longs"),
    "equity": ("equity", "mark-to-market equity, collateral units"),
    "balance": ("balance", "equity without unrealized PnL, collateral units"),
    "starting_equity": ("starting_equity", "equity at the session's start, collateral units"),
    "peak_equity": ("peak_equity", "highest equity of the session net of transfers, collateral units"),
    "drawdown_ratio": ("drawdown", "fall from the session's peak as a share of its starting equity"),
    "session_loss": ("session_loss", "lost since the session's start or the last resume, collateral units"),
    "margin_used": ("margin_used", "margin of the position, collateral units"),
    "margin_ratio": ("margin_ratio", "margin in use over equity, resting orders included"),
    "maintenance_ratio": ("maintenance_ratio", "maintenance margin over equity"),
    "liquidation_price": ("liquidation_price", "price at which the venue liquidates; NaN without one"),
    "leverage": ("leverage", "leverage set at the venue"),
    "collateral_price": ("collateral_price", "price of the collateral token, USD"),
    "fees_paid": ("fees", "fees less rebates, collateral units"),
    "funding_received": ("funding", "funding received less paid, collateral units"),
    "transfers": ("transfers", "deposits less withdrawals, collateral units"),
    "budget_remaining_actions": ("budget_remaining", "actions that the address may still send"),
}
METRICS: tuple[MetricRule, ...] = (
    *(MetricRule(name, GAUGE, text) for name, (_, text) in _READ.items()),
    MetricRule("position_value", GAUGE, "signed value of the position at the mid, collateral units"),
    MetricRule("volatility_ratio", GAUGE, "annualized volatility over a horizon", ("horizon",)),
    MetricRule("state", GAUGE, "1 for the state of the risk engine, 0 for the others", ("state",)),
    MetricRule("reason_active", GAUGE, "1 for every reason that is active", ("reason",)),
    MetricRule("risk_level", GAUGE, "1 for the risk level, 0 for the others", ("level",)),
    MetricRule("last_update_timestamp_seconds", GAUGE, "when the loop last reported, unix time"),
    MetricRule("uptime_seconds", GAUGE, "seconds since the run began"),
    MetricRule("run_info", GAUGE, "1; the labels say what runs", ("name", "mode", "coin", "version")),
    MetricRule("journal_failed", GAUGE, "1 while the journal cannot be written"),
    MetricRule("journal_waiting_rows", GAUGE, "rows that are not on disk yet"),
    MetricRule("journal_written_rows", COUNTER, "rows on disk"),
    MetricRule("journal_lost_rows", COUNTER, "rows lost"),
    MetricRule("actions", COUNTER, "actions sent to the venue", ("kind",)),
    MetricRule("fills", COUNTER, "fills", ("side", "liquidity")),
    MetricRule("fill_volume", COUNTER, "value filled, collateral units", ("liquidity",)),
    MetricRule("closing_fills", COUNTER, "closing fills by what they earned after fees", ("outcome",)),
    MetricRule("closed_pnl", GAUGE, "PnL of closing fills before fees, collateral units"),
    MetricRule("rejections", COUNTER, "orders and modifies that the venue refused"),
    MetricRule("decisions", COUNTER, "what the risk engine decided", ("subject", "approved")),
    MetricRule("alerts", COUNTER, "alerts by what became of them", ("outcome",)),
    MetricRule("commands", COUNTER, "commands from the control socket", ("command", "ok")),
    MetricRule("order_latency_seconds", HISTOGRAM, "from sending an order to the venue's answer"),
    MetricRule("market_data_age_seconds", HISTOGRAM, "age of a quote when it arrived, by the venue's time"),
)
RULES = {rule.name: rule for rule in METRICS}


class Histogram:
    """Counts by upper bound, their sum and their number."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        at = 0
        for bound in self.bounds:
            if value <= bound:
                break
            at += 1
        self.counts[at] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts by bound, the last ``+Inf``."""
        out, running = [], 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            running += count
            out.append(("+Inf" if bound == math.inf else repr(bound), float(running)))
        return out


@dataclass(slots=True)
class Figures:
    """Everything that is exported; the loop's thread writes it, and a reader may see it a moment old."""

    started_ns: int
    info: Mapping[str, str]
    reading: Reading = field(default_factory=lambda: Reading(ts_ns=0))
    counts: dict[tuple[str, tuple[str, ...]], float] = field(default_factory=dict)
    closed_pnl: float = 0.0
    journal: tuple[bool, int, int, int] = (False, 0, 0, 0)
    order_latency: Histogram = field(default_factory=lambda: Histogram(LATENCY_BUCKETS))
    data_age: Histogram = field(default_factory=lambda: Histogram(LATENCY_BUCKETS))

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Raise a counter of the table."""
        self.counts[name, labels] = self.counts.get((name, labels), 0.0) + by

    def on_fill(self, side: int, value: float, *, is_maker: bool, closed_pnl: float, fee: float) -> None:
        """Count a fill; ``value`` and ``closed_pnl`` in collateral units."""
        liquidity = "maker" if is_maker else "taker"
        self.count("fills", "buy" if side > 0 else "sell", liquidity)
        self.count("fill_volume", liquidity, by=value)
        if closed_pnl:
            self.closed_pnl += closed_pnl
            self.count("closing_fills", "won" if closed_pnl > fee else "lost")


def samples(figures: Figures) -> Iterator[tuple[MetricRule, list[tuple[tuple[str, ...], float]]]]:
    """Yield every gauge and counter of the table with its values by label."""
    reading = figures.reading
    single = {name: float(getattr(reading, source)) for name, (source, _) in _READ.items()}
    failed, waiting, written, lost = figures.journal
    single |= {
        "position_value": reading.position * reading.mid,
        "last_update_timestamp_seconds": reading.ts_ns / NS,
        "uptime_seconds": (reading.ts_ns - figures.started_ns) / NS if reading.ts_ns else 0.0,
        "journal_failed": float(failed),
        "journal_waiting_rows": float(waiting),
        "journal_written_rows": float(written),
        "journal_lost_rows": float(lost),
        "closed_pnl": figures.closed_pnl,
        "rejections": float(reading.rejections),
    }
    labeled: dict[str, list[tuple[tuple[str, ...], float]]] = {
        "volatility_ratio": [((name,), value) for name, value in reading.volatility.items()],
        "state": [((state.value,), float(state.value == reading.state)) for state in RiskState],
        "risk_level": [((level.name,), float(level.name == reading.level)) for level in RiskLevel],
        "reason_active": [((name,), 1.0) for name in reading.reasons],
        "run_info": [(tuple(figures.info[label] for label in RULES["run_info"].labels), 1.0)],
    }
    counts = list(figures.counts.items())
    for rule in METRICS:
        if rule.kind == HISTOGRAM:
            continue
        if rule.name in single:
            yield rule, [((), single[rule.name])]
        elif rule.name in labeled:
            yield rule, labeled[rule.name]
        else:
            yield rule, [(labels, value) for (name, labels), value in counts if name == rule.name]


class Collector:
    """What prometheus_client asks for the families at each scrape."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def describe(self) -> list[Any]:
        """Return nothing: the families are made when they are asked for."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield every family of the table."""
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - an extra
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415
        from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415

        for rule, values in samples(self._figures):
            kind = GaugeMetricFamily if rule.kind == GAUGE else CounterMetricFamily
            family = kind(rule.full_name, rule.text, labels=rule.labels)
            for labels, value in values:
                family.add_metric(labels, value)
            yield family
        for name, histogram in (
            ("order_latency_seconds", self._figures.order_latency),
            ("market_data_age_seconds", self._figures.data_age),
        ):
            spread = HistogramMetricFamily(RULES[name].full_name, RULES[name].text)
            spread.add_metric([], buckets=histogram.buckets(), sum_value=histogram.total)
            yield spread


def exported_names() -> set[str]:
    """Return every name that a query may use: counters end in ``_total``, histograms in three ways."""
    names = set()
    for rule in METRICS:
        if rule.kind == COUNTER:
            names.add(f"{rule.full_name}_total")
        elif rule.kind == HISTOGRAM:
            names |= {f"{rule.full_name}_{tail}" for tail in ("bucket", "sum", "count")}
        else:
            names.add(rule.full_name)
    return names
