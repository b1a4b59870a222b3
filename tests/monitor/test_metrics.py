"""Figures: every name of the table is exported, in Prometheus's own words, to those who may read them."""

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from amm500_nautilus.monitor.desk import Reading
from amm500_nautilus.monitor.endpoint import MetricsEndpoint
from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.monitor.metrics import COUNTER
from amm500_nautilus.monitor.metrics import HISTOGRAM
from amm500_nautilus.monitor.metrics import METRICS
from amm500_nautilus.monitor.metrics import Figures
from amm500_nautilus.monitor.metrics import Histogram
from amm500_nautilus.monitor.metrics import exported_names


ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000_000
T0 = 1_800_000_000 * SECOND
# the earlier bot's figures of a market maker's health that must have a successor
SUCCESSORS = {
    "position_size": "position_contracts",
    "active_bids": "resting_bids",
    "fees_paid": "fees_paid",
    "margin_ratio": "margin_ratio",
    "current_drawdown": "drawdown_ratio",
    "peak_equity": "peak_equity",
    "risk_level": "risk_level",
    "spread_bps": "spread_bps",
    "volatility": "volatility_ratio",
    "bot_state": "state",
    "order_latency_avg_ms": "order_latency_seconds",
    "ws_latency_avg_ms": "market_data_age_seconds",
    "uptime_seconds": "uptime_seconds",
    "winning_trades": "closing_fills",
    "maker_volume": "fill_volume",
    "quotes_sent_total": "actions",
}


class Page:
    """An endpoint with figures that the test sets and a clock that it moves."""

    def __init__(self) -> None:
        info = {"name": "night", "mode": "paper", "coin": "km:US500", "version": "1"}
        self.figures = Figures(started_ns=T0, info=info)
        self.now_ns = T0
        self.endpoint = MetricsEndpoint(self.figures, lambda: self.now_ns)
        self.endpoint.start()

    def get(self, path: str, host: str | None = None) -> tuple[int, str]:
        peer = http.client.HTTPConnection("127.0.0.1", self.endpoint.port, timeout=10)
        try:
            peer.request("GET", path, headers={} if host is None else {"Host": host})
            answer = peer.getresponse()
            return answer.status, answer.read().decode()
        finally:
            peer.close()


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.endpoint.close()


def test_every_name_of_the_table_is_exported_in_prometheus_words(page: Page) -> None:
    figures = page.figures
    figures.reading = Reading(
        ts_ns=T0, state="PAUSED", reasons=("book_stale",), equity=1_000.5, volatility={"10s": 0.2}
    )
    for rule in METRICS:
        if rule.kind == COUNTER and rule.labels:
            figures.count(rule.name, *(["x"] * len(rule.labels)), by=2)
    figures.order_latency.add(0.03)
    status, text = page.get("/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == {rule.full_name for rule in METRICS}
    for rule in METRICS:
        family = families[rule.full_name]
        assert (family.type, family.documentation) == (rule.kind, rule.text)
        assert family.samples
        own = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert own == set(rule.labels)
    samples = {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert {name for name, _ in samples} == exported_names()
    assert samples["amm500_equity", ()] == 1_000.5
    assert samples["amm500_state", ("PAUSED",)] == 1.0
    assert samples["amm500_state", ("RUNNING",)] == 0.0
    assert samples["amm500_reason_active", ("book_stale",)] == 1.0
    assert samples["amm500_order_latency_seconds_bucket", ("0.025",)] == 0.0
    assert samples["amm500_order_latency_seconds_bucket", ("0.05",)] == 1.0
    assert samples["amm500_order_latency_seconds_sum", ()] == 0.03


def test_names_follow_prometheus_rules_and_the_earlier_figures_have_successors() -> None:
    names = [rule.name for rule in METRICS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*[a-z]", name) for name in names)
    assert not [name for name in names if name.endswith(("_ms", "_pct", "_total"))]
    assert set(SUCCESSORS.values()) <= set(names)
    assert all(rule.name.endswith("_seconds") for rule in METRICS if rule.kind == HISTOGRAM)


def test_a_histogram_counts_up_to_its_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.add(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == 12.0


def test_health_says_what_is_wrong_and_a_pause_is_not(page: Page) -> None:
    def health() -> tuple[int, list[str]]:
        status, text = page.get("/health")
        words = json.loads(text)
        assert words["ok"] is (status == 200)
        return status, words["troubles"]

    assert health() == (503, ["the loop has not reported yet"])
    page.figures.reading = Reading(ts_ns=T0, state="PAUSED")
    page.now_ns = T0 + 9 * SECOND
    assert health() == (200, [])
    page.now_ns = T0 + 11 * SECOND
    assert health() == (503, ["the loop is silent for 11 s"])
    page.now_ns = T0
    page.figures.journal = (True, 1, 2, 3)
    assert health() == (503, ["the journal cannot be written"])
    page.figures.journal = (False, 0, 0, 0)
    page.figures.reading = Reading(ts_ns=T0, state="HALTED")
    assert health() == (503, ["halted"])


def test_a_request_by_another_name_is_refused_and_another_page_is_not_there(page: Page) -> None:
    port = page.endpoint.port
    assert page.get("/metrics", f"localhost:{port}")[0] == 200
    for host in ("evil.example", f"evil.example:{port}", "", "127.0.0.1.evil.example"):
        assert page.get("/metrics", host)[0] == 403
        assert page.get("/health", host)[0] == 403
    assert page.get("/")[0] == 404
    assert page.get("/metrics/../etc/passwd")[0] == 404


def test_only_the_loopback_address_listens_and_a_taken_port_is_said(page: Page) -> None:
    assert page.endpoint.address == ("127.0.0.1", page.endpoint.port)
    with pytest.raises(MonitorError, match=f"127.0.0.1:{page.endpoint.port}: metrics cannot listen there"):
        MetricsEndpoint(page.figures, lambda: T0, port=page.endpoint.port)


def used_names(text: str) -> set[str]:
    return set(re.findall(r"\bamm500_[a-z0-9_]+", text))


def test_the_dashboard_and_the_alert_rules_ask_for_names_that_there_are() -> None:
    dashboard = json.loads((ROOT / "ops" / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 20
    rules = (ROOT / "ops" / "prometheus-alerts.yaml").read_text()
    for text in (*queries, rules):
        assert used_names(text) <= exported_names(), text
    states = set(re.findall(r'state="(\w+)"', rules + " ".join(queries)))
    assert states <= {"STARTING", "RUNNING", "REDUCE_ONLY", "PAUSED", "HALTED"}
    assert {item.name for item in fields(Reading)}
