"""Run files of mode testnet and live: what they must say, what they must never hold, and how much of an account they use."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from amm500_catalog.errors import InputError
from amm500_nautilus.quoting.skew import exposure_limit
from amm500_nautilus.quoting.types import MarketShape
from amm500_nautilus.runtime.backtest import check_ladder
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.capital import capital_of
from amm500_nautilus.runtime.node.capital import sized
from amm500_nautilus.runtime.node.capital import with_capital
from amm500_nautilus.runtime.node.modes import refuse_key
from amm500_nautilus.runtime.node.monitoring import starting_equity
from amm500_nautilus.runtime.node.venue import execution_config
from amm500_nautilus.runtime.node.venue import venue_url
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.signing import is_mainnet_host


ROOT = Path(__file__).resolve().parents[2]
USER = "0x" + "5e" * 20
KEY = "c0ffee" * 10 + "abcd"
BASE: dict[str, Any] = {"name": "t", "mode": "testnet", "live": {"user": USER}}


def load(folder: Path, raw: dict[str, Any], *sets: str) -> RunConfig:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_config(path, list(sets))


def with_live(mode: str, **live: Any) -> dict[str, Any]:
    return {"name": "t", "mode": mode, "live": {"user": USER} | live}


@pytest.mark.parametrize(
    ("name", "mode", "url"),
    [("testnet.yaml", "testnet", TESTNET_URL), ("live.example.yaml", "live", MAINNET_URL)],
)
def test_the_configs_of_this_project_load_and_go_to_their_own_network(name: str, mode: str, url: str) -> None:
    config = load_config(ROOT / "configs" / name)
    assert config.mode == mode
    assert venue_url(config) == url
    execution = execution_config(config, "km:US500")
    assert execution.require_agent
    assert not execution.adopt_foreign
    assert is_mainnet_host(execution.url) == (mode == "live")


def test_every_option_of_the_live_section_is_in_the_example() -> None:
    text = (ROOT / "configs" / "live.example.yaml").read_text()
    named = {line.strip("# \n").partition(":")[0] for line in text.splitlines()}
    signer = RunConfig.model_fields["live"].default.signer
    for name in (
        "url",
        "state_dir",
        "user",
        "vault",
        "max_equity_used",
        "paper_runs",
        "deadman_secs",
        "adopt_foreign",
    ):
        assert name in named
    assert set(type(signer).model_fields) <= named


def test_an_environment_file_names_every_variable_and_holds_no_value() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=") for line in lines if line and not line.startswith("#"))
    assert set(given) >= {"HYPERLIQUID_AGENT_KEY", "AMM500_CONFIRM_LIVE", "AMM500_ALERT_URLS"}
    assert set(given.values()) == {""}


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        pytest.param({"name": "t", "mode": "testnet"}, "live.user is missing", id="no account"),
        pytest.param(with_live("live"), "live.max_equity_used is missing", id="no cap"),
        pytest.param(with_live("testnet", url=MAINNET_URL), "main network", id="testnet on the main network"),
        pytest.param(
            with_live("testnet", url="http://API.Hyperliquid.xyz."), "main network", id="in other words"
        ),
        pytest.param(with_live("testnet", user="0x12"), "live.user", id="half an address"),
        pytest.param(
            with_live("testnet", signer={"source": "keystore"}), "signer.path is missing", id="no file"
        ),
        pytest.param(
            with_live("testnet", signer={"source": "keystore", "path": "a", "unlock_by": "credential"}),
            "signer.credential is missing",
            id="no credential",
        ),
        pytest.param(with_live("testnet", signer={"passphrase": "x"}), "unknown key", id="a passphrase"),
        pytest.param(with_live("testnet", deadman_secs=5), "deadman_secs", id="a switch that fires at once"),
        pytest.param({"name": "t", "mode": "mainnet"}, "'testnet' or 'live'", id="no such mode"),
    ],
)
def test_a_run_file_that_cannot_be_right_is_refused(tmp_path: Path, raw: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        load(tmp_path, raw)


def test_an_address_without_quotes_is_an_address_still(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"name: t\nmode: testnet\nlive:\n  user: 0x00{'5e' * 19}\n")
    assert load_config(path).live.user == f"0x00{'5e' * 19}"


@pytest.mark.parametrize("spelling", [KEY, f"0x{KEY}", KEY.upper(), f"my key is {KEY}"])
@pytest.mark.parametrize(
    "place", [("live", "signer", "variable"), ("live", "user"), ("name",), ("market", "candidates")]
)
def test_a_key_in_a_run_file_is_refused_wherever_it_is_and_not_repeated(
    tmp_path: Path, spelling: str, place: tuple[str, ...]
) -> None:
    raw: dict[str, Any] = {"name": "t", "mode": "testnet", "live": {"user": USER, "signer": {}}, "market": {}}
    target = raw
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = [spelling] if place[-1] == "candidates" else spelling
    with pytest.raises(InputError, match="looks like a secret key") as refused:
        load(tmp_path, raw)
    assert KEY[:16] not in str(refused.value).lower()


def test_a_key_that_yaml_reads_as_a_number_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"name: t\nmode: testnet\nlive:\n  user: 0x{KEY}\n")
    with pytest.raises(InputError, match=r"live\.user holds what looks like a secret key") as refused:
        load_config(path)
    assert str(int(KEY, 16))[:16] not in str(refused.value)


@pytest.mark.parametrize("name", ["live.signer.key", "live.private_key", "live.passphrase", "live.api_token"])
def test_set_refuses_secret_fields(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="never given on the command line") as refused:
        load(tmp_path, BASE, f"{name}=hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_position_is_held_at_the_end_in_live_and_closed_elsewhere_unless_told_otherwise(
    tmp_path: Path,
) -> None:
    live = with_live("live", max_equity_used=1_000)
    assert load(tmp_path, live).on_end == "hold"
    assert load(tmp_path, live, "live.on_end=flatten").on_end == "flatten"
    assert load(tmp_path, BASE).on_end == "flatten"
    assert load_config(ROOT / "configs" / "paper.yaml").on_end == "flatten"


@pytest.mark.parametrize("name", ["HYPERLIQUID_AGENT_KEY", "AMM500_LOCAL_KEY", "MY_KEY"])
def test_a_local_run_refuses_a_key_in_the_environment(name: str) -> None:
    local = load_config(ROOT / "configs" / "local.yaml")
    with pytest.raises(InputError, match=name) as refused:
        refuse_key(local, {name: f"0x{KEY}"})
    assert KEY[:16] not in str(refused.value)
    refuse_key(local, {"HYPERLIQUID_AGENT_KEY": "", "SSH_KEYS": "none", "COMMIT": KEY})


def test_the_cap_bounds_exposure_and_every_limit_that_is_a_share_of_equity(tmp_path: Path) -> None:
    config = load(tmp_path, with_live("live", max_equity_used=1_000), "account.leverage=10")
    capped = with_capital(config, Decimal(4_000))
    assert capped.account.equity == 1_000
    assert capped.strategy.quoting.max_exposure == 10_000.0
    before, after = config.strategy.risk, capped.strategy.risk
    assert after.switches.session_loss_share == before.switches.session_loss_share / 4
    assert after.switches.drawdown == before.switches.drawdown / 4
    assert after.switches.session_loss == before.switches.session_loss
    # what is to come before a halt: at the amounts that a paper account of 1,000 had it
    assert after.switches.streak_loss == before.switches.streak_loss / 4
    assert after.stops.hard_stop == before.stops.hard_stop / 4
    assert after.stops.auto_reduce_loss == before.stops.auto_reduce_loss / 4
    assert after.levels.max_drawdown == before.levels.max_drawdown / 4
    assert after.breakers.velocity_pause == before.breakers.velocity_pause / 4
    # and of nothing else
    assert after.stops.stop_loss == before.stops.stop_loss
    assert after.limits == before.limits


@pytest.mark.parametrize(
    ("starting", "equity", "share"),
    [
        pytest.param(10_000, 1_000, 0.1, id="withdrawn since"),
        pytest.param(1_000, 10_000, 1.0, id="deposited since"),
        pytest.param(500, 10_000, 1.0, id="begun with less than may be used"),
        pytest.param(None, 10_000, 0.1, id="a new session"),
    ],
)
def test_the_halts_of_a_session_that_goes_on_are_of_the_capital_whatever_was_moved_since(
    tmp_path: Path, starting: int | None, equity: int, share: float
) -> None:
    config = load(tmp_path, with_live("live", max_equity_used=1_000))
    begun = None if starting is None else Decimal(starting)
    before, after = config.strategy.risk, with_capital(config, Decimal(equity), begun).strategy.risk
    # the engine takes this share of the session's starting equity: 5 % of the capital at most
    assert after.switches.drawdown == pytest.approx(before.switches.drawdown * share)
    assert after.stops.auto_reduce_loss == pytest.approx(before.stops.auto_reduce_loss * share)
    assert after.stops.hard_stop == pytest.approx(before.stops.hard_stop * 1_000 / equity)


def test_the_session_that_goes_on_is_read_from_what_the_strategy_saved() -> None:
    state = {"engine": {"session": {"starting": 1_234.5}}}
    assert starting_equity({"amm500": json.dumps({"risk": state}).encode()}) == Decimal("1234.5")
    state["engine"]["session"]["starting"] = 0.0
    assert starting_equity({"amm500": json.dumps({"risk": state}).encode()}) is None
    assert starting_equity({}) is None


def test_the_ladder_is_checked_by_the_limits_of_an_account_of_that_size(tmp_path: Path) -> None:
    config = load(tmp_path, with_live("live", max_equity_used=1_000), "account.leverage=10")
    found = sized(config, Decimal(100_000))
    assert found.account.equity == 1_000
    assert found.strategy.risk == config.strategy.risk
    check_ladder(found, MarketShape(tick=0.01, lot=0.001, min_notional=10.0), 690.0, max_leverage=25.0)


def test_a_smaller_limit_of_the_run_file_s_own_stays(tmp_path: Path) -> None:
    config = load(tmp_path, with_live("live", max_equity_used=1_000), "strategy.quoting.max_exposure=2000")
    assert with_capital(config, Decimal(4_000)).strategy.quoting.max_exposure == 2_000.0


def test_an_account_smaller_than_the_cap_is_used_whole_and_a_later_deposit_only_up_to_it(
    tmp_path: Path,
) -> None:
    config = load(tmp_path, with_live("live", max_equity_used=1_000), "account.leverage=10")
    capped = with_capital(config, Decimal(300))
    assert capital_of(config, Decimal(300)) == capped.account.equity == 300
    assert capped.strategy.risk == config.strategy.risk
    quoting = capped.strategy.quoting
    before, after = (
        exposure_limit(equity, 10.0, basis=quoting.basis, max_exposure=quoting.max_exposure)
        for equity in (300.0, 50_000.0)
    )
    assert (before, after) == (3_000.0, 10_000.0)
