"""The runbook and the files of ops/ say what the code says."""

import argparse
import configparser
import plistlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from amm500_nautilus.monitor.runbook import LOOK
from amm500_nautilus.monitor.runbook import reason_lines
from amm500_nautilus.monitor.schema import COLUMNS
from amm500_nautilus.monitor.supervisor import SuperviseSettings
from amm500_nautilus.report.analysis_gates import gate_lines
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.runtime.cli import build_parser


ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "ops"
RUNBOOK = ROOT / "docs" / "operations.md"


def test_the_runbook_shows_every_reason_as_the_code_has_it() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    shown = text.partition("<!-- reasons -->")[2].partition("<!-- /reasons -->")[0].strip().splitlines()[2:]
    assert shown == reason_lines(RiskConfig())
    assert set(LOOK) == {rule.name for rule in reason_table(RiskConfig())}


def test_the_runbook_shows_every_gate_as_the_code_has_it() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    shown = text.partition("<!-- gates -->")[2].partition("<!-- /gates -->")[0].strip().splitlines()[2:]
    assert shown == gate_lines()


def test_every_command_of_the_runbook_is_one() -> None:
    commands = next(
        action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    named = set(re.findall(r"amm500 ([a-z][a-z-]+)", RUNBOOK.read_text(encoding="utf-8")))
    assert named <= set(commands), named - set(commands)
    assert {"status", "pause", "resume", "flatten", "stop", "analyze", "verify", "report"} <= named


def test_the_runbook_names_every_table_of_the_journal() -> None:
    line = next(
        line for line in RUNBOOK.read_text(encoding="utf-8").splitlines() if line.startswith("Tables: ")
    )
    assert set(re.findall(r"`(\w+)`", line)) == set(COLUMNS)


def command_line(words: list[str]) -> None:
    args = build_parser().parse_args(words[words.index("supervise") :])
    assert (ROOT / args.config).is_file()


def test_the_systemd_unit_restarts_crashes_alone_and_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(OPS / "amm500.service")
    service = unit["Service"]
    assert service["Restart"] == "on-failure"
    # the supervisor restarts its node; only its own death by a signal is left to systemd
    assert set(service["RestartPreventExitStatus"].split()) == {"1", "2", "3", "4"}
    assert (unit["Unit"]["StartLimitBurst"], unit["Unit"]["StartLimitIntervalSec"]) == ("5", "3600")
    assert service["LimitCORE"] == "0"
    command_line(shlex.split(service["ExecStart"]))
    settings = SuperviseSettings()
    assert int(service["TimeoutStopSec"]) > settings.stop_secs + settings.check_secs


def test_the_launchd_list_starts_what_there_is() -> None:
    found = plistlib.loads((OPS / "org.amm500.node.plist").read_bytes())
    command_line(found["ProgramArguments"])
    assert found["ExitTimeOut"] > SuperviseSettings().stop_secs + SuperviseSettings().check_secs
    assert found["KeepAlive"] is False


def test_the_compose_file_and_the_scrape_file_stay_on_the_loopback_address() -> None:
    compose = yaml.safe_load((OPS / "compose.yaml").read_text())
    services = compose["services"]
    assert any("127.0.0.1" in word for word in services["prometheus"]["command"])
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert all("ports" not in service for service in services.values())
    mounted = [
        volume.split(":")[0] for volume in services["prometheus"]["volumes"] if volume.startswith("./")
    ]
    assert all((OPS / name).is_file() for name in mounted)
    scrape = yaml.safe_load((OPS / "prometheus.yaml").read_text())
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"][0].startswith("127.0.0.1:")
    assert all((OPS / name).is_file() for name in scrape["rule_files"])


@pytest.mark.parametrize(
    "rule", yaml.safe_load((OPS / "prometheus-alerts.yaml").read_text())["groups"][0]["rules"]
)
def test_each_alert_rule_is_whole(rule: dict[str, object]) -> None:
    assert {"alert", "expr", "labels", "annotations"} <= set(rule)
    assert rule["labels"]["severity"] in {"page", "notice"}  # type: ignore[index]
