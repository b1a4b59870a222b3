"""The runbook and the files of ops/ say what the code says."""

import argparse
import configparser
import plistlib
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from amm500_nautilus.monitor.endpoint import MetricsEndpoint
from amm500_nautilus.monitor.metrics import Figures
from amm500_nautilus.monitor.runbook import LOOK
from amm500_nautilus.monitor.runbook import reason_lines
from amm500_nautilus.monitor.schema import COLUMNS
from amm500_nautilus.monitor.supervisor import SuperviseSettings
from amm500_nautilus.report.analysis_gates import gate_lines
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.reasons import reason_table
from amm500_nautilus.runtime.cli import build_parser
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.state_folder import state_folder


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


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((OPS / "compose.yaml").read_text())["services"]
    return found


def words_of(service: dict[str, Any]) -> argparse.Namespace:
    """Return the command of a service as the program reads it."""
    program, *words = service["command"]
    assert program == "amm500"
    return build_parser().parse_args(words)


def test_everything_of_the_compose_file_stays_on_the_loopback_address(services: dict[str, Any]) -> None:
    assert set(services) == {"node", "dashboard", "prometheus", "grafana"}
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert words_of(services["dashboard"]).host == "127.0.0.1"
    # the node's figures listen there alone (test_metrics); nothing is published either
    assert {service["network_mode"] for service in services.values()} == {"host"}
    assert all("ports" not in service for service in services.values())
    mounted = [
        volume.split(":")[0] for volume in services["prometheus"]["volumes"] if volume.startswith("./")
    ]
    assert all((OPS / name).is_file() for name in mounted)
    scrape = yaml.safe_load((OPS / "prometheus.yaml").read_text())
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"][0].startswith("127.0.0.1:")
    assert all((OPS / name).is_file() for name in scrape["rule_files"])


def test_the_compose_file_starts_a_supervised_node_that_is_scraped_and_looked_at(
    services: dict[str, Any],
) -> None:
    node = words_of(services["node"])
    assert node.command == "supervise"
    config = load_config(ROOT / node.config, node.overrides)
    assert config.mode == "paper"
    scrape = yaml.safe_load((OPS / "prometheus.yaml").read_text())
    (target,) = scrape["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == f"127.0.0.1:{config.live.metrics_port}"
    assert f"http://{target}/health" in services["node"]["healthcheck"]["test"][-1]
    # the page reads where the node writes, in the volume that outlives both
    dashboard = words_of(services["dashboard"])
    assert dashboard.run == state_folder(config)
    assert services["node"]["volumes"] == ["runs:/amm500/runs"]
    assert services["dashboard"]["volumes"] == ["runs:/amm500/runs:ro"]
    assert dashboard.run.parts[0] == "runs"
    # what its first lines say to type into the node's container
    (typed,) = re.findall(r"exec node amm500 (.*)", (OPS / "compose.yaml").read_text(encoding="utf-8"))
    assert build_parser().parse_args(shlex.split(typed)).command == "status"


def test_the_compose_file_never_starts_a_halted_run_again(services: dict[str, Any]) -> None:
    # docker knows no policy that tells 3 (halted) from a crash; the supervisor restarts crashes itself
    assert services["node"]["restart"] == "no"
    others = {name: service["restart"] for name, service in services.items() if name != "node"}
    assert set(others.values()) == {"unless-stopped"}
    settings = SuperviseSettings()
    assert services["node"]["stop_signal"] == "SIGTERM"
    grace = services["node"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > settings.stop_secs + settings.check_secs
    assert services["node"]["healthcheck"]["start_period"] == f"{settings.start_secs:g}s"


def test_secrets_go_to_the_node_alone_and_not_into_the_image(services: dict[str, Any]) -> None:
    assert services["node"]["env_file"] == [{"path": "../.env", "required": False}]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert all("env_file" not in service for name, service in services.items() if name != "node")
    given = {line.partition("=")[0] for line in (ROOT / ".env.example").read_text().splitlines()}
    named = services["node"]["environment"]
    assert set(named) <= given
    assert set(named) == {"AMM500_LOCK_DIR"}
    recipe = services["node"]["build"]["dockerfile_inline"]
    copied = [line.split()[1:-1] for line in recipe.splitlines() if line.startswith("COPY")]
    sources = [source for row in copied for source in row]
    assert "." not in sources
    assert all((ROOT / source).exists() for source in sources)
    assert not [source for source in sources if source.startswith(".env")]


def test_the_image_is_made_of_pinned_packages_and_runs_as_nobody_special(services: dict[str, Any]) -> None:
    for name in ("node", "dashboard"):
        service = services[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["ulimits"] == {"core": 0}
    recipe = services["node"]["build"]["dockerfile_inline"]
    assert services["node"]["build"] == services["dashboard"]["build"]
    assert recipe.rstrip().splitlines()[-1] == "USER amm500"
    assert "--require-hashes -r requirements/ops.lock" in recipe
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert f"FROM python:{(ROOT / '.python-version').read_text().strip()}" in recipe
    # every package of the wheel is copied, and every extra that node and dashboard ask for is pinned
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert any(f"COPY {place} " in recipe for place in (package, str(Path(package).parent)))
    extras = project["project"]["optional-dependencies"]
    wanted = [re.split(r"[>=]", line)[0].lower() for line in (*extras["live"], *extras["ops"])]
    pinned = (ROOT / "requirements" / "ops.lock").read_text()
    assert all(f"\n{name}==" in f"\n{pinned}" for name in wanted)
    assert "ops) extras=(--extra live --extra ops)" in (ROOT / "scripts" / "make_locks.sh").read_text()


@pytest.mark.parametrize(("state", "is_well"), [("PAUSED", True), ("HALTED", False)])
def test_the_health_check_of_the_compose_file_says_what_health_says(
    services: dict[str, Any], state: str, *, is_well: bool
) -> None:
    figures = Figures(started_ns=1, info={"name": "night"})
    figures.reading = replace(figures.reading, ts_ns=1, state=state)
    endpoint = MetricsEndpoint(figures, lambda: 1)
    endpoint.start()
    try:
        kind, program, *words = services["node"]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        words = [word.replace("127.0.0.1:9464", f"127.0.0.1:{endpoint.port}") for word in words]
        done = subprocess.run([sys.executable, *words], capture_output=True, timeout=60, check=False)
    finally:
        endpoint.close()
    assert (done.returncode == 0) is is_well, done.stderr


@pytest.mark.parametrize(
    "rule", yaml.safe_load((OPS / "prometheus-alerts.yaml").read_text())["groups"][0]["rules"]
)
def test_each_alert_rule_is_whole(rule: dict[str, object]) -> None:
    assert {"alert", "expr", "labels", "annotations"} <= set(rule)
    assert rule["labels"]["severity"] in {"page", "notice"}  # type: ignore[index]
