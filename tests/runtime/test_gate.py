"""What a paper run must have come to before real money follows it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.config import to_plain
from amm500_nautilus.runtime.node.gate import MISSING
from amm500_nautilus.runtime.node.gate import GateVerdict
from amm500_nautilus.runtime.node.gate import judge
from amm500_nautilus.runtime.node.gate import paper_runs
from amm500_nautilus.runtime.strategy_hash import strategy_hash


ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "configs" / "paper.yaml"
COIN = "km:US500"
STRATEGY = strategy_hash(load_config(PAPER))


def paper_run(folder: Path, name: str = "paper", **changes: Any) -> Path:
    """A finished paper run, as its directory shows it."""
    given = {
        "mode": "paper",
        "verdict": "pass",
        "start": "2026-11-01",
        "end": "2026-11-08",
        "simulated": False,
    }
    given |= {"market": COIN, "analysis": "pass", "sets": []}
    given |= changes
    path = folder / name
    path.mkdir(parents=True)
    config = load_config(PAPER, given["sets"])
    (path / "config.yaml").write_text(yaml.safe_dump(to_plain(config)))
    data = {key: given[key] for key in ("market", "simulated")}
    data |= {key: f"{given[key]}T00:00:00+00:00" for key in ("start", "end")}
    (path / "summary.json").write_text(
        json.dumps({"mode": given["mode"], "verdict": given["verdict"], "data": data})
    )
    if given["analysis"] is not None:
        (path / "analysis.json").write_text(json.dumps({"verdict": given["analysis"]}))
    return path


def gate(folder: Path) -> GateVerdict:
    return judge(paper_runs(folder), strategy=STRATEGY, market=COIN, folder="here")


def test_seven_days_that_passed_open_the_gate(tmp_path: Path) -> None:
    paper_run(tmp_path)
    found = gate(tmp_path)
    assert found.is_open
    assert "pass, 7 days to 2026-11-08" in found.sentence
    assert found.sentence.endswith("(by amm500 analyze)")


@pytest.mark.parametrize("analysis", ["fail", "not_enough_data"])
def test_the_verdict_of_the_analysis_counts_and_not_the_summary_s(tmp_path: Path, analysis: str) -> None:
    paper_run(tmp_path, analysis=analysis)
    found = gate(tmp_path)
    assert (found.is_open, found.verdict) == (False, analysis)


def test_a_summary_alone_counts_where_nobody_ran_the_analysis(tmp_path: Path) -> None:
    paper_run(tmp_path, "a", analysis=None)
    assert gate(tmp_path).is_open
    paper_run(tmp_path, "b", analysis=None, verdict="fail", start="2026-11-08", end="2026-11-15")
    assert gate(tmp_path).verdict == "fail"


def test_the_newest_run_counts_and_not_the_best(tmp_path: Path) -> None:
    paper_run(tmp_path, "a", start="2026-11-08", end="2026-11-15", analysis="fail")
    paper_run(tmp_path, "b")
    assert not gate(tmp_path).is_open


def test_six_days_do_not_open_it(tmp_path: Path) -> None:
    paper_run(tmp_path, end="2026-11-07")
    found = gate(tmp_path)
    assert not found.is_open
    assert "7 days are asked for" in found.sentence


def test_a_verdict_on_a_part_of_the_week_does_not_open_it(tmp_path: Path) -> None:
    path = paper_run(tmp_path)
    (path / "analysis.json").write_text(json.dumps({"verdict": "pass", "wanted_days": 5.0}))
    found = gate(tmp_path)
    assert not found.is_open
    assert "pass, 5 days to 2026-11-08" in found.sentence
    assert "7 days are asked for" in found.sentence
    (path / "analysis.json").write_text(json.dumps({"verdict": "pass", "wanted_days": 7.0}))
    assert gate(tmp_path).is_open


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"mode": "local"}, "no finished paper run under here", id="a local run"),
        pytest.param(
            {"sets": ["strategy.quoting.ladder.size_fraction=0.01"]},
            "none of the 1 paper runs under here is of this strategy's configuration",
            id="another strategy",
        ),
        pytest.param(
            {"sets": ["account.leverage=3"]}, "is of this strategy's configuration", id="another leverage"
        ),
        pytest.param({"market": "xyz:SP500"}, "are of xyz:SP500, not of km:US500", id="another market"),
        pytest.param({"simulated": True}, "heard a venue that is not the exchange", id="a simulated market"),
    ],
)
def test_a_run_of_something_else_is_a_missing_one(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    paper_run(tmp_path, **changes)
    found = gate(tmp_path)
    assert (found.is_open, found.verdict) == (False, MISSING)
    assert sentence in found.sentence


def test_length_place_and_size_of_account_make_no_other_strategy(tmp_path: Path) -> None:
    paper_run(tmp_path, sets=["live.duration=7d", "name=elsewhere", "account.equity=500"])
    assert gate(tmp_path).is_open


def test_what_cannot_be_read_closes_the_gate_and_nothing_else(tmp_path: Path) -> None:
    assert gate(tmp_path / "nowhere").verdict == MISSING
    (paper_run(tmp_path, "a") / "summary.json").write_text("{")
    (paper_run(tmp_path, "b") / "config.yaml").write_text("nonsense: 1")
    (paper_run(tmp_path, "c") / "config.yaml").unlink()
    paper_run(tmp_path, "d.partial")
    assert gate(tmp_path).verdict == MISSING
